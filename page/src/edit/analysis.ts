/** The live decision: what the service would do with the draft as it is now. */

import { computed, effect, signal } from "@preact/signals";

import { type Analysis, isAbort } from "../api/client";
import { client } from "../api/service";
import { configOf, draft, editsOf } from "./draft";
import { requestBody, missing } from "./parts";

export const analysis = signal<Analysis | null>(null);
export const analysisError = signal<unknown>(null);
export const analysing = signal(false);
/** Marks for measurements: an answer is there, and its mask is drawn. */
export const ANSWERED = "analysis-answered";
export const SHOWN = "analysis-shown";

const TYPING_MS = 350;
const DRAWING_MS = 50;
/** Of the settings, these decide nothing about the region and the way. */
const BESIDE_THE_DECISION = ["seed", "num_inference_steps", "guidance_scale", "output_format", "sharpen", "color_match"];

/** Of several edits: what was found for the one in the hand; null for a single one. */
export const inHand = computed(() => (draft.value.others.length > 0 ? (analysis.value?.metadata.edits?.[draft.value.place] ?? null) : null));

/** What the decision depends on: what is typed, the photo, and what else comes from one move of the hand. A change of anything else asks nothing. */
const asked = computed((): unknown[] => {
  const edits = editsOf(draft.value);
  const config = Object.entries(configOf(draft.value)).filter(([name]) => !BESIDE_THE_DECISION.includes(name));
  const typed = JSON.stringify([config, edits.map(({ prompt, negative, own }) => [prompt.trim(), negative.trim(), own])]);
  return [typed, draft.value.photo, ...edits.flatMap(({ references, mask, points, box }) => [references, mask, points, box])];
});

/** Ask again whenever the draft has come to rest, and drop what is no longer asked for. */
export function keepAnalysing(): void {
  let before: readonly unknown[] = [];
  let timer = 0;
  let running = new AbortController();
  effect(() => {
    const now = asked.value;
    if (now.length === before.length && now.every((part, index) => part === before[index])) return;
    const samePhoto = now[1] === before[1];
    const drawn = now[0] === before[0] || !samePhoto;
    before = now;
    clearTimeout(timer);
    running.abort();
    analysing.value = false;
    analysisError.value = null;
    if (!samePhoto) analysis.value = null;
    if (missing(draft.peek())) {
      analysis.value = null;
      return;
    }
    analysing.value = true; // what is shown is already no longer about this draft
    running = new AbortController();
    const { signal } = running;
    timer = window.setTimeout(() => void ask(signal), drawn ? DRAWING_MS : TYPING_MS);
  });
}

async function ask(stopped: AbortSignal): Promise<void> {
  try {
    // Of several photographs of one thing the first shows what is looked for.
    const answer = await client.analyze(await requestBody({ ...draft.peek(), views: [] }), stopped);
    if (stopped.aborted) return;
    performance.mark(ANSWERED);
    analysis.value = answer;
  } catch (error) {
    if (isAbort(error) || stopped.aborted) return;
    analysis.value = null;
    analysisError.value = error;
  }
  analysing.value = false;
}

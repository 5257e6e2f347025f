/** What is being made of a photo: one edit or several, and their settings. Kept across a reload. */

import { batch, computed, effect, signal } from "@preact/signals";

import { differing } from "../api/settings";
import { abilities } from "../api/service";
import type { Box, Click } from "../mask/geometry";
import { type MaskHistory, NO_MASK, present } from "../mask/history";
import { loadDraft, saveDraft } from "../runs/store";
import type { Photo } from "./photo";

/** One edit of the photo: what changes, where, and after what example. */
export interface Edit {
  references: Photo[];
  prompt: string;
  negative: string;
  mask: MaskHistory;
  points: Click[];
  box: Box | null;
  /** Of several edits: the settings that this one has of its own. */
  own: Record<string, unknown>;
}

/** The photo, with the edit that is in the hand. */
export interface Draft extends Edit {
  photo: Photo | null;
  /** Other photographs of what the photo shows, or the clip that begins with it: the one edit is of all of them. */
  views: Photo[];
  chosen: Record<string, unknown>;
  /** LoRAs and embeddings by name, with their weights. */
  loras: Record<string, number>;
  count: number;
  /** The other edits, in order; the one in the hand comes after `place` of them. */
  others: Edit[];
  place: number;
}

export const EMPTY_EDIT: Edit = { references: [], prompt: "", negative: "", mask: NO_MASK, points: [], box: null, own: {} };
export const EMPTY: Draft = { ...EMPTY_EDIT, photo: null, views: [], chosen: {}, loras: {}, count: 1, others: [], place: 0 };

export const draft = signal<Draft>(EMPTY);
export const photo = computed(() => draft.value.photo);
export const ownMask = computed(() => present(draft.value.mask));
export const isSelected = computed(() => draft.value.points.length > 0 || draft.value.box !== null);

/** All edits of a draft, in order. */
export function editsOf({ others, place, references, prompt, negative, mask, points, box, own }: Draft): Edit[] {
  return others.toSpliced(place, 0, { references, prompt, negative, mask, points, box, own });
}

/** In words, for a list of drafts. */
export const titleOf = (of: Draft) => editsOf(of).map(({ prompt }) => prompt.trim()).join(" · ");

/** What was really set, of a draft. */
export const settingsOf = (of: Draft) => differing(abilities.value.settings, of.chosen);

/** The same with what is not a setting of its own: `config` of the request, but for what is drawn and clicked. */
export function configOf(of: Draft): Record<string, unknown> {
  const { loras } = of;
  return { ...settingsOf(of), ...(abilities.value.loras && Object.keys(loras).length > 0 ? { loras } : {}) };
}

export function change(part: Partial<Draft>): void {
  draft.value = { ...draft.value, ...part };
}

/** Go on from an earlier edit. */
export function restore(before: Draft): void {
  draft.value = before;
}

/** Another photo: what was drawn on the one before means nothing on it. */
export function takePhoto(taken: Photo | null, views: Photo[] = []): void {
  const undrawn = { mask: NO_MASK, points: [], box: null };
  change({ photo: taken, views, ...undrawn, others: draft.value.others.map((edit) => ({ ...edit, ...undrawn })) });
}

export function changeMask(mask: MaskHistory): void {
  batch(() => change(present(mask) ? { mask, points: [], box: null } : { mask }));
}

/** What a click or a box selects takes the place of a mask of one's own. */
export function select(selection: { points?: Click[]; box?: Box | null }): void {
  const mask = ownMask.value ? { done: [...draft.value.mask.done, { kind: "automatic" as const }], undone: [] } : draft.value.mask;
  change({ ...selection, mask });
}

const SAVING_DELAY_MS = 300;

/** Bring back what was there before a reload, then keep every change. */
export async function restoreDraft(): Promise<void> {
  const kept = await loadDraft();
  if (kept && draft.value === EMPTY) draft.value = kept;
  let timer = 0;
  effect(() => {
    const now = draft.value;
    clearTimeout(timer);
    timer = window.setTimeout(() => void saveDraft(now), SAVING_DELAY_MS);
  });
  addEventListener("pagehide", () => void saveDraft(draft.value));
}

/** What the service says, in a person's words. */

import { ApiError, type Analysis, type Detection, type LoraUse, type Routing } from "./api/client";
import type { Progress } from "./api/following";

/** What to do about an error of the service's table; its own message says what happened. */
const ADVICE: Record<string, string> = {
  UNREACHABLE: "Is it running? `make serve` starts it. What you made here is kept.",
  INVALID_INPUT: "Change what it names and try again.",
  UNAUTHORIZED: "Ask whoever runs this service for a key.",
  PAYLOAD_TOO_LARGE: "Use a smaller photo.",
  UNPROCESSABLE_IMAGE: "Try another file: JPEG, PNG or WebP, not animated and not tiny.",
  UNPROCESSABLE_URL: "Save the image and drop the file here instead.",
  EMPTY_MASK: "Paint what should change, or let the service find it.",
  NO_DETECTION: "Name the thing in other words, or paint over it with the brush.",
  CONTENT_POLICY: "Try another sentence or another seed.",
  RATE_LIMITED: "Wait a moment, then try again.",
  QUEUE_FULL: "Many edits are waiting. Try again in a moment.",
  NOT_READY: "The models are still loading. Try again in a moment.",
  OUT_OF_MEMORY: "Try a smaller photo or fewer candidates.",
  MODEL_ERROR: "Try again; if it stays, the service's log says more.",
  INTERNAL: "Try again; if it stays, the service's log says more.",
  TIMEOUT: "Fewer steps or a smaller photo take less time.",
  NOT_FOUND: "Results are kept for a limited time. Run it again.",
};

export interface Told {
  title: string;
  message: string;
  advice: string;
  details: Record<string, unknown>;
}

const TITLES: Record<string, string> = {
  UNREACHABLE: "No connection",
  EMPTY_MASK: "Nothing to change",
  NO_DETECTION: "Nothing found to change",
  CONTENT_POLICY: "Result withheld",
  PAYLOAD_TOO_LARGE: "Too large",
  UNPROCESSABLE_IMAGE: "This image does not work",
  QUEUE_FULL: "Busy",
  NOT_READY: "Not ready yet",
  CANCELLED: "Cancelled",
  NOT_FOUND: "No longer there",
};

/** An error for a person: what happened, and what to do about it. */
export function told(error: unknown): Told {
  const known = error instanceof ApiError || (typeof error === "object" && error !== null && "code" in error);
  const { code, message, details = {} } = known ? (error as ApiError) : { code: "", message: String((error as Error).message ?? error) };
  const retry = error instanceof ApiError && error.retryAfterS ? ` (in ${error.retryAfterS} s)` : "";
  return { title: TITLES[code] ?? "That did not work", message: sentence(message), advice: (ADVICE[code] ?? "") + retry, details };
}

export function sentence(text: string): string {
  const whole = text.trim();
  if (!whole) return "";
  return whole.charAt(0).toUpperCase() + whole.slice(1) + (/[.!?]$/.test(whole) ? "" : ".");
}

const STAGES: Record<string, string> = {
  fetch: "Fetching images",
  decode: "Reading images",
  route: "Deciding how to edit",
  detect: "Finding the region",
  mask: "Drawing the mask",
  condition: "Reading pose and depth",
  diffuse: "Painting",
  blend: "Blending into the photo",
  encode: "Saving",
};

/** Where a job is; what it counts. */
export function stageOf(progress: Progress, unit = "step"): string {
  if (progress.status === "pending") return "Waiting for its turn";
  const stage = STAGES[progress.stage] ?? "Starting";
  return progress.stage === "diffuse" && progress.totalSteps ? `${stage}, ${unit} ${progress.step} of ${progress.totalSteps}` : stage;
}

/** How far one of several candidates is painted, 0 to 1; null where that is not said. */
export function paintedOf({ candidateSteps, totalSteps }: Progress, index: number): number | null {
  const steps = candidateSteps?.[index];
  return steps === undefined || !candidateSteps || !totalSteps ? null : (steps * candidateSteps.length) / totalSteps;
}

/** What is looked for and repainted. */
export function targetOf({ target }: Routing): string {
  if (!target) return "what you pointed at";
  const named = target.phrase ?? (target.region ? `${target.region} body` : null);
  if (target.place) return `a place at the ${target.place}`;
  if (target.complement) return `everything but ${target.rest ? (target.protected ?? []).join(" and ") : "the main subject"}`;
  if (!named) return "the whole photo";
  const which = target.plural ? "all " : target.position ? `the ${target.position} ` : "";
  return which + named;
}

/** What was found, best first: "rims (92 %, 87 %)". */
export function foundOf(detections: readonly Detection[]): string {
  const byLabel = new Map<string, string[]>();
  for (const { label, score } of detections) byLabel.set(label, [...(byLabel.get(label) ?? []), percent(score)]);
  return [...byLabel].map(([label, scores]) => `${label} (${scores.join(", ")})`).join(", ");
}

export const percent = (share: number) => `${Math.round(100 * share)} %`;

/** The models that painting will need, beside those that have looked at the photo already. */
export function paintersOf(analysis: Analysis, loaded: readonly string[], withReference: boolean): string[] {
  const controls = Object.keys(analysis.metadata.routing?.controls ?? {}).map((control) => `controlnet-${control}`);
  const others = ["ip-adapter", "safety-checker"].filter((name) => loaded.includes(name) && (name !== "ip-adapter" || withReference));
  return [...loaded.filter((name) => name.endsWith("-inpainting")), ...controls, ...others];
}

/** The LoRAs that acted: "ink × 0.8, glass"; an embedding acts fully. */
export function lorasOf(loras: readonly LoraUse[]): string {
  return loras.map(({ name, kind, weight }) => (kind === "embedding" ? name : `${name} × ${weight}`)).join(", ");
}

export function durationOf(milliseconds: number): string {
  return milliseconds < 10_000 ? `${(milliseconds / 1000).toFixed(1)} s` : `${Math.round(milliseconds / 1000)} s`;
}

export function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** A draft, made ready to be sent. */

import { maskImage } from "../mask/drawing";
import { present } from "../mask/history";
import type { Body } from "../api/client";
import { bodyOf } from "./body";
import { type Draft, configOf, editsOf } from "./draft";
import { dataUrl } from "./photo";

/** Why the draft cannot be sent yet, in words; null when it can. */
export function missing(draft: Draft): string | null {
  if (!draft.photo) return "Choose a photo first.";
  const silent = editsOf(draft).findIndex(({ prompt }) => !prompt.trim());
  if (silent < 0) return null;
  return draft.others.length > 0 ? `Say in a sentence what edit ${silent + 1} should change.` : "Say in a sentence what should change.";
}

export class EmptyMask extends Error {
  /** As the service would say it. */
  readonly code = "EMPTY_MASK";

  constructor(of = "") {
    super(`the mask${of} is empty`);
  }
}

/** Raises EmptyMask. */
export async function requestBody(draft: Draft): Promise<Body> {
  if (!draft.photo) throw new Error("there is no photo");
  if (draft.others.length > 0) return (await import("../on-demand")).severalBody(draft, draft.photo);
  if (draft.views.length > 0) return (await import("../on-demand")).viewsBody(draft);
  const steps = present(draft.mask);
  const mask = steps && maskImage(steps, draft.photo);
  if (steps && !mask) throw new EmptyMask();
  return bodyOf({
    base: await dataUrl(draft.photo.blob),
    prompt: draft.prompt,
    negative: draft.negative,
    references: await Promise.all(draft.references.map(({ blob }) => dataUrl(blob))),
    mask,
    points: draft.points,
    box: draft.box,
    config: configOf(draft),
  });
}

/** Requests of several edits, or of several photographs: what single ones do without. */

import type { Body } from "../api/client";
import { type Parts, bodyOf } from "./body";

/** One of several edits, whose mask is drawn or the outline of what was clicked. */
export type EachParts = Pick<Parts, "prompt" | "negative" | "references" | "mask"> & { own: Record<string, unknown> };

/** Several edits of one photo; where each of them is, it says itself. */
export function bodyOfSeveral(base: string, edits: readonly EachParts[], settings: Record<string, unknown>): Body {
  const { target: _ofOne, ...config } = settings;
  if (edits.some(({ mask }) => mask)) config["mask_mode"] = "luminance";
  return {
    base_image: base,
    edits: edits.map(({ prompt, negative, references, mask, own }) => ({
      prompt: prompt.trim(),
      ...(negative.trim() ? { negative_prompt: negative.trim() } : {}),
      ...(mask ? { mask_image: mask } : {}),
      ...(references.length > 0 ? { reference_images: references } : {}),
      ...own,
    })),
    ...(Object.keys(config).length > 0 ? { config } : {}),
  };
}

type InAll = Pick<Parts, "prompt" | "negative" | "references" | "config">;

function bodyInAll(parts: InAll): Body {
  const { base_image: _ofOne, ...rest } = bodyOf({ ...parts, base: "", mask: null, points: [], box: null });
  return rest;
}

/** One edit of several photographs of a thing, in which it is looked for. */
export const bodyOfViews = (bases: readonly string[], parts: InAll): Body => ({ base_images: bases, ...bodyInAll(parts) });

/** One edit of a clip, in every frame. */
export const bodyOfClip = (video: string, parts: InAll): Body => ({ video, ...bodyInAll(parts) });

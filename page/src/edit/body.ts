/** A draft as the body of a request. */

import { type Body, isOfViews } from "../api/client";
import type { Box, Click } from "../mask/geometry";

export interface Parts {
  base: string;
  prompt: string;
  negative: string;
  references: readonly string[];
  mask: string | null;
  points: readonly Click[];
  box: Box | null;
  config: Record<string, unknown>;
}

export const MAX_SEED = 2 ** 32 - 1;

/** Nothing is sent that was not chosen: what is left out has the service's own default. */
export function bodyOf(parts: Parts): Body {
  const config: Record<string, unknown> = { ...parts.config };
  if (parts.mask) config["mask_mode"] = "luminance";
  else {
    if (parts.points.length > 0) config["points"] = parts.points.map(({ x, y, apart }) => [Math.round(x), Math.round(y), ...(apart ? [0] : [])]);
    if (parts.box) config["box"] = parts.box;
  }
  return {
    base_image: parts.base,
    prompt: parts.prompt.trim(),
    ...(parts.negative.trim() ? { negative_prompt: parts.negative.trim() } : {}),
    ...(parts.references.length > 1 ? { reference_images: parts.references } : {}),
    ...(parts.references.length === 1 ? { reference_image: parts.references[0] } : {}),
    ...(parts.mask ? { mask_image: parts.mask } : {}),
    ...(Object.keys(config).length > 0 ? { config } : {}),
  };
}

/** The same body for one job of so many candidates, the first of which has a seed of its own; of views there is one each. */
export function forCandidates(body: Body, seed: number | null, count: number): Body {
  const seeded = seed === null ? body : { ...body, config: { ...(body["config"] as object | undefined), seed } };
  return count === 1 || isOfViews(body) ? seeded : { ...seeded, n: count };
}

/** The seeds of `count` candidates; null leaves the one of a single edit to the service. */
export function seedsOf(count: number, chosen: unknown, random: () => number = Math.random): (number | null)[] {
  const first = typeof chosen === "number" && chosen >= 0 ? chosen : null;
  if (count === 1) return [first];
  const start = first ?? Math.floor(random() * (MAX_SEED + 1 - count));
  return Array.from({ length: count }, (_, index) => (start + index) % (MAX_SEED + 1));
}

/**
 * A mask as the steps that made it, so that every one can be taken back.
 *
 * With no step, or after an `automatic` one, there is no mask of one's own: the service finds the region.
 */

import type { Point } from "./geometry";

/** A two-valued image as the lengths of its runs, row after row; the first run is of what is not repainted. */
export type Runs = Uint32Array;

export type Step =
  | { kind: "whole"; mask: Runs }
  | { kind: "empty" }
  | { kind: "automatic" }
  | { kind: "stroke"; erase: boolean; radius: number; points: Point[] };

export interface MaskHistory {
  readonly done: readonly Step[];
  readonly undone: readonly Step[];
}

export const NO_MASK: MaskHistory = { done: [], undone: [] };

/** What is done now can be taken back; what had been taken back is gone. */
export function after(history: MaskHistory, ...steps: Step[]): MaskHistory {
  return { done: [...history.done, ...steps], undone: [] };
}

/** A stroke that began from a found mask is one step for the hand, so both go together. */
export function undo(history: MaskHistory): MaskHistory {
  const count = stepsAtEnd(history.done);
  if (count === 0) return history;
  const at = history.done.length - count;
  return { done: history.done.slice(0, at), undone: [...history.done.slice(at), ...history.undone] };
}

export function redo(history: MaskHistory): MaskHistory {
  const first = history.undone[0];
  if (!first) return history;
  const count = first.kind === "whole" && history.undone[1]?.kind === "stroke" ? 2 : 1;
  return { done: [...history.done, ...history.undone.slice(0, count)], undone: history.undone.slice(count) };
}

function stepsAtEnd(done: readonly Step[]): number {
  const last = done.at(-1);
  if (!last) return 0;
  return last.kind === "stroke" && done.at(-2)?.kind === "whole" ? 2 : 1;
}

/** The steps that make up the present mask, from the last one that replaced everything; null without an own mask. */
export function present(history: MaskHistory): readonly Step[] | null {
  const start = history.done.findLastIndex((step) => step.kind !== "stroke");
  const automatic = start < 0 || history.done[start]?.kind === "automatic";
  const steps = history.done.slice(automatic ? start + 1 : start);
  return steps.length > 0 ? steps : null;
}

/** The runs of a mask: `values` of 128 and more are repainted. */
export function runsOf(values: Uint8Array | Uint8ClampedArray): Runs {
  const runs: number[] = [];
  let inside = false;
  let length = 0;
  for (const value of values) {
    if (value >= 128 !== inside) {
      runs.push(length);
      length = 0;
      inside = !inside;
    }
    length += 1;
  }
  runs.push(length);
  return Uint32Array.from(runs);
}

/** The mask again, 0 or 255, `length` pixels; missing runs are not repainted. */
export function valuesOf(runs: Runs, length: number): Uint8ClampedArray {
  const values = new Uint8ClampedArray(length);
  let at = 0;
  runs.forEach((run, index) => {
    if (index % 2 === 1) values.fill(255, at, at + run);
    at += run;
  });
  return values;
}

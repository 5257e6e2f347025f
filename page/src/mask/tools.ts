/** The tool in the hand, and what it does to the draft. */

import { computed, signal } from "@preact/signals";

import { abilities } from "../api/service";
import { changeMask, draft, ownMask, select } from "../edit/draft";
import type { Box, Click, Point, Size } from "./geometry";
import { type Runs, type Step, after } from "./history";

export type Tool = "brush" | "eraser" | "click" | "box";

export const tool = signal<Tool>("brush");
/** Width of the brush, in percent of the photo's longer side. */
export const breadth = signal(6);
export const maskShown = signal(true);

/** The tools that this service understands. */
export const tools = computed<Tool[]>(() => [
  "brush", "eraser", ...(abilities.value.clicks ? ["click" as const] : []), ...(abilities.value.boxes ? ["box" as const] : []),
]);

export const isBrush = computed(() => tool.value === "brush" || tool.value === "eraser");
export const radiusOn = (photo: Size) => Math.max(0.5, (breadth.value / 200) * Math.max(photo.width, photo.height));

/** Add a stroke; the first one corrects what was found, if something was. */
export function addStroke(points: Point[], radius: number, found: Runs | null): void {
  const stroke: Step = { kind: "stroke", erase: tool.value === "eraser", radius, points };
  const start: Step[] = ownMask.value === null && found ? [{ kind: "whole", mask: found }] : [];
  changeMask(after(draft.value.mask, ...start, stroke));
}

export function addPoint(point: Click): void {
  select({ points: [...draft.value.points, point] });
}

export function setBox(box: Box): void {
  select({ box });
}

/** Nothing of one's own: the service finds the region again. */
export function leaveItToTheService(): void {
  changeMask(after(draft.value.mask, { kind: "automatic" }));
  select({ points: [], box: null });
}

export function emptyMask(): void {
  changeMask(after(draft.value.mask, { kind: "empty" }));
}

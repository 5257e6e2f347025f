/** Several edits of one photo: which is in the hand, and all of them as a request. */

import type { Body } from "../api/client";
import { differing } from "../api/settings";
import { abilities, client } from "../api/service";
import { maskImage, valuesOfMask } from "../mask/drawing";
import { present, runsOf } from "../mask/history";
import { bodyOfSeveral } from "./bodies";
import { bodyOf } from "./body";
import { type Draft, EMPTY_EDIT, type Edit, change, configOf, draft, editsOf } from "./draft";
import { EmptyMask } from "./parts";
import { type Photo, dataUrl } from "./photo";

/** What stands in the settings, and of several edits belongs to each. */
const OF_ONE = "target";

/** One more comes into the hand, after all others. */
export function addEdit(): void {
  const { chosen, own, others } = draft.value;
  const { [OF_ONE]: target, ...shared } = chosen;
  const before = others.length > 0 || !target ? draft.value : { ...draft.value, own: { ...own, [OF_ONE]: target } };
  change({ ...EMPTY_EDIT, chosen: shared, others: editsOf(before), place: others.length + 1 });
}

export function takeInHand(place: number): void {
  put(editsOf(draft.value), place);
}

/** The last one that is left is an edit like any other: what it had of its own is set for it. */
export function removeEdit(place: number): void {
  const { chosen, place: inHand } = draft.value;
  const edits = editsOf(draft.value).toSpliced(place, 1);
  put(edits, Math.min(inHand > place ? inHand - 1 : inHand, edits.length - 1));
  if (edits.length === 1) change({ chosen: { ...chosen, ...draft.value.own }, own: {} });
}

export function setOwn(name: string, value: unknown): void {
  change({ own: { ...draft.value.own, [name]: value } });
}

function put(edits: Edit[], place: number): void {
  const edit = edits[place];
  if (edit) change({ ...edit, others: edits.toSpliced(place, 1), place });
}

/** Raises EmptyMask, and ApiError where a click or a box selects nothing. */
export async function severalBody(draft: Draft, photo: Photo): Promise<Body> {
  const base = await dataUrl(photo.blob);
  const own = abilities.value.edits?.own ?? [];
  const edits = await Promise.all(
    editsOf(draft).map(async (edit, place) => ({
      prompt: edit.prompt,
      negative: edit.negative,
      references: await Promise.all(edit.references.map(({ blob }) => dataUrl(blob))),
      mask: await maskOf(edit, photo, base, ` of edit ${place + 1}`),
      own: differing(own, edit.own),
    })),
  );
  return bodyOfSeveral(base, edits, configOf(draft));
}

async function maskOf(edit: Edit, photo: Photo, base: string, which: string): Promise<string | null> {
  const steps = present(edit.mask);
  if (!steps) return edit.points.length > 0 || edit.box ? outlineOf(edit, photo, base, which) : null;
  const mask = maskImage(steps, photo);
  if (!mask) throw new EmptyMask(which);
  return mask;
}

const outlines = new WeakMap<object, { of: Edit; base: string; made: Promise<string> }>();

/** The outline of what was clicked, as a mask: several edits know no clicks. Asked for once. */
function outlineOf(edit: Edit, photo: Photo, base: string, which: string): Promise<string> {
  const key = edit.box ?? edit.points;
  const known = outlines.get(key);
  if (known && known.base === base && known.of.points === edit.points && known.of.prompt === edit.prompt) return known.made;
  const made = outlined(edit, photo, base, which);
  outlines.set(key, { of: edit, base, made });
  made.catch(() => outlines.delete(key));
  return made;
}

async function outlined({ prompt, points, box }: Edit, photo: Photo, base: string, which: string): Promise<string> {
  const body = bodyOf({ base, prompt, negative: "", references: [], mask: null, points, box, config: {} });
  const { mask } = await client.analyze(body, new AbortController().signal);
  const image = maskImage([{ kind: "whole", mask: runsOf(await valuesOfMask(mask, photo)) }], photo);
  if (!image) throw new EmptyMask(which);
  return image;
}

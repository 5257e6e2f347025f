/** Several photographs of one thing: how they come in, and all of them as a request. */

import type { Body } from "../api/client";
import { abilities, abilitiesLearnt } from "../api/service";
import { after, present } from "../mask/history";
import { shown } from "../runs/running";
import { bodyOfClip, bodyOfViews } from "./bodies";
import { type Draft, change, configOf, draft, takePhoto } from "./draft";
import { type Photo, dataUrl, photoFrom } from "./photo";
import { takingError } from "./taking";

/** All of a draft, in order. */
export const photographsOf = ({ photo, views }: Draft): Photo[] => (photo ? [photo, ...views] : views);

/** Beside those that there are, or in their place; as many as the service edits together. */
export async function takeViews(files: readonly File[], anew: boolean): Promise<void> {
  takingError.value = null;
  try {
    const [taken] = await Promise.all([Promise.all(files.map((file) => photoFrom(file, file.name))), abilitiesLearnt]);
    const all = [...(anew ? [] : photographsOf(draft.value)), ...taken];
    const most = abilities.value.views;
    keep(all.slice(0, most));
    shown.value = null;
    if (all.length > most) takingError.value = new Error(`No more than ${most} photographs are edited together: the rest is left out.`);
  } catch (error) {
    takingError.value = error;
  }
}

export function removePhotograph(place: number): void {
  keep(photographsOf(draft.value).toSpliced(place, 1));
}

/** What was drawn on the first one lies in the history of its mask: in several photographs the thing is looked for. */
function keep([first, ...views]: readonly Photo[]): void {
  const { photo, mask } = draft.value;
  if (first !== photo) takePhoto(first ?? null, views);
  else if (views.length === 0) change({ views });
  else change({ views, points: [], box: null, mask: present(mask) ? after(mask, { kind: "automatic" }) : mask });
}

export async function viewsBody(draft: Draft): Promise<Body> {
  const [clip] = draft.views;
  const urls = (photos: readonly Photo[]) => Promise.all(photos.map(({ blob }) => dataUrl(blob)));
  const [bases, references] = await Promise.all([urls(clip?.clip ? [clip] : photographsOf(draft)), urls(draft.references)]);
  const parts = { prompt: draft.prompt, negative: draft.negative, references, config: configOf(draft) };
  return clip?.clip && bases[0] ? bodyOfClip(bases[0], parts) : bodyOfViews(bases, parts);
}

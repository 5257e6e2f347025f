/** An image comes in: as the photo, or as a reference beside those that there are; what is too many was the oldest. */

import { signal } from "@preact/signals";

import { abilities, abilitiesLearnt } from "../api/service";
import { shown } from "../runs/running";
import { change, draft, takePhoto } from "./draft";
import { photoFrom } from "./photo";

/** Why the last file could not be taken. */
export const takingError = signal<unknown>(null);

const MAY_MOVE = /gif|webp|^video/;

export type Place = "photo" | "reference" | "view";

/** Several photos at once are of one thing, where the service edits such together; else the first one is taken. */
export async function takeAll(files: File[], as: Place): Promise<void> {
  if (files.length > 1) await abilitiesLearnt;
  const together = as === "photo" && files.length > 1 && abilities.value.views > 1 && draft.value.others.length === 0;
  if (as === "view" || together) await (await import("../on-demand")).takeViews(files, together);
  else if (files[0]) await take(files[0], as);
}

export async function take(blob: Blob, as: "photo" | "reference", name = blob instanceof File ? blob.name : "image"): Promise<void> {
  takingError.value = null;
  try {
    if (as === "photo" && MAY_MOVE.test(blob.type)) {
      await abilitiesLearnt;
      if (abilities.value.video && (await (await import("../on-demand")).takeClip(blob, name))) return;
    }
    const taken = await photoFrom(blob, name || "pasted image");
    if (as === "reference") {
      await abilitiesLearnt;
      change({ references: [...draft.value.references, taken].slice(-abilities.value.references) });
    } else {
      takePhoto(taken);
      shown.value = null;
    }
  } catch (error) {
    takingError.value = error;
  }
}

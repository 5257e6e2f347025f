/** An image comes in: as the photo, or as a reference beside those that there are; what is too many was the oldest. */

import { signal } from "@preact/signals";

import { abilities, abilitiesLearnt } from "../api/service";
import { shown } from "../runs/running";
import { change, draft, takePhoto } from "./draft";
import { photoFrom } from "./photo";

/** Why the last file could not be taken. */
export const takingError = signal<unknown>(null);

export async function take(blob: Blob, as: "photo" | "reference", name = blob instanceof File ? blob.name : "image"): Promise<void> {
  takingError.value = null;
  try {
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

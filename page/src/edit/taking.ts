/** An image comes in: as the photo or as the reference. */

import { signal } from "@preact/signals";

import { shown } from "../runs/running";
import { change, takePhoto } from "./draft";
import { photoFrom } from "./photo";

/** Why the last file could not be taken. */
export const takingError = signal<unknown>(null);

export async function take(blob: Blob, as: "photo" | "reference", name = blob instanceof File ? blob.name : "image"): Promise<void> {
  takingError.value = null;
  try {
    const taken = await photoFrom(blob, name || "pasted image");
    if (as === "reference") change({ reference: taken });
    else {
      takePhoto(taken);
      shown.value = null;
    }
  } catch (error) {
    takingError.value = error;
  }
}

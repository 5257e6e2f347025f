/** A clip: how it comes in, with its first frame as the photo of the draft. */

import { shown } from "../runs/running";
import { takePhoto } from "./draft";
import { NotAnImage, redrawn } from "./photo";

/** Whether it is one; a GIF or WebP that does not move is a photo. Raises NotAnImage for one that cannot be shown. */
export async function takeClip(blob: Blob, name: string): Promise<boolean> {
  const isFilm = blob.type.startsWith("video/");
  if (!isFilm && !moves(new Uint8Array(await blob.arrayBuffer()))) return false;
  const frame = await (isFilm ? firstOfFilm(blob) : createImageBitmap(blob)).catch(() => {
    throw new NotAnImage(`“${name}” is no clip that this browser can show. GIF and animated WebP always work.`);
  });
  const { width, height } = frame;
  const still = { name, width, height, note: null, blob: await redrawn(frame, { width, height }, "image/png") };
  takePhoto(still, [{ name, width, height, note: null, blob, clip: true }]);
  shown.value = null;
  return true;
}

/** Of a GIF whether it has a second picture, of a WebP what its header says. */
export function moves(bytes: Uint8Array): boolean {
  if (bytes[0] === 0x52) return bytes[15] === 0x58 && (bytes[20]! & 2) > 0; // RIFF .... WEBPVP8X, and the flag
  let pictures = 0;
  for (let at = 0; at + 8 < bytes.length && pictures < 2; at += 1) {
    // A graphic control extension, which each picture of several has.
    if (bytes[at] === 0x21 && bytes[at + 1] === 0xf9 && bytes[at + 2] === 4 && bytes[at + 7] === 0) pictures += 1;
  }
  return pictures > 1;
}

async function firstOfFilm(blob: Blob): Promise<ImageBitmap> {
  const film = document.createElement("video");
  film.muted = true;
  film.src = URL.createObjectURL(blob);
  try {
    await new Promise((done, fail) => {
      film.onloadeddata = done;
      film.onerror = fail;
    });
    return await createImageBitmap(film);
  } finally {
    URL.revokeObjectURL(film.src);
  }
}

/** Photos as people bring them: files, pasted, dropped, or a result that is edited further. */

import { canvasOf } from "../mask/drawing";
import { type Size, fitted } from "../mask/geometry";

export interface Photo extends Size {
  name: string;
  blob: Blob;
  /** Said to the person, when the page had to change something. */
  note: string | null;
  /** It is no photo but a clip, which a draft has among its views. */
  clip?: true;
}

/** What the service reads; anything else that the browser can show is turned into a PNG. */
const READ_BY_THE_SERVICE = ["image/png", "image/jpeg", "image/webp"];
export const ACCEPTED = "image/*,video/*";

export class NotAnImage extends Error {}

/** A photo upright, in its own size. Raises NotAnImage for what the browser cannot show. */
export async function photoFrom(blob: Blob, name: string): Promise<Photo> {
  const bitmap = await createImageBitmap(blob).catch(() => {
    throw new NotAnImage(`“${name}” is not an image that this browser can read. JPEG, PNG and WebP always work.`);
  });
  const { width, height } = bitmap;
  if (READ_BY_THE_SERVICE.includes(blob.type)) return { name, blob, width, height, note: null };
  return { name, blob: await redrawn(bitmap, { width, height }, "image/png"), width, height, note: "Turned into a PNG, which the service can read." };
}

/** The photo with no side longer than `longest`. */
export async function scaledDown(photo: Photo, longest: number): Promise<Photo> {
  const bitmap = await createImageBitmap(photo.blob);
  const size = fitted(photo, longest);
  const type = photo.blob.type === "image/jpeg" ? "image/jpeg" : "image/png";
  const note = `Scaled down from ${photo.width} × ${photo.height} pixels.`;
  return { ...size, name: photo.name, blob: await redrawn(bitmap, size, type), note };
}

export function redrawn(bitmap: ImageBitmap, size: Size, type: string): Promise<Blob> {
  const canvas = canvasOf(size);
  const pen = canvas.getContext("2d");
  if (pen) pen.imageSmoothingQuality = "high";
  pen?.drawImage(bitmap, 0, 0, size.width, size.height);
  return new Promise((done, fail) => {
    canvas.toBlob((blob) => (blob ? done(blob) : fail(new NotAnImage("The image is too large for this browser."))), type, 0.95);
  });
}

/** The images and clips among what was dropped or pasted. */
export function imagesIn(transfer: DataTransfer | null): File[] {
  return [...(transfer?.files ?? [])].filter(({ type }) => /^$|^(image|video)\//.test(type));
}

const dataUrls = new WeakMap<Blob, Promise<string>>();

/** A blob as a data URL, made once. */
export function dataUrl(blob: Blob): Promise<string> {
  let made = dataUrls.get(blob);
  if (!made) {
    made = new Promise((done, fail) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result as string);
      reader.onerror = () => fail(new NotAnImage("The file cannot be read any more."));
      reader.readAsDataURL(blob);
    });
    dataUrls.set(blob, made);
  }
  return made;
}

/** An image of an answer; its type is told by its first bytes. */
export function blobOf(base64: string): Blob {
  const text = atob(base64);
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const type = text.startsWith("\x89PNG") ? "image/png" : text.startsWith("RIFF") ? "image/webp" : "image/jpeg";
  return new Blob([bytes], { type });
}

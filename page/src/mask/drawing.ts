/** Masks on canvases: repainted pixels are opaque, the others transparent. */

import type { Point, Size } from "./geometry";
import { type Step, runsOf, valuesOf } from "./history";

/** Of what is shown; what is sent is black and white. */
export const TINT = "rgb(236, 72, 153)";
const TINT_CHANNELS = [236, 72, 153] as const;

export function context(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const made = canvas.getContext("2d", { willReadFrequently: true });
  if (!made) throw new Error("this browser has no canvas");
  return made;
}

/** Draw a mask from its steps. */
export function draw(canvas: HTMLCanvasElement, steps: readonly Step[]): void {
  const pen = context(canvas);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  for (const step of steps) {
    if (step.kind === "whole") drawAlpha(canvas, valuesOf(step.mask, canvas.width * canvas.height));
    else if (step.kind === "stroke") drawStroke(canvas, step.points, step.radius, step.erase);
  }
}

/** Draw a mask of 0 to 255 per pixel. */
export function drawAlpha(canvas: HTMLCanvasElement, values: ArrayLike<number>): void {
  const pen = context(canvas);
  const image = pen.createImageData(canvas.width, canvas.height);
  for (let at = 0; at < values.length; at += 1) {
    image.data.set(TINT_CHANNELS, 4 * at);
    image.data[4 * at + 3] = values[at] ?? 0;
  }
  pen.putImageData(image, 0, 0);
}

/** Draw a line through points; one point is a dab. */
export function drawStroke(canvas: HTMLCanvasElement, points: readonly Point[], radius: number, erase: boolean): void {
  const [first, ...others] = points;
  if (!first) return;
  const pen = context(canvas);
  pen.save();
  pen.globalCompositeOperation = erase ? "destination-out" : "source-over";
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = TINT;
  pen.lineWidth = 2 * radius;
  pen.beginPath();
  pen.moveTo(first.x, first.y);
  for (const point of others.length > 0 ? others : [first]) pen.lineTo(point.x, point.y);
  pen.stroke();
  pen.restore();
}

/** How much of each pixel is repainted, 0 to 255. */
export function alphaOf(canvas: HTMLCanvasElement): Uint8ClampedArray {
  const { data } = context(canvas).getImageData(0, 0, canvas.width, canvas.height);
  const alpha = new Uint8ClampedArray(data.length / 4);
  for (let at = 0; at < alpha.length; at += 1) alpha[at] = data[4 * at + 3] ?? 0;
  return alpha;
}

/** The grey values of a mask that the service answered with: a PNG in base64. */
export async function valuesOfMask(png: string, size: Size): Promise<Uint8ClampedArray> {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = canvasOf(size);
  const pen = context(canvas);
  pen.drawImage(image, 0, 0);
  const { data } = pen.getImageData(0, 0, size.width, size.height);
  const values = new Uint8ClampedArray(data.length / 4);
  for (let at = 0; at < values.length; at += 1) values[at] = data[4 * at] ?? 0;
  return values;
}

/** The steps as the service takes a mask: a PNG data URL, white = repaint; null when nothing would be. */
export function maskImage(steps: readonly Step[], size: Size): string | null {
  const canvas = canvasOf(size);
  draw(canvas, steps);
  const values = valuesOf(runsOf(alphaOf(canvas)), size.width * size.height);
  if (!values.includes(255)) return null;
  const pen = context(canvas);
  const image = pen.createImageData(size.width, size.height);
  for (let at = 0; at < values.length; at += 1) image.data.fill(values[at] ?? 0, 4 * at, 4 * at + 3).fill(255, 4 * at + 3, 4 * at + 4);
  pen.putImageData(image, 0, 0);
  return canvas.toDataURL("image/png");
}

export function canvasOf(size: Size): HTMLCanvasElement {
  return Object.assign(document.createElement("canvas"), size);
}

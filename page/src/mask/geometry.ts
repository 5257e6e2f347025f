/** Where things are: points of the screen and points of the photo. A photo's pixels are counted from its upper left. */

export interface Size {
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

/** A click: on the thing that is meant, or `apart` from it. */
export interface Click extends Point {
  apart?: boolean;
}

/** `[x0, y0, x1, y1]` in pixels of the photo, x0 < x1 and y0 < y1, as the service takes and gives boxes. */
export type Box = [number, number, number, number];

/** A box that a hand has not really drawn: smaller than this, it was a slip. */
export const LEAST_BOX_PX = 4;

const within = (value: number, most: number) => Math.min(Math.max(value, 0), most);

/** The pixel of a photo, shown in `shown`, that a point of the screen lies on; the nearest one for a point outside. */
export function photoPoint(screen: Point, shown: { left: number; top: number } & Size, photo: Size): Point {
  return {
    x: within(((screen.x - shown.left) / shown.width) * photo.width, photo.width - 1),
    y: within(((screen.y - shown.top) / shown.height) * photo.height, photo.height - 1),
  };
}

/** The box between two corners, in whole pixels inside the photo; null for a slip of the hand. */
export function boxBetween(one: Point, other: Point, photo: Size): Box | null {
  const box: Box = [
    within(Math.floor(Math.min(one.x, other.x)), photo.width),
    within(Math.floor(Math.min(one.y, other.y)), photo.height),
    within(Math.ceil(Math.max(one.x, other.x)), photo.width),
    within(Math.ceil(Math.max(one.y, other.y)), photo.height),
  ];
  return box[2] - box[0] < LEAST_BOX_PX || box[3] - box[1] < LEAST_BOX_PX ? null : box;
}

/** How far a mask reaches beyond its thing, of the photo's longer side: as much as it is dilated by default, and a little more. */
const RIM = 0.04;

/** Of a mask of several things, given by rows, what belongs to the one in `box`: what lies in it, and its rim beside the boxes of the others. */
export function shareOf(values: Uint8ClampedArray, [left, top, right, bottom]: Box, others: readonly Box[], { width, height }: Size): Uint8ClampedArray {
  const rim = Math.ceil(RIM * Math.max(width, height));
  const around: Box = [left - rim, top - rim, right + rim, bottom + rim];
  return values.map((value, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    return holds([left, top, right, bottom], x, y) || (holds(around, x, y) && !others.some((other) => holds(other, x, y))) ? value : 0;
  });
}

const holds = ([left, top, right, bottom]: Box, x: number, y: number) => x >= left && x < right && y >= top && y < bottom;

/** A size scaled down so that no side is longer than `longest`; a smaller one stays as it is. */
export function fitted(size: Size, longest: number): Size {
  const scale = Math.min(1, longest / Math.max(size.width, size.height));
  return {
    width: Math.max(1, Math.round(size.width * scale)),
    height: Math.max(1, Math.round(size.height * scale)),
  };
}

import { expect, test } from "vitest";

import { boxBetween, fitted, photoPoint, shareOf } from "../src/mask/geometry";

const PHOTO = { width: 400, height: 200 };
const SHOWN = { left: 10, top: 20, width: 200, height: 100 };

test("a point of the screen is the pixel that is shown there", () => {
  expect(photoPoint({ x: 110, y: 70 }, SHOWN, PHOTO)).toEqual({ x: 200, y: 100 });
  expect(photoPoint({ x: 10, y: 20 }, SHOWN, PHOTO)).toEqual({ x: 0, y: 0 });
});

test("a point outside is the nearest pixel inside", () => {
  expect(photoPoint({ x: -500, y: 5000 }, SHOWN, PHOTO)).toEqual({ x: 0, y: 199 });
  expect(photoPoint({ x: 211, y: 0 }, SHOWN, PHOTO)).toEqual({ x: 399, y: 0 });
});

test("a box may be drawn from any corner and holds both of them", () => {
  const box = [10, 20, 31, 41];
  expect(boxBetween({ x: 10.7, y: 20.2 }, { x: 30.1, y: 40.9 }, PHOTO)).toEqual(box);
  expect(boxBetween({ x: 30.1, y: 20.2 }, { x: 10.7, y: 40.9 }, PHOTO)).toEqual(box);
});

test("a slip of the hand is no box", () => {
  expect(boxBetween({ x: 10, y: 10 }, { x: 13, y: 90 }, PHOTO)).toBeNull();
  expect(boxBetween({ x: 10, y: 10 }, { x: 14, y: 14 }, PHOTO)).toEqual([10, 10, 14, 14]);
});

test("of a mask of several things, one has what lies in its box, and a rim that is no other's", () => {
  const mask = Uint8ClampedArray.from({ length: 20 }, (_, at) => at + 1);
  const size = { width: 10, height: 2 };
  const row = (values: Uint8ClampedArray) => [...values].slice(0, 10);
  expect(row(shareOf(mask, [3, 0, 5, 1], [], size))).toEqual([0, 0, 3, 4, 5, 6, 0, 0, 0, 0]);
  expect(row(shareOf(mask, [3, 0, 5, 1], [[5, 0, 8, 1]], size))).toEqual([0, 0, 3, 4, 5, 0, 0, 0, 0, 0]);
  expect(row(shareOf(mask, [3, 0, 5, 1], [[4, 0, 8, 1]], size))).toEqual([0, 0, 3, 4, 5, 0, 0, 0, 0, 0]);
  expect([...shareOf(mask, [3, 0, 5, 1], [], size)].slice(10)).toEqual([0, 0, 13, 14, 15, 16, 0, 0, 0, 0]);
});

test("a photo is scaled to the limit by its longer side, and never up", () => {
  expect(fitted({ width: 4000, height: 3000 }, 2048)).toEqual({ width: 2048, height: 1536 });
  expect(fitted({ width: 30, height: 9000 }, 2048)).toEqual({ width: 7, height: 2048 });
  expect(fitted(PHOTO, 2048)).toEqual(PHOTO);
});

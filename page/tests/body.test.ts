import { expect, test } from "vitest";

import { type EachParts, bodyOfSeveral, bodyOfViews } from "../src/edit/bodies";
import { MAX_SEED, type Parts, bodyOf, forCandidates, seedsOf } from "../src/edit/body";

const PARTS: Parts = { base: "data:photo", prompt: " blue car ", negative: " ", references: [], mask: null, points: [], box: null, config: {} };

test("nothing is sent that was not chosen", () => {
  expect(bodyOf(PARTS)).toEqual({ base_image: "data:photo", prompt: "blue car" });
});

test("a mask of one's own says which side is meant, and takes the place of clicks", () => {
  expect(bodyOf({ ...PARTS, mask: "data:mask", points: [{ x: 1, y: 2 }], box: [1, 2, 9, 9] })).toEqual({
    base_image: "data:photo", prompt: "blue car", mask_image: "data:mask", config: { mask_mode: "luminance" },
  });
});

test("one reference has the name that every version of the service knows, several are a list", () => {
  expect(bodyOf({ ...PARTS, references: ["data:a"] })).toEqual({ base_image: "data:photo", prompt: "blue car", reference_image: "data:a" });
  expect(bodyOf({ ...PARTS, references: ["data:a", "data:b"] })["reference_images"]).toEqual(["data:a", "data:b"]);
});

test("clicks and boxes are whole pixels of the photo", () => {
  const body = bodyOf({ ...PARTS, points: [{ x: 1.4, y: 2.6 }, { x: 5, y: 6, apart: true }], box: [1, 2, 9, 9], config: { num_inference_steps: 30 } });
  expect(body["config"]).toEqual({ num_inference_steps: 30, points: [[1, 3], [5, 6, 0]], box: [1, 2, 9, 9] });
});

test("candidates have seeds that follow one another, from the one that was chosen", () => {
  expect(seedsOf(1, undefined)).toEqual([null]);
  expect(seedsOf(1, 7)).toEqual([7]);
  expect(seedsOf(3, 7)).toEqual([7, 8, 9]);
  expect(seedsOf(2, MAX_SEED)).toEqual([MAX_SEED, 0]);
  expect(seedsOf(2, -1, () => 0)).toEqual([0, 1]);
  const [, last] = seedsOf(2, undefined, () => 0.999999999999);
  expect(last).toBeLessThanOrEqual(MAX_SEED);
});

const EACH: EachParts = { prompt: " blue car ", negative: " ", references: [], mask: null, own: {} };

test("several edits say each for itself what, where and after what, and share the rest", () => {
  const lamp: EachParts = { prompt: "a tree", negative: "rust", references: ["data:a"], mask: "data:mask", own: { strength: 0.9 } };
  expect(bodyOfSeveral("data:photo", [EACH, lamp], { seed: 7 })).toEqual({
    base_image: "data:photo",
    edits: [{ prompt: "blue car" }, { prompt: "a tree", negative_prompt: "rust", mask_image: "data:mask", reference_images: ["data:a"], strength: 0.9 }],
    config: { seed: 7, mask_mode: "luminance" },
  });
});

test("where one edit is is not said for all of several", () => {
  expect(bodyOfSeveral("data:photo", [EACH, EACH], { target: "lamp" })).toEqual({ base_image: "data:photo", edits: [{ prompt: "blue car" }, { prompt: "blue car" }] });
});

test("LoRAs stand beside the settings", () => {
  const loras = { ink: 0.8, glass: -1 };
  expect(bodyOf({ ...PARTS, config: { sharpen: true, loras } })["config"]).toEqual({ sharpen: true, loras });
});

test("a seed is added to the settings, not put in their place", () => {
  const body = { prompt: "x", config: { sharpen: true } };
  expect(forCandidates(body, 5, 1)).toEqual({ prompt: "x", config: { sharpen: true, seed: 5 } });
  expect(forCandidates(body, 5, 3)).toEqual({ prompt: "x", n: 3, config: { sharpen: true, seed: 5 } });
  expect(forCandidates(body, null, 1)).toEqual(body);
});

test("several photographs have one sentence, and no place that is of one of them", () => {
  const parts = { prompt: " blue car ", negative: "rust", references: ["data:a"], config: { seed: 7 } };
  expect(bodyOfViews(["data:photo", "data:side"], parts)).toEqual({
    base_images: ["data:photo", "data:side"], prompt: "blue car", negative_prompt: "rust", reference_image: "data:a", config: { seed: 7 },
  });
});

test("of views there is one result each, of one seed", () => {
  const body = { base_images: ["a", "b"], prompt: "x" };
  expect(forCandidates(body, 5, 2)).toEqual({ ...body, config: { seed: 5 } });
  expect(forCandidates(body, null, 2)).toEqual(body);
});

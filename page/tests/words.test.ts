import { expect, test } from "vitest";

import { ApiError, type Analysis, type Routing } from "../src/api/client";
import { STARTING } from "../src/api/following";
import { foundOf, lorasOf, paintedOf, paintersOf, sentence, stageOf, targetOf, told } from "../src/words";

const routing = (target: Routing["target"]): Routing => ({ pipeline: "simple", rule: "default", reason: "", controls: { depth: 0.8 }, target, generation_prompt: "" });

test("an error says what happened and what to do", () => {
  const error = new ApiError("NO_DETECTION", "nothing was found for 'rims'", 422);
  expect(told(error)).toMatchObject({ title: "Nothing found to change", message: "Nothing was found for 'rims'.", advice: expect.stringContaining("brush") });
  expect(told(new ApiError("QUEUE_FULL", "the queue is full", 503, {}, 5)).advice).toMatch(/\(in 5 s\)$/);
  expect(told({ code: "TIMEOUT", message: "too long" }).advice).toContain("Fewer steps");
  expect(told(new Error("no such thing"))).toMatchObject({ title: "That did not work", message: "No such thing.", advice: "" });
});

test("what is changed is said as a person would", () => {
  expect(targetOf(routing({ phrase: "rims", plural: true }))).toBe("all rims");
  expect(targetOf(routing({ phrase: "mug", position: "left" }))).toBe("the left mug");
  expect(targetOf(routing({ region: "upper" }))).toBe("upper body");
  expect(targetOf(routing({ phrase: "background", complement: true }))).toBe("everything but the main subject");
  expect(targetOf(routing({ complement: true, rest: true, protected: ["car", "tree"] }))).toBe("everything but car and tree");
  expect(targetOf(routing({ place: "corner" }))).toBe("a place at the corner");
  expect(targetOf(routing({}))).toBe("the whole photo");
  expect(targetOf(routing(null))).toBe("what you pointed at");
});

test("what was found is told by name", () => {
  const box: [number, number, number, number] = [0, 0, 1, 1];
  expect(foundOf([{ label: "rims", score: 0.92, box }, { label: "rims", score: 0.3, box }, { label: "car", score: 1, box }])).toBe("rims (92 %, 30 %), car (100 %)");
});

test("the models that will paint are those that the service has and the decision needs", () => {
  const analysis: Analysis = { mask: "", pipeline: "complex", models_used: [], metadata: { routing: routing({}) } };
  const loaded = ["yolox", "sd-inpainting", "ip-adapter"];
  expect(paintersOf(analysis, loaded, false)).toEqual(["sd-inpainting", "controlnet-depth"]);
  expect(paintersOf(analysis, loaded, true)).toEqual(["sd-inpainting", "controlnet-depth", "ip-adapter"]);
});

test("the LoRAs that acted are told with their weights; an embedding has none", () => {
  expect(lorasOf([{ name: "ink", kind: "lora", weight: -0.5 }, { name: "glass", kind: "embedding", weight: 1 }])).toBe("ink × -0.5, glass");
});

test("a job's stage is a sentence", () => {
  expect(stageOf(STARTING)).toBe("Waiting for its turn");
  expect(stageOf({ ...STARTING, status: "processing", stage: "diffuse", step: 5, totalSteps: 16 })).toBe("Painting, step 5 of 16");
  expect(sentence("the prompt is about a car (car)")).toBe("The prompt is about a car (car).");
});

test("how far each candidate is, is said where the service says it", () => {
  const progress = { ...STARTING, status: "processing", stage: "diffuse", step: 12, totalSteps: 40, candidateSteps: [10, 2] };
  expect([0, 1, 2].map((index) => paintedOf(progress, index))).toEqual([0.5, 0.1, null]);
  expect(paintedOf({ ...progress, candidateSteps: null }, 0)).toBeNull();
});

import { expect, test } from "vitest";

import type { Lora, LoraShelf } from "../src/api/client";
import { kept, nameOf, refusal, sizeOf, withWord } from "../src/edit/lora-choice";

const MB = 2 ** 20;
const lora = (name: string, source: Lora["source"], size_bytes: number): Lora =>
  ({ name, kind: "lora", source, family: "sd15", fits: true, trigger_words: [], size_bytes });
const SHELF: LoraShelf = {
  loras: [lora("ink", "upload", 90 * MB), lora("house-style", "operator", 500 * MB)],
  uploads: { max_size_bytes: 64 * MB, max_per_owner: 3, max_bytes_per_owner: 100 * MB },
};

test("the operator's own take nothing of the caller's room", () => {
  expect(kept(SHELF.loras)).toEqual({ count: 1, bytes: 90 * MB });
});

test("what the service would not take is said before it is sent", () => {
  expect(refusal({ name: "a.safetensors", size: 10 * MB }, SHELF)).toBeNull();
  expect(refusal({ name: "a.ckpt", size: 1 }, SHELF)).toBe("“a.ckpt” is not a .safetensors file");
  expect(refusal({ name: "a.safetensors", size: 65 * MB }, SHELF)).toBe("“a.safetensors” has 65 MB, and a file may have 64 MB");
  expect(refusal({ name: "a.safetensors", size: 10 * MB + 1 }, SHELF)).toBe("“a.safetensors” has 10 MB, and there is room for 10 MB more");
});

test("a trigger word comes into the sentence once", () => {
  expect(withWord("replace the mug with a teapot", "ink wash")).toBe("replace the mug with a teapot, ink wash");
  expect(withWord("an Ink Wash teapot", "ink wash")).toBe("an Ink Wash teapot");
  expect(withWord(" ", "ink wash")).toBe("ink wash");
  expect(withWord("a teapot, ", "ink wash")).toBe("a teapot, ink wash");
});

test("sizes and names are told as the service has them", () => {
  expect([0, 25_000, 1.25 * MB, 394 * MB, 4096 * MB].map(sizeOf)).toEqual(["0 kB", "24 kB", "1.3 MB", "394 MB", "4 GB"]);
  expect(nameOf({ name: "pixel-art.safetensors" })).toBe("pixel-art");
});

import { beforeEach, expect, test, vi } from "vitest";

vi.stubGlobal("sessionStorage", { getItem: () => null });
const { EMPTY, change, draft, editsOf, titleOf } = await import("../src/edit/draft");
const { addEdit, removeEdit, setOwn, takeInHand } = await import("../src/edit/several");
const { missing } = await import("../src/edit/parts");

const PHOTO = { name: "photo.png", blob: new Blob(), width: 4, height: 4, note: null };
const prompts = () => editsOf(draft.value).map(({ prompt }) => prompt);
const say = (prompt: string) => change({ prompt });

beforeEach(() => {
  draft.value = { ...EMPTY, photo: PHOTO };
  say("blue car");
});

test("one more comes after all others, into the hand, and empty", () => {
  addEdit();
  expect(prompts()).toEqual(["blue car", ""]);
  expect(draft.value).toMatchObject({ place: 1, prompt: "", own: {}, photo: PHOTO });
  expect(missing(draft.value)).toBe("Say in a sentence what edit 2 should change.");
  say("a tree");
  expect(missing(draft.value)).toBeNull();
  expect(titleOf(draft.value)).toBe("blue car · a tree");
});

test("whichever is in the hand, they keep their order and what is theirs", () => {
  addEdit();
  say("a tree");
  setOwn("strength", 0.9);
  addEdit();
  say("a hat");
  const before = editsOf(draft.value);
  for (const place of [0, 2, 1, 1]) {
    takeInHand(place);
    expect(editsOf(draft.value)).toEqual(before);
    expect(draft.value.prompt).toBe(before[place]?.prompt);
  }
  expect(draft.value.own).toEqual({ strength: 0.9 });
});

test("whoever takes one away keeps the one in the hand, if it was not that", () => {
  for (const prompt of ["a tree", "a hat"]) {
    addEdit();
    say(prompt);
  }
  removeEdit(0);
  expect([prompts(), draft.value.prompt]).toEqual([["a tree", "a hat"], "a hat"]);
  removeEdit(1);
  expect([prompts(), draft.value.prompt, draft.value.others]).toEqual([["a tree"], "a tree", []]);
});

test("the target of the only edit becomes the first one's own, and the last one's own become settings", () => {
  change({ chosen: { target: "lamp", seed: 7 } });
  addEdit();
  say("a tree");
  expect(draft.value.chosen).toEqual({ seed: 7 });
  takeInHand(0);
  expect(draft.value.own).toEqual({ target: "lamp" });
  setOwn("blend", 0.5);
  removeEdit(1);
  expect(draft.value).toMatchObject({ chosen: { seed: 7, target: "lamp", blend: 0.5 }, own: {}, others: [] });
});

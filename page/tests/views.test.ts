import { beforeEach, expect, test, vi } from "vitest";

vi.stubGlobal("sessionStorage", { getItem: () => null });
vi.stubGlobal("createImageBitmap", async () => ({ width: 4, height: 4 }));
const { EMPTY, change, draft, ownMask } = await import("../src/edit/draft");
const { abilities, learnAbilities } = await import("../src/api/service");
const { takeAll, takingError } = await import("../src/edit/taking");
const { photographsOf, removePhotograph } = await import("../src/edit/views");
const { addEdit } = await import("../src/edit/several");
const { showsViews, newCandidate } = await import("../src/runs/run");

const file = (name: string) => new File(["x"], name, { type: "image/png" });
const names = () => photographsOf(draft.value).map(({ name }) => name);
vi.stubGlobal("fetch", async () => new Response("{}"));
await learnAbilities();
await import("../src/on-demand"); // takes its time when it is first asked for

beforeEach(() => {
  abilities.value = { ...abilities.value, views: 3 };
  draft.value = { ...EMPTY, prompt: "blue car" };
});

test("several photos at once are of one thing, in their order", async () => {
  await takeAll([file("a"), file("b")], "photo");
  expect([names(), draft.value.prompt, takingError.value]).toEqual([["a", "b"], "blue car", null]);
  await takeAll([file("c"), file("d")], "photo");
  expect(names()).toEqual(["c", "d"]);
  await takeAll([file("e")], "photo");
  expect(names()).toEqual(["e"]);
});

test("more come after those that are there, and what is too many is said", async () => {
  await takeAll([file("a")], "photo");
  await takeAll([file("b")], "view");
  expect([names(), takingError.value]).toEqual([["a", "b"], null]);
  await takeAll([file("c"), file("d")], "view");
  expect(names()).toEqual(["a", "b", "c"]);
  expect(String(takingError.value)).toContain("No more than 3 photographs are edited together");
});

test("each can be taken away, the first one too, and the last one that is left is a photo like any other", async () => {
  await takeAll([file("a"), file("b"), file("c")], "photo");
  removePhotograph(0);
  expect(names()).toEqual(["b", "c"]);
  removePhotograph(1);
  expect([draft.value.photo?.name, draft.value.views]).toEqual(["b", []]);
});

test("what was drawn is not of several photos, and can be had back with the single one", async () => {
  await takeAll([file("a")], "photo");
  change({ mask: { done: [{ kind: "empty" }], undone: [] }, box: [0, 0, 2, 2] });
  await takeAll([file("b")], "view");
  expect([ownMask.value, draft.value.box, draft.value.mask.done.length]).toEqual([null, null, 2]);
});

test("a service that edits each by itself is given the first, and so is a photo of several edits", async () => {
  abilities.value = { ...abilities.value, views: 1 };
  await takeAll([file("a"), file("b")], "photo");
  expect(names()).toEqual(["a"]);
  abilities.value = { ...abilities.value, views: 3 };
  addEdit();
  await takeAll([file("c"), file("d")], "photo");
  expect([names(), draft.value.others.length]).toEqual([["c"], 1]);
});

test("a run is of views by what was sent, and one of elsewhere by what came back", async () => {
  await takeAll([file("a"), file("b")], "photo");
  const run = { id: "1", createdAt: 0, draft: draft.value, candidates: [newCandidate(null)] };
  expect(showsViews(run)).toBe(true);
  expect(showsViews({ ...run, draft: EMPTY })).toBe(false);
  const account = { pipeline: "simple", models: [], milliseconds: 1, metadata: { views: [] } };
  expect(showsViews({ ...run, draft: EMPTY, candidates: [{ ...newCandidate(null), account }] })).toBe(true);
});

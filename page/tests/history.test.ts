import { expect, test } from "vitest";

import { type MaskHistory, NO_MASK, type Step, after, present, redo, runsOf, undo, valuesOf } from "../src/mask/history";

const stroke = (radius: number): Step => ({ kind: "stroke", erase: false, radius, points: [{ x: 1, y: 2 }] });
const found: Step = { kind: "whole", mask: Uint32Array.of(3, 2) };
const drawn = (...steps: Step[]) => after(NO_MASK, ...steps);

test("without a step there is no mask of one's own", () => {
  expect(present(NO_MASK)).toBeNull();
  expect(undo(NO_MASK)).toEqual(NO_MASK);
  expect(redo(NO_MASK)).toEqual(NO_MASK);
});

test("strokes come one on the other, from the last thing that replaced everything", () => {
  expect(present(drawn(stroke(1), stroke(2)))).toEqual([stroke(1), stroke(2)]);
  expect(present(drawn(stroke(1), { kind: "empty" }, stroke(2)))).toEqual([{ kind: "empty" }, stroke(2)]);
  expect(present(drawn(stroke(1), found, stroke(2)))).toEqual([found, stroke(2)]);
});

test("an emptied mask is a mask of one's own, an automatic one is not", () => {
  expect(present(drawn({ kind: "empty" }))).toEqual([{ kind: "empty" }]);
  expect(present(drawn(stroke(1), { kind: "automatic" }))).toBeNull();
  expect(present(drawn(stroke(1), { kind: "automatic" }, stroke(2)))).toEqual([stroke(2)]);
});

test("the first stroke on a found mask is taken back together with it", () => {
  const history = drawn(found, stroke(1));
  expect(present(undo(history))).toBeNull();
  expect(redo(undo(history))).toEqual(history);
  const two = after(history, stroke(2));
  expect(present(undo(two))).toEqual([found, stroke(1)]);
  expect(present(undo(undo(two)))).toBeNull();
  expect(redo(redo(undo(undo(two))))).toEqual(two);
});

test("what is drawn after an undo forgets what was undone", () => {
  const history = after(undo(drawn(stroke(1), stroke(2))), stroke(3));
  expect(history.undone).toEqual([]);
  expect(present(redo(history))).toEqual([stroke(1), stroke(3)]);
});

test("any number of undos and as many redos lead back", () => {
  const steps: Step[] = [stroke(1), { kind: "empty" }, stroke(2), found, stroke(3), { kind: "automatic" }, stroke(4)];
  let history: MaskHistory = NO_MASK;
  for (const step of steps) history = after(history, step);
  const full = history;
  for (let taken = 0; taken < 20; taken += 1) history = undo(history);
  expect(history.done).toEqual([]);
  for (let given = 0; given < 20; given += 1) history = redo(history);
  expect(history).toEqual(full);
});

test("runs say the same as the values that they come from, cut at 128", () => {
  const values = Uint8Array.of(0, 127, 128, 255, 0, 200);
  expect([...runsOf(values)]).toEqual([2, 2, 1, 1]);
  expect([...valuesOf(runsOf(values), 6)]).toEqual([0, 0, 255, 255, 0, 255]);
  expect([...runsOf(Uint8Array.of(255, 255))]).toEqual([0, 2]);
  expect([...valuesOf(Uint32Array.of(1, 1), 4)]).toEqual([0, 255, 0, 0]);
});

import { expect, test } from "vitest";

import { type ServerEvent, eventsOf } from "../src/api/events";

function stream(...pieces: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(typeof piece === "string" ? encoder.encode(piece) : piece);
      controller.close();
    },
  });
}

async function read(...pieces: (string | Uint8Array)[]): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of eventsOf(stream(...pieces))) events.push(event);
  return events;
}

const STATUS = { id: "1", type: "status", data: { status: "pending" } };

test("events may be cut anywhere, and end their lines in any way", async () => {
  const text = 'id: 1\r\nevent: status\r\ndata: {"status": "pending"}\r\n\r\n';
  for (let cut = 0; cut <= text.length; cut += 1) {
    const events = await read(text.slice(0, cut), text.slice(cut));
    expect(events, `cut at ${cut}`).toEqual([STATUS]);
  }
  expect(await read(text.replaceAll("\r\n", "\n"))).toEqual([STATUS]);
});

test("a letter that is cut in two is read whole", async () => {
  const bytes = new TextEncoder().encode('data: "naïve"\n\n');
  expect(await read(bytes.slice(0, 10), bytes.slice(10))).toEqual([{ id: null, type: "message", data: "naïve" }]);
});

test("comments, empty events and what is no JSON are skipped", async () => {
  expect(await read(": ping\n\n", "event: status\n\n", "data: {broken\n\n", "data: 1\ndata: \n\n")).toEqual([
    { id: null, type: "message", data: 1 },
  ]);
});

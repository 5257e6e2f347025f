import { expect, test } from "vitest";

import { ApiError, type Client, type JobState } from "../src/api/client";
import type { ServerEvent } from "../src/api/events";
import { type Progress, STARTING, advanced, follow } from "../src/api/following";

const status = (id: string, value: string, progress = 0): ServerEvent => ({ id, type: "status", data: { status: value, progress } });
const step = (id: string, progress: number): ServerEvent => ({ id, type: "progress", data: { stage: "diffuse", progress, step: 1, total_steps: 4 } });
const state = (value: JobState["status"], progress = 1): JobState =>
  ({ job_id: "j", status: value, progress, stage: "blend", result: null, error: null, error_code: null });
const noWait = async () => undefined;

/** Streams as they come, one connection after the other (an error breaks it off), and states as they are asked for. */
function service(streams: (ServerEvent | Error)[][], states: (JobState | Error)[]) {
  const resumedAt: (string | null)[] = [];
  const client = {
    async *events(_id: string, last: string | null) {
      resumedAt.push(last);
      for (const event of streams.shift() ?? [new ApiError("UNREACHABLE", "away")]) {
        if (event instanceof Error) throw event;
        yield event;
      }
    },
    async status() {
      const next = states.shift();
      if (next instanceof Error) throw next;
      return next;
    },
  };
  return { client: client as unknown as Client, resumedAt };
}

async function followed(streams: (ServerEvent | Error)[][], states: (JobState | Error)[]) {
  const { client, resumedAt } = service(streams, states);
  const seen: Progress[] = [];
  const last = await follow(client, "j", (progress) => seen.push(progress), new AbortController().signal, noWait);
  return { last, seen, resumedAt };
}

test("a job is followed by its events, and asked for its result at the end", async () => {
  const { last, seen } = await followed([[status("1", "pending"), status("2", "processing"), step("3", 0.4), status("4", "completed", 1)]], [state("completed")]);
  expect(last.status).toBe("completed");
  expect(seen.map(({ status, progress }) => [status, progress])).toEqual([["pending", 0], ["processing", 0], ["processing", 0.4], ["completed", 1]]);
  expect(seen[2]).toMatchObject({ stage: "diffuse", step: 1, totalSteps: 4 });
});

test("a broken stream is taken up where it broke off", async () => {
  const { resumedAt } = await followed([[status("1", "processing"), new ApiError("UNREACHABLE", "cut")], [status("2", "completed")]], [state("completed")]);
  expect(resumedAt).toEqual([null, "1"]);
});

test("without streams the job is asked again and again", async () => {
  const { last, seen, resumedAt } = await followed([], [state("processing", 0.2), new ApiError("NOT_READY", "restarting", 503), state("failed")]);
  expect(resumedAt).toHaveLength(3);
  expect(seen.map(({ status, progress }) => [status, progress])).toEqual([["processing", 0.2], ["failed", 1]]);
  expect(last.status).toBe("failed");
});

test("a job that is gone is not waited for", async () => {
  await expect(followed([[new ApiError("NOT_FOUND", "there is no such job", 404)]], [])).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a job that is handed back starts again from nothing, its preview goes too", () => {
  const painting = advanced(STARTING, "preview", { image: "QQ==", media_type: "image/jpeg" });
  expect(painting.preview).toBe("data:image/jpeg;base64,QQ==");
  expect(advanced({ ...painting, progress: 0.7, stage: "diffuse" }, "status", { status: "pending", progress: 0 })).toEqual(STARTING);
});

import { beforeEach, expect, test, vi } from "vitest";

vi.stubGlobal("sessionStorage", { getItem: () => null });
const { openOther, runs, shown, submissionError } = await import("../src/runs/running");
const { isClip, isOver } = await import("../src/runs/run");

const JOB = { job_id: "j1", kind: "edit", status: "completed", progress: 1, prompt: "make the car red", created_at: 5, error: null } as const;
const ACCOUNT = { pipeline_used: "simple", models_used: ["sd-inpainting"], processing_time_ms: 9 };

function answers(result: object, video?: Response): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (path: string) => {
    asked.push(path);
    return path.endsWith("/video") ? video : new Response(JSON.stringify({ ...JOB, result }));
  });
  return asked;
}

beforeEach(() => {
  [runs.value, shown.value, submissionError.value] = [[], null, null];
});

test("a clip that was started elsewhere is fetched as its file, whichever way it was asked for", async () => {
  for (const delivered of [{ video_url: "/api/v1/jobs/j1/video" }, { video: "R0lG" }]) {
    const gif = new Response("GIF89a", { headers: { "Content-Type": "image/gif" } });
    const asked = answers({ ...ACCOUNT, ...delivered, media_type: "image/gif", metadata: { frames: 4, seed_used: 7 } }, gif);
    await openOther(JOB);
    expect(asked).toEqual(["/api/v1/status/j1", "/api/v1/jobs/j1/video"]);
    const [candidate] = runs.value[0]!.candidates;
    expect([candidate!.image!.type, await candidate!.image!.text(), candidate!.seed]).toEqual(["image/gif", "GIF89a", 7]);
    expect([isClip(candidate!), isOver(candidate!), shown.value]).toEqual([true, true, { run: "j1", candidate: 0 }]);
  }
}, 60_000); // the first answer that is made takes its time

test("a clip that is gone is said to be, and nothing is shown", async () => {
  answers({ ...ACCOUNT, video_url: "/", metadata: { frames: 4 } }, new Response("{}", { status: 404 }));
  await openOther(JOB);
  expect([runs.value, shown.value, submissionError.value]).toMatchObject([[], null, { status: 404 }]);
});

test("a photograph is none", async () => {
  answers({ ...ACCOUNT, image: "iVBORw0KGgo=", metadata: { seed_used: 7 } });
  await openOther(JOB);
  const [candidate] = runs.value[0]!.candidates;
  expect([candidate!.image!.type, isClip(candidate!)]).toEqual(["image/png", false]);
});

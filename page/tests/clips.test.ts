import { beforeEach, expect, test, vi } from "vitest";

vi.stubGlobal("sessionStorage", { getItem: () => null });
vi.stubGlobal("createImageBitmap", async () => ({ width: 4, height: 2 }));
const still = new Blob(["a frame"], { type: "image/png" });
const canvas = { getContext: () => ({ drawImage: () => undefined }), toBlob: (done: (blob: Blob) => void) => done(still) };
vi.stubGlobal("document", { createElement: () => canvas });
vi.stubGlobal("FileReader", class {
  result = "";
  onload = () => undefined;
  readAsDataURL(blob: Blob) {
    this.result = `data:${blob.type}`;
    void Promise.resolve().then(() => this.onload());
  }
});
const { runs, shown, start, submissionError } = await import("../src/runs/running");
const { openOther } = await import("../src/runs/elsewhere");
const { EMPTY, draft } = await import("../src/edit/draft");
const { take } = await import("../src/edit/taking");
const { abilities, learnAbilities } = await import("../src/api/service");
const { moves } = await import("../src/edit/clip");
await import("../src/on-demand"); // takes its time when it is first asked for
const { isOver, showsViews } = await import("../src/runs/run");

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
    expect([showsViews(runs.value[0]!), isOver(candidate!), shown.value]).toEqual([true, true, { run: "j1", candidate: 0 }]);
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
  expect([candidate!.image!.type, showsViews(runs.value[0]!)]).toEqual(["image/png", false]);
});

/** What of a GIF tells that it moves: an extension before each picture. */
const gif = (pictures: number) => new Uint8Array([...new TextEncoder().encode("GIF89a"), ...Array(pictures).fill([0x21, 0xf9, 4, 0, 9, 0, 0, 0, 0x2c]).flat(), 0x3b]);
const webp = (flags: number) => new Uint8Array([...new TextEncoder().encode("RIFF....WEBPVP8X"), 10, 0, 0, 0, flags, 0]);
const file = (bytes: Uint8Array<ArrayBuffer>, type: string) => new File([bytes], "drive", { type });

test("what moves is told by its bytes", () => {
  expect([gif(1), gif(2), webp(0x10), webp(0x12), new Uint8Array([0x52])].map(moves)).toEqual([false, true, false, true, false]);
});

test("a clip is a draft's view, its first frame the photo, and the service is sent the clip alone", async () => {
  vi.stubGlobal("fetch", async () => new Response("{}"));
  await learnAbilities();
  draft.value = { ...EMPTY, prompt: "make the car red", count: 4, chosen: {}, box: [0, 0, 1, 1] };
  await take(file(gif(2), "image/gif"), "photo");
  expect(draft.value.views).toEqual([]); // a service that edits no clips is given the frame as a PNG
  abilities.value = { ...abilities.value, video: true };
  await take(file(gif(1), "image/gif"), "photo");
  expect(draft.value.views).toEqual([]);
  await take(file(gif(2), "image/gif"), "photo");
  const { photo, views, box } = draft.value;
  expect([photo, views.map(({ clip, width, height, blob }) => [clip, width, height, blob.type]), box]).toMatchObject([{ blob: still, width: 4 }, [[true, 4, 2, "image/gif"]], null]);
  const sent: unknown[] = [];
  vi.stubGlobal("fetch", async (path: string, { body }: { body: string }) => {
    sent.push([path, JSON.parse(body)]);
    return new Response(JSON.stringify({ error: { code: "QUEUE_FULL", message: "busy" } }), { status: 503 });
  });
  await start();
  expect(sent).toEqual([["/api/v1/video", { video: "data:image/gif", prompt: "make the car red" }]]);
  expect(runs.value[0]!.candidates.length).toBe(1);
  await take(file(webp(0), "image/webp"), "photo");
  expect(draft.value.views).toEqual([]);
});

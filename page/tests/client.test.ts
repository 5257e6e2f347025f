import { expect, test, vi } from "vitest";

import { ApiError, Client, type KeyRing } from "../src/api/client";

const NO_KEY: KeyRing = { key: () => null, ask: async () => null };
const json = (body: unknown, status = 200, headers: Record<string, string> = {}) => new Response(JSON.stringify(body), { status, headers });
const refused = (status: number, code: string, headers = {}) =>
  json({ success: false, error: { code, message: "it says why", details: { max_side_px: 2048 } } }, status, headers);

test("an error is the service's own, with its advice on when to come back", async () => {
  const client = new Client(NO_KEY, async () => refused(503, "QUEUE_FULL", { "Retry-After": "7" }));
  const error = await client.jobs().catch((reason) => reason);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ code: "QUEUE_FULL", message: "it says why", status: 503, retryAfterS: 7, details: { max_side_px: 2048 } });
});

test("what is not the service's envelope is an error too", async () => {
  const client = new Client(NO_KEY, async () => new Response("<h1>Bad gateway</h1>", { status: 502 }));
  await expect(client.jobs()).rejects.toMatchObject({ code: "INTERNAL", message: "The service answered 502.", retryAfterS: null });
});

test("nobody there is said in words; who stops asking hears that it stopped", async () => {
  const away = new Client(NO_KEY, async () => Promise.reject(new TypeError("failed to fetch")));
  await expect(away.jobs()).rejects.toMatchObject({ code: "UNREACHABLE" });
  const stopped = new Client(NO_KEY, async () => Promise.reject(new DOMException("stopped", "AbortError")));
  await expect(stopped.jobs()).rejects.toMatchObject({ name: "AbortError" });
});

test("a key is asked for once it is wanted, presented, and asked for again when it is wrong", async () => {
  let key: string | null = null;
  const answers = ["wrong", "right"];
  const asked: boolean[] = [];
  const ring: KeyRing = {
    key: () => key,
    ask: async (refusedBefore) => {
      asked.push(refusedBefore);
      return (key = answers.shift() ?? null);
    },
  };
  const fetched = vi.fn(async (_path: unknown, asking?: RequestInit) => {
    const { Authorization } = asking?.headers as Record<string, string>;
    return Authorization === "Bearer right" ? json({ jobs: [] }) : refused(401, "UNAUTHORIZED");
  });
  expect(await new Client(ring, fetched as typeof fetch).jobs()).toEqual([]);
  expect(asked).toEqual([false, true]);
  expect(fetched).toHaveBeenCalledTimes(3);
});

test("who gives no key is told that one is wanted", async () => {
  await expect(new Client(NO_KEY, async () => refused(401, "UNAUTHORIZED")).jobs()).rejects.toMatchObject({ status: 401 });
});

test("a submission carries its own id, so that sending it twice makes one job", async () => {
  const fetched = vi.fn(async () => json({ job_id: "j1" }));
  expect(await new Client(NO_KEY, fetched as typeof fetch).submit({ prompt: "blue car" }, "mine")).toBe("j1");
  const [path, asking] = fetched.mock.calls[0] as unknown as [string, RequestInit];
  expect(path).toBe("/api/v1/generate/async");
  expect(asking.headers).toEqual({ "Idempotency-Key": "mine", "Content-Type": "application/json" });
  expect(asking.body).toBe('{"prompt":"blue car"}');
});

test("several photographs of one thing go where such are edited", async () => {
  const fetched = vi.fn(async (_path: unknown, _asked: RequestInit) => json({ success: true, job_id: "1" }));
  const client = new Client(NO_KEY, fetched as unknown as typeof fetch);
  await client.submit({ base_image: "a", prompt: "x" }, "k");
  await client.submit({ base_images: ["a", "b"], prompt: "x" }, "k");
  expect(fetched.mock.calls.map(([path]) => path)).toEqual(["/api/v1/generate/async", "/api/v1/views/async"]);
});

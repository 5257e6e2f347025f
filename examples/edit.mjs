// Edit a photo from JavaScript: fetch and server-sent events of Node 20, no package.
//
//     node examples/edit.mjs photo.jpg "blue car"
//
// The service is at COMPOSE_URL (http://127.0.0.1:8000), its key in COMPOSE_API_KEY.

import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { parse, join } from "node:path";

const [photo, prompt] = process.argv.slice(2);
if (!photo || !prompt) {
  console.error('usage: node edit.mjs PHOTO "what shall be there instead"');
  process.exit(2);
}
const api = `${process.env.COMPOSE_URL ?? "http://127.0.0.1:8000"}/api/v1`;
const key = process.env.COMPOSE_API_KEY;
const auth = key ? { Authorization: `Bearer ${key}` } : {};

// Every error has the same envelope: {"success": false, "error": {"code", "message", "details"}}.
async function call(path, options = {}) {
  const answer = await fetch(api + path, { ...options, headers: { ...auth, ...options.headers } });
  if (answer.ok) return answer;
  const { error } = await answer.json();
  throw new Error(`${error.code}: ${error.message}`);
}

// A job's events, from its beginning or from the event after `last`.
async function* events(jobId, last = 0) {
  const headers = { Accept: "text/event-stream", "Last-Event-ID": String(last) };
  const { body } = await call(`/jobs/${jobId}/events`, { headers });
  let text = "";
  for await (const part of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + part).replaceAll("\r\n", "\n").split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s).slice(0, 2)));
      if (fields.data) yield { id: Number(fields.id), type: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

// The same Idempotency-Key twice is the same job, so a submission whose answer was lost can be sent again.
const submitted = await call("/generate/async", {
  method: "POST",
  headers: { "Content-Type": "application/json", "Idempotency-Key": randomUUID() },
  body: JSON.stringify({ prompt, base_image: (await readFile(photo)).toString("base64"), config: { seed: 7 } }),
});
const jobId = (await submitted.json()).job_id;
process.on("SIGINT", async () => {
  await call(`/jobs/${jobId}`, { method: "DELETE" });
  process.exit(130);
});

for await (const { type, data } of events(jobId)) {
  if (type === "progress") console.error(`${Math.round(data.progress * 100)}% ${data.stage}`);
  if (type === "status" && data.error) throw new Error(`${data.error_code}: ${data.error}`);
}

const image = await (await call(`/jobs/${jobId}/image`)).arrayBuffer();
const { dir, name } = parse(photo);
const edited = join(dir, `${name}.edited.png`);
await writeFile(edited, Buffer.from(image));
console.log(edited);

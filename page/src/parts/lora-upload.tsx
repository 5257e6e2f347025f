import { useRef, useState } from "preact/hooks";

import { type Lora, type LoraShelf, isAbort } from "../api/client";
import { sending } from "../api/sending";
import { client } from "../api/service";
import { SUFFIX, kept, nameOf, refusal, sizeOf } from "../edit/lora-choice";
import { learnLoras } from "../edit/loras";
import { percent } from "../words";
import { outcome } from "./lora-deletion";
import { Trouble } from "./trouble";

/** What helps with a file is not what helps with a photo. */
const ADVICE: Record<string, string> = {
  PAYLOAD_TOO_LARGE: "Delete one of yours, or take a smaller file.",
  QUEUE_FULL: "Try again in a moment.",
  NOT_READY: "Try again in a moment.",
  INVALID_INPUT: "", // the service says which of name, file and room it is
};

interface Limits {
  uploads: NonNullable<LoraShelf["uploads"]>;
  loras: Lora[];
}

/** A file of one's own comes in: what it may be is said before, how far it is while it comes, and afterwards what the service says. */
export function LoraUpload({ uploads, loras }: Limits) {
  const form = useRef<HTMLFormElement>(null);
  const [file, take] = useState<File | null>(null);
  const [sent, tell] = useState<number | null>(null);
  const [error, fail] = useState<unknown>(null);
  const stop = useRef(new AbortController());
  const own = kept(loras);
  const full = own.count >= uploads.max_per_owner;
  const reason = file && refusal(file, { loras, uploads });
  const send = async () => {
    if (!file || reason || !form.current) return;
    const filled = filledIn(form.current);
    fail(null);
    tell(0);
    stop.current = new AbortController();
    try {
      const lora = await client.addLora(filled, sending(tell), stop.current.signal);
      form.current.reset();
      take(null);
      await learnLoras();
      outcome.tell(`“${lora.name}” is there and can be chosen.`);
    } catch (error) {
      if (!isAbort(error)) fail(error);
      await learnLoras(); // what there is may be why
    }
    tell(null);
  };
  return (
    <form ref={form} class="lora-upload" aria-label="Upload a LoRA" onSubmit={(event) => { event.preventDefault(); void send(); }}>
      <p class="quiet" id="lora-limits">
        {own.count} of {uploads.max_per_owner} uploaded, {sizeOf(own.bytes)} of {sizeOf(uploads.max_bytes_per_owner)}; one file may have {sizeOf(uploads.max_size_bytes)}. Nobody else sees them.
      </p>
      {full ? <p>There is no room for another one: delete one first.</p> : (
        <>
          <label class="file button small">
            <input type="file" name="file" accept={SUFFIX} disabled={sent !== null} aria-describedby="lora-limits"
              onChange={(event) => { take(event.currentTarget.files?.[0] ?? null); fail(null); }} />
            {file ? file.name : `Choose a ${SUFFIX} file`}
          </label>
          {file && !reason && (
            <>
              <label>Name <input type="text" name="name" maxLength={64} placeholder={nameOf(file)} disabled={sent !== null} /></label>
              <label>Trigger words <input type="text" name="trigger_words" placeholder="as the file says" disabled={sent !== null} /></label>
              {sent === null ? <button type="submit" class="primary">Upload</button> : <Sending sent={sent} stop={() => stop.current.abort()} />}
            </>
          )}
        </>
      )}
      <Trouble error={reason ? new Error(reason) : error} advice={reason ? "" : ADVICE[codeOf(error)]} />
    </form>
  );
}

const codeOf = (error: unknown) => (error as { code?: string } | null)?.code ?? "";

/** Nothing is sent that was left empty. */
function filledIn(form: HTMLFormElement): FormData {
  const filled = new FormData(form);
  for (const name of ["name", "trigger_words"]) if (!String(filled.get(name) ?? "").trim()) filled.delete(name);
  return filled;
}

function Sending({ sent, stop }: { sent: number; stop: () => void }) {
  return (
    <div class="running">
      <progress max={1} value={sent} aria-label="Progress of the upload" />
      <span>{percent(sent)}</span>
      <p role="status">{sent < 1 ? "Uploading" : "Being checked"}</p>
      <button type="button" onClick={stop}>Cancel</button>
    </div>
  );
}

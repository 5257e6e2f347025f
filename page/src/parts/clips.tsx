import { draft } from "../edit/draft";
import type { Photo } from "../edit/photo";
import { takingError } from "../edit/taking";
import { type Candidate, type Run, isRunning } from "../runs/run";
import { shown } from "../runs/running";
import { durationOf, lorasOf } from "../words";
import { useDropping } from "./dropping";
import { Warnings } from "./facts";
import { useObjectUrl } from "./object-url";
import { Actions, One, Running } from "./result";
import { Trouble } from "./trouble";

/** A clip that is to be edited. */
export function Clip({ clip }: { clip: Photo }) {
  return (
    <>
      <div class="tools" role="group" aria-label="Clip">
        <p><strong>A clip:</strong> one edit in all of its frames <span class="quiet">{clip.name}</span></p>
      </div>
      <div class="stage" {...useDropping("photo")}><Moving blob={clip.blob} ratio={clip.width / clip.height} label="The clip" /></div>
      <div class="under">
        <p class="quiet">The thing is found and followed; what will happen is told of the first frame. Masks, clicks and candidates are for a single photo.</p>
        <Trouble error={takingError.value} />
      </div>
    </>
  );
}

/** What came of a clip. */
export function ClipResult({ run, candidate }: { run: Run; candidate: Candidate }) {
  const { image, account, failure } = candidate;
  const [before] = run.draft.views;
  const [width = 1, height = 1] = account?.metadata.output_resolution?.split("x").map(Number) ?? [];
  return (
    <>
      <div class="tools" role="group" aria-label="Result">
        <div class="group"><button type="button" onClick={() => (shown.value = null)}>{draft.value.photo ? "Back to the clip" : "New edit"}</button></div>
        {image && <Actions run={run} image={image} which={candidate.seed} clip />}
      </div>
      <div class="stage result">
        {!image ? <One photo={run.draft.photo} candidate={candidate} /> : !/^(image|video)/.test(image.type) ? <p class="quiet">{account?.metadata.frames} frames, each a file: download them.</p> : (
          <div class="clips">
            {before && <div><Moving blob={before.blob} ratio={before.width / before.height} label="Before the edit" /></div>}
            <div><Moving blob={image} ratio={before ? before.width / before.height : width / height} label="After the edit" /></div>
          </div>
        )}
      </div>
      <div class="under">
        {isRunning(run) ? <Running run={run} unit="frame" /> : <Account candidate={candidate} />}
        {failure && failure.code !== "CANCELLED" && <Trouble error={failure} />}
      </div>
    </>
  );
}

/** What an image or a film shows. */
function Moving({ blob, ratio, label }: { blob: Blob; ratio: number; label: string }) {
  const url = useObjectUrl(blob);
  return (
    <div class="sheet" style={{ "--ratio": ratio }}>
      {blob.type.startsWith("video/") ? <video src={url} aria-label={label} controls loop muted playsInline /> : <img src={url} alt={label} />}
    </div>
  );
}

function Account({ candidate: { account, failure, seed } }: { candidate: Candidate }) {
  if (failure?.code === "CANCELLED") return <p class="quiet" role="status">Cancelled. The clip and everything you set are still there.</p>;
  if (!account) return null;
  const { loras = [], frames = 0, frames_edited: edited = frames, warnings = [] } = account.metadata;
  return (
    <>
      <p class="quiet" role="status" title={account.models.join(", ")}>Done in {durationOf(account.milliseconds)} · {edited} of {frames} frames · {account.pipeline} pipeline · seed {seed}{loras.length > 0 && ` · with ${lorasOf(loras)}`}</p>
      <Warnings warnings={warnings} />
    </>
  );
}

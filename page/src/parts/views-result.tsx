import { useState } from "preact/hooks";

import { draft } from "../edit/draft";
import type { Photo } from "../edit/photo";
import { photographsOf } from "../edit/views";
import { type Candidate, type Run, isOver, isRunning } from "../runs/run";
import { shown } from "../runs/running";
import { durationOf, lorasOf, stageOf } from "../words";
import { ClipResult } from "./clips";
import { Warnings } from "./facts";
import { Icon } from "./icon";
import { useObjectUrl } from "./object-url";
import { columnsOf } from "./photographs";
import { Actions, One, Running } from "./result";
import { Trouble } from "./trouble";

/** What came of several photographs of one thing, or of a clip. */
export function ViewsResult({ run }: { run: Run }) {
  const [first] = run.candidates;
  if (!first) return null;
  return run.draft.views[0]?.clip || first.account?.metadata.frames ? <ClipResult run={run} candidate={first} /> : <SideBySide run={run} first={first} />;
}

/** The photographs side by side, and each beside what it was before. */
function SideBySide({ run, first }: { run: Run; first: Candidate }) {
  const [before, showBefore] = useState(false);
  const at = shown.value?.candidate ?? null;
  const candidate = at === null ? null : (run.candidates[at] ?? null);
  const photos = photographsOf(run.draft);
  const views = first.account?.metadata.views ?? [];
  return (
    <>
      <div class="tools" role="group" aria-label="Result">
        <div class="group">
          <button type="button" onClick={() => (shown.value = null)}>{draft.value.photo ? "Back to the photos" : "New edit"}</button>
          {candidate && <button type="button" onClick={() => (shown.value = { run: run.id, candidate: null })}><Icon name="split" /> All photographs</button>}
          {!candidate && first.image && photos.length > 0 && <button type="button" aria-pressed={before} onClick={() => showBefore(!before)}>Before</button>}
        </div>
        {candidate?.image && <Actions run={run} image={candidate.image} which={`${candidate.seed}-${(at ?? 0) + 1}`} />}
      </div>
      <div class="stage result">
        {candidate ? <One photo={photos[at ?? 0] ?? null} candidate={candidate} resolution={views[at ?? 0]?.output_resolution} /> : (
          <ol class="candidates views" style={{ "--columns": columnsOf(run.candidates.length) }} aria-label="Edited photographs">
            {run.candidates.map((one, index) => (
              <li key={index}>
                <Tile photo={photos[index]} candidate={one} number={index + 1} before={before} found={views[index]?.region !== null}
                  open={() => (shown.value = { run: run.id, candidate: index })} />
              </li>
            ))}
          </ol>
        )}
      </div>
      <div class="under">
        {isRunning(run) ? <Running run={run} /> : <Account candidate={first} place={at} />}
        {first.failure && first.failure.code !== "CANCELLED" && <Trouble error={first.failure} />}
      </div>
    </>
  );
}

interface Shown {
  photo: Photo | undefined;
  candidate: Candidate;
  number: number;
  before: boolean;
  found: boolean;
  open: () => void;
}

function Tile({ photo, candidate, number, before, found, open }: Shown) {
  const [was, is] = [useObjectUrl(photo?.blob), useObjectUrl(candidate.image)];
  const state = !candidate.image ? (candidate.failure?.message ?? stageOf(candidate.progress).split(", ")[0]) : !found ? "as it was" : before ? "before" : "";
  return (
    <button type="button" onClick={open}>
      <img src={(before ? was : is) ?? candidate.progress.preview ?? was} alt="" class={isOver(candidate) ? "" : "painting"} />
      <span>Photograph {number} <span class="quiet">{state}</span></span>
    </button>
  );
}

const NUMBER = /^views\.(\d+): /;

function Account({ candidate: { account, failure, seed }, place }: { candidate: Candidate; place: number | null }) {
  if (failure?.code === "CANCELLED") return <p class="quiet" role="status">Cancelled. The photos and everything you set are still there.</p>;
  if (!account) return null;
  const { loras = [], views = [], warnings = [] } = account.metadata;
  return (
    <>
      <p class="quiet" role="status" title={account.models.join(", ")}>Done in {durationOf(account.milliseconds)} · {place === null ? `${views.length} photographs` : `photograph ${place + 1} of ${views.length}`} · {account.pipeline} pipeline · seed {seed}{loras.length > 0 && ` · with ${lorasOf(loras)}`}</p>
      <Warnings warnings={warnings.map((warning) => warning.replace(NUMBER, (_, number) => `photograph ${Number(number) + 1}: `))} />
    </>
  );
}

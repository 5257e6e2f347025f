import { type Draft, draft, editsOf, restore, titleOf } from "../edit/draft";
import type { Photo } from "../edit/photo";
import { take } from "../edit/taking";
import { type Candidate, type Run, isOver, isRunning, progressOf, showsViews } from "../runs/run";
import { cancel, shown, start } from "../runs/running";
import { durationOf, lorasOf, paintedOf, percent, stageOf } from "../words";
import { Comparison } from "./comparison";
import { EditAccounts } from "./edits";
import { Warnings } from "./facts";
import { Icon } from "./icon";
import { Later } from "./later";
import { useObjectUrl } from "./object-url";
import { Trouble } from "./trouble";

/** What came of a run: while it is painted, and afterwards beside what was there before. */
export function Result({ run }: { run: Run }) {
  if (showsViews(run)) return <Later part={({ ViewsResult }) => ViewsResult} told={{ run }} />;
  return <Candidates run={run} />;
}

function Candidates({ run }: { run: Run }) {
  const at = shown.value?.candidate ?? null;
  const candidate = at === null ? null : (run.candidates[at] ?? null);
  const spoken = candidate ?? run.candidates.find(({ failure }) => failure) ?? run.candidates[0];
  if (!spoken) return null;
  return (
    <>
      <Head run={run} candidate={candidate} />
      <div class="stage result">
        {candidate ? <One photo={run.draft.photo} candidate={candidate} resolution={candidate.account?.metadata.output_resolution} /> : <All run={run} />}
      </div>
      <div class="under">
        {isRunning(run) ? <Running run={run} /> : <Account run={run} candidate={spoken} />}
        {spoken.failure && spoken.failure.code !== "CANCELLED" && <Trouble error={spoken.failure} />}
      </div>
    </>
  );
}

function Head({ run, candidate }: { run: Run; candidate: Candidate | null }) {
  const several = run.candidates.length > 1;
  return (
    <div class="tools" role="group" aria-label="Result">
      <div class="group">
        <button type="button" onClick={() => (shown.value = null)}>{draft.value.photo ? "Back to the photo" : "New edit"}</button>
        {several && candidate && <button type="button" onClick={() => (shown.value = { run: run.id, candidate: null })}><Icon name="split" /> All candidates</button>}
      </div>
      {candidate?.image && <Actions run={run} image={candidate.image} which={candidate.seed} />}
    </div>
  );
}

/** What can be done with an image; `which` is in the name of its file. */
export function Actions({ run, image, which, clip = false }: { run: Run; image: Blob; which: unknown; clip?: boolean }) {
  const url = useObjectUrl(image);
  const name = `${titleOf(run.draft).replaceAll(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40)}-${which ?? ""}.${image.type.split("/")[1]}`;
  return (
    <div class="group last">
      {run.draft.photo && <button type="button" onClick={() => void anotherTry(run.draft)}><Icon name="again" beside /> Another try</button>}
      {run.draft.photo && run.draft !== draft.value && <button type="button" onClick={() => { restore(run.draft); shown.value = null; }}>Edit this again</button>}
      {!clip && <button type="button" onClick={() => void take(image, "photo", name)}><Icon name="image" beside /> Use as photo</button>}
      <a class="button primary" href={url} download={name}><Icon name="download" beside /> Download</a>
    </div>
  );
}

/** The same edit, left to chance again. */
async function anotherTry(before: Draft): Promise<void> {
  const { seed: _seed, ...chosen } = before.chosen;
  restore({ ...before, chosen });
  await start();
}

/** An image beside the photo that it was; where that is not known here, its `resolution` is. */
export function One({ photo, candidate, resolution = "1x1" }: { photo: Photo | null; candidate: Candidate; resolution?: string | undefined }) {
  const before = useObjectUrl(photo?.blob);
  const after = useObjectUrl(candidate.image);
  const [width = 1, height = 1] = photo ? [photo.width, photo.height] : resolution.split("x").map(Number);
  const ratio = width / height;
  if (!after) {
    return (
      <div class="sheet" style={{ "--ratio": ratio }}>
        {before && <img src={before} alt="The photo" class={isOver(candidate) ? "" : "painting"} />}
        {candidate.progress.preview && !isOver(candidate) && <img class="preview" src={candidate.progress.preview} alt="What is being painted" />}
      </div>
    );
  }
  return <Comparison before={before} after={after} ratio={ratio} />;
}

/** All candidates side by side. */
function All({ run }: { run: Run }) {
  return (
    <ul class="candidates">
      {run.candidates.map((candidate, index) => <li key={index}><Tile run={run} candidate={candidate} index={index} /></li>)}
    </ul>
  );
}

/** Among those that are one job. */
const placeIn = (run: Run, candidate: Candidate) => run.candidates.filter(({ key }) => key === candidate.key).indexOf(candidate);

function Tile({ run, candidate, index }: { run: Run; candidate: Candidate; index: number }) {
  const image = useObjectUrl(candidate.image);
  const photo = useObjectUrl(run.draft.photo?.blob);
  const state = candidate.image ? `seed ${candidate.seed}` : (candidate.failure?.message ?? stageOf(candidate.progress).split(", ")[0]);
  const painted = isOver(candidate) ? null : paintedOf(candidate.progress, placeIn(run, candidate));
  return (
    <button type="button" onClick={() => (shown.value = { run: run.id, candidate: index })}>
      <img src={image ?? candidate.progress.preview ?? photo} alt="" class={isOver(candidate) ? "" : "painting"} />
      <span>Candidate {index + 1} <span class="quiet">{state}{painted !== null && ` ${percent(painted)}`}</span></span>
    </button>
  );
}

export function Running({ run, unit }: { run: Run; unit?: string }) {
  const share = progressOf(run);
  const first = run.candidates.find((candidate) => !isOver(candidate)) ?? run.candidates[0];
  const [stage, step] = first ? stageOf(first.progress, unit).split(", ") : [];
  return (
    <div class="running">
      <progress max={1} value={share} aria-label="Progress of the edit" />
      <span>{percent(share)}</span>
      <p><span role="status">{stage}</span>{step && `, ${step}`}</p>
      <button type="button" onClick={() => void cancel(run)}>Cancel</button>
    </div>
  );
}

function Account({ run, candidate }: { run: Run; candidate: Candidate }) {
  const { account, failure } = candidate;
  if (failure?.code === "CANCELLED") return <p class="quiet" role="status">Cancelled. The photo and everything you set are still there.</p>;
  if (!account) return null;
  const { loras = [], edits = [], warnings = [] } = account.metadata;
  return (
    <>
      <p class="quiet" role="status" title={account.models.join(", ")}>Done in {durationOf(account.milliseconds)} · {account.pipeline} pipeline · seed {candidate.seed}{loras.length > 0 && ` · with ${lorasOf(loras)}`}</p>
      {edits.length > 1 ? <EditAccounts said={edits} warnings={warnings} asked={editsOf(run.draft)} /> : <Warnings warnings={warnings} />}
    </>
  );
}

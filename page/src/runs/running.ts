/** Runs as they are started, followed, cancelled, and taken up again after a reload. */

import { computed, signal } from "@preact/signals";

import { ApiError, type Body, type EditResult, type JobSummary, isAbort } from "../api/client";
import { type Progress, follow } from "../api/following";
import { abilities, client } from "../api/service";
import { forCandidates, seedsOf } from "../edit/body";
import { draft, settingsOf } from "../edit/draft";
import { requestBody } from "../edit/parts";
import { blobOf } from "../edit/photo";
import { type Candidate, type Failure, type Run, isOver, isRunning, jobsOf, newCandidate } from "./run";
import { KEPT_RUNS, forgetRun, loadRuns, saveRun } from "./store";

export const runs = signal<Run[]>([]);
/** The run on the stage, and which of its candidates (null: all of them); null while the photo is being worked on. */
export const shown = signal<{ run: string; candidate: number | null } | null>(null);
export const shownRun = computed(() => runs.value.find((run) => run.id === shown.value?.run) ?? null);
/** What went wrong before there was a job. */
export const submissionError = signal<unknown>(null);
const OTHERS = 12;
/** Jobs of this owner that another browser or program has started. */
export const otherJobs = signal<JobSummary[]>([]);

/** Put a run on the stage: its only candidate, or all of them side by side. */
export function show(run: Run): void {
  shown.value = { run: run.id, candidate: run.candidates.length > 1 ? null : 0 };
}

const followed = new Map<string, AbortController>();

/** Send the draft; its candidates run beside one another. */
export async function start(): Promise<void> {
  submissionError.value = null;
  let body: Body;
  try {
    body = await requestBody(draft.value);
  } catch (error) {
    submissionError.value = error;
    return;
  }
  const { count, views } = draft.value;
  const chosen = settingsOf(draft.value)["seed"];
  // Every view has the one seed; a clip is one result.
  const seeds = views.length > 0 ? [seedsOf(1, chosen), ...views.map(({ clip }) => (clip ? [] : seedsOf(1, chosen)))].flat() : seedsOf(count, chosen);
  // A service that makes several candidates in one job looks at the photo once for all of them.
  const shared = views.length > 0 || abilities.value.candidates >= seeds.length ? crypto.randomUUID() : undefined;
  const run: Run = {
    id: crypto.randomUUID(),
    createdAt: Date.now(),
    draft: draft.value,
    candidates: seeds.map((seed) => newCandidate(seed, shared)),
  };
  runs.value = [run, ...runs.value];
  show(run);
  void forgetOld();
  await saveRun(run);
  await Promise.all(jobsOf(run).map((places) => submit(run, places, body)));
}

/** Sending again what had been sent already gives the same job. */
async function submit(run: Run, places: number[], body: Body): Promise<void> {
  const { key, seed } = candidateAt(run, places);
  try {
    const jobId = await client.submit(forCandidates(body, seed, places.length), key);
    update(run.id, places, () => ({ jobId }), { keep: true });
    await pursue(run, places, jobId);
  } catch (error) {
    if (!isAbort(error)) update(run.id, places, () => ({ failure: failureOf(error) }), { keep: true });
  }
}

/** Follow a job to its end. */
async function pursue(run: Run, places: number[], jobId: string): Promise<void> {
  const controller = new AbortController();
  followed.set(jobId, controller);
  try {
    const state = await follow(client, jobId, (progress) => update(run.id, places, (index) => ({ progress: ofCandidate(progress, index) })), controller.signal);
    const images = state.result ? await imagesOf(state.result, jobId) : [];
    if (state.status === "completed" && state.result && images.length === places.length) {
      const { result } = state;
      update(run.id, places, (index) => delivered(result, images, index), { keep: true });
    } else {
      const failure = { code: state.error_code ?? "INTERNAL", message: state.error ?? "The edit did not come to an end." };
      update(run.id, places, () => ({ failure }), { keep: true });
    }
  } catch (error) {
    if (!isAbort(error)) update(run.id, places, () => ({ failure: failureOf(error) }), { keep: true });
  } finally {
    followed.delete(jobId);
  }
}

/** The service previews the first of several candidates or views alone. */
const ofCandidate = (progress: Progress, index: number): Progress => (index === 0 ? progress : { ...progress, preview: null });

/** What came of a job: the file of its clip, or its images. */
export const imagesOf = async ({ image, images, metadata }: EditResult, jobId: string) =>
  metadata.frames ? [await client.clip(jobId)] : (images ?? (image ? [image] : [])).map(blobOf);

/** What one of them has of its own. */
export function delivered(result: EditResult, images: Blob[], index: number): Partial<Candidate> {
  const { pipeline_used: pipeline, models_used: models, processing_time_ms: milliseconds, metadata } = result;
  const seed = metadata.seeds?.[index] ?? metadata.seed_used ?? null;
  return { image: images[index] ?? null, seed, account: { pipeline, models, milliseconds, metadata } };
}

export async function cancel(run: Run): Promise<void> {
  await Promise.all(
    jobsOf(run).map(async (places) => {
      const candidate = candidateAt(run, places);
      if (isOver(candidate) || !candidate.jobId) return;
      try {
        const state = await client.cancel(candidate.jobId);
        if (state.status !== "cancelled") return;
        followed.get(candidate.jobId)?.abort();
        update(run.id, places, () => ({ failure: { code: "CANCELLED", message: "Cancelled." } }), { keep: true });
      } catch (error) {
        submissionError.value = error;
      }
    }),
  );
}

/** The runs that this browser knows; those that had not ended when it left are taken up again. */
export async function resumeRuns(): Promise<void> {
  runs.value = await loadRuns();
  const unfinished = runs.value.find(isRunning);
  if (unfinished) show(unfinished);
  for (const run of runs.value) {
    for (const places of jobsOf(run)) {
      const candidate = candidateAt(run, places);
      if (isOver(candidate)) continue;
      if (candidate.jobId) void pursue(run, places, candidate.jobId);
      else void requestBody(run.draft).then((body) => submit(run, places, body));
    }
  }
}

export async function lookForOtherJobs(): Promise<void> {
  const own = new Set(runs.value.flatMap((run) => run.candidates.map((candidate) => candidate.jobId)));
  const jobs = await client.jobs().catch(() => []);
  otherJobs.value = jobs.filter((job) => job.kind === "edit" && !own.has(job.job_id)).slice(0, OTHERS);
}

export function remove(run: Run): void {
  if (shown.value?.run === run.id) shown.value = null;
  runs.value = runs.value.filter((other) => other.id !== run.id);
  void forgetRun(run.id);
}

async function forgetOld(): Promise<void> {
  const old = runs.value.slice(KEPT_RUNS);
  runs.value = runs.value.slice(0, KEPT_RUNS);
  await Promise.all(old.map((run) => forgetRun(run.id)));
}

/** The candidate that stands for a job's. */
function candidateAt(run: Run, [first = 0]: number[]): Candidate {
  const candidate = run.candidates[first];
  if (!candidate) throw new Error("a run has at least one candidate");
  return candidate;
}

/** Change the candidates of a job; `part` is told the place within the job. */
function update(runId: string, places: number[], part: (index: number) => Partial<Candidate>, { keep = false } = {}): void {
  const changed = (run: Run): Run => ({
    ...run,
    candidates: run.candidates.map((candidate, at) => (places.includes(at) ? { ...candidate, ...part(places.indexOf(at)) } : candidate)),
  });
  runs.value = runs.value.map((run) => (run.id === runId ? changed(run) : run));
  const run = runs.value.find((one) => one.id === runId);
  if (keep && run) void saveRun(run);
}

function failureOf(error: unknown): Failure {
  if (error instanceof ApiError) return { code: error.code, message: error.message, details: error.details };
  return { code: "INTERNAL", message: error instanceof Error ? error.message : String(error) };
}

/** Runs as they are started, followed, cancelled, and taken up again after a reload. */

import { computed, signal } from "@preact/signals";

import { ApiError, type Body, type EditResult, type JobSummary, isAbort } from "../api/client";
import { follow } from "../api/following";
import { client } from "../api/service";
import { seedsOf, withSeed } from "../edit/body";
import { type Draft, draft, settingsOf } from "../edit/draft";
import { requestBody } from "../edit/parts";
import { blobOf } from "../edit/photo";
import { type Candidate, type Failure, type Run, isOver, isRunning, newCandidate } from "./run";
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
  const run: Run = {
    id: crypto.randomUUID(),
    createdAt: Date.now(),
    draft: draft.value,
    candidates: seedsOf(draft.value.count, settingsOf(draft.value)["seed"]).map(newCandidate),
  };
  runs.value = [run, ...runs.value];
  show(run);
  void forgetOld();
  await saveRun(run);
  await Promise.all(run.candidates.map((candidate, index) => submit(run.id, index, candidate, body)));
}

/** Sending again what had been sent already gives the same job. */
async function submit(runId: string, index: number, { key, seed }: Candidate, body: Body): Promise<void> {
  try {
    const jobId = await client.submit(seed === null ? body : withSeed(body, seed), key);
    update(runId, index, { jobId }, { keep: true });
    await pursue(runId, index, jobId);
  } catch (error) {
    if (!isAbort(error)) update(runId, index, { failure: failureOf(error) }, { keep: true });
  }
}

/** Follow a candidate's job to its end. */
async function pursue(runId: string, index: number, jobId: string): Promise<void> {
  const controller = new AbortController();
  followed.set(jobId, controller);
  try {
    const state = await follow(client, jobId, (progress) => update(runId, index, { progress }), controller.signal);
    if (state.status !== "completed" || !state.result) {
      const code = state.error_code ?? "INTERNAL";
      update(runId, index, { failure: { code, message: state.error ?? "The edit did not come to an end." } }, { keep: true });
    } else update(runId, index, delivered(state.result), { keep: true });
  } catch (error) {
    if (!isAbort(error)) update(runId, index, { failure: failureOf(error) }, { keep: true });
  } finally {
    followed.delete(jobId);
  }
}

function delivered(result: EditResult): Partial<Candidate> {
  const { image, pipeline_used: pipeline, models_used: models, processing_time_ms: milliseconds, metadata } = result;
  return { image: blobOf(image), account: { pipeline, models, milliseconds, metadata } };
}

export async function cancel(run: Run): Promise<void> {
  await Promise.all(
    run.candidates.map(async (candidate, index) => {
      if (isOver(candidate) || !candidate.jobId) return;
      const failure = { code: "CANCELLED", message: "Cancelled." };
      try {
        const state = await client.cancel(candidate.jobId);
        if (state.status !== "cancelled") return;
        followed.get(candidate.jobId)?.abort();
        update(run.id, index, { failure }, { keep: true });
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
    run.candidates.forEach((candidate, index) => {
      if (isOver(candidate)) return;
      if (candidate.jobId) void pursue(run.id, index, candidate.jobId);
      else void requestBody(run.draft).then((body) => submit(run.id, index, candidate, body));
    });
  }
}

export async function lookForOtherJobs(): Promise<void> {
  const own = new Set(runs.value.flatMap((run) => run.candidates.map((candidate) => candidate.jobId)));
  const jobs = await client.jobs().catch(() => []);
  otherJobs.value = jobs.filter((job) => job.kind === "edit" && !own.has(job.job_id)).slice(0, OTHERS);
}

/** Show the result of a job that was started elsewhere; of its photo nothing is known here. */
export async function openOther(job: JobSummary): Promise<void> {
  try {
    const state = await client.status(job.job_id);
    if (!state.result) return;
    const candidate = { ...newCandidate(null), jobId: job.job_id, ...delivered(state.result) };
    const empty: Draft = { ...draft.value, photo: null, reference: null, prompt: job.prompt, mask: { done: [], undone: [] }, points: [], box: null };
    const run: Run = { id: job.job_id, createdAt: job.created_at * 1000, draft: empty, candidates: [candidate] };
    runs.value = [run, ...runs.value.filter((other) => other.id !== run.id)];
    otherJobs.value = otherJobs.value.filter((other) => other.job_id !== job.job_id);
    show(run);
  } catch (error) {
    submissionError.value = error;
  }
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

function update(runId: string, index: number, part: Partial<Candidate>, { keep = false } = {}): void {
  runs.value = runs.value.map((run) =>
    run.id === runId ? { ...run, candidates: run.candidates.map((candidate, at) => (at === index ? { ...candidate, ...part } : candidate)) } : run,
  );
  const run = runs.value.find((one) => one.id === runId);
  if (keep && run) void saveRun(run);
}

function failureOf(error: unknown): Failure {
  if (error instanceof ApiError) return { code: error.code, message: error.message, details: error.details };
  return { code: "INTERNAL", message: error instanceof Error ? error.message : String(error) };
}

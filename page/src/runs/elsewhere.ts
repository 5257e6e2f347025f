/** Jobs of the same owner that another browser or program has started. */

import type { JobSummary } from "../api/client";
import { client } from "../api/service";
import { type Draft, EMPTY_EDIT, draft } from "../edit/draft";
import { type Run, newCandidate } from "./run";
import { delivered, imagesOf, otherJobs, runs, show, submissionError } from "./running";

/** Show the result of a job that was started elsewhere; of its photo nothing is known here. */
export async function openOther(job: JobSummary): Promise<void> {
  try {
    const state = await client.status(job.job_id);
    if (!state.result) return;
    const { result } = state;
    const images = await imagesOf(result, job.job_id);
    const candidates = images.map((_, index) => ({ ...newCandidate(null, job.job_id), jobId: job.job_id, ...delivered(result, images, index) }));
    const empty: Draft = { ...draft.value, ...EMPTY_EDIT, photo: null, views: [], prompt: job.prompt, others: [], place: 0 };
    const run: Run = { id: job.job_id, createdAt: job.created_at * 1000, draft: empty, candidates };
    runs.value = [run, ...runs.value.filter((other) => other.id !== run.id)];
    otherJobs.value = otherJobs.value.filter((other) => other.job_id !== job.job_id);
    show(run);
  } catch (error) {
    submissionError.value = error;
  }
}

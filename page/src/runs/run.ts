/** A run: one draft sent to the service, as one or several candidates. */

import type { Metadata } from "../api/client";
import { type Progress, STARTING, hasEnded } from "../api/following";
import type { Draft } from "../edit/draft";

export interface Failure {
  code: string;
  message: string;
  details?: Record<string, unknown>;
}

export interface Candidate {
  /**
   * Of the submission: it goes with it as the Idempotency-Key, so that a reload while it is sent makes no second job.
   * Candidates with the same key are one job.
   */
  key: string;
  jobId: string | null;
  seed: number | null;
  progress: Progress;
  image: Blob | null;
  failure: Failure | null;
  account: { pipeline: string; models: string[]; milliseconds: number; metadata: Metadata } | null;
}

export interface Run {
  id: string;
  createdAt: number;
  draft: Draft;
  candidates: Candidate[];
}

export function newCandidate(seed: number | null, key: string = crypto.randomUUID()): Candidate {
  return { key, jobId: null, seed, progress: STARTING, image: null, failure: null, account: null };
}

/** Whether it is of a clip, or its candidates are photographs of one thing, each with what came of it. */
export const showsViews = ({ draft, candidates: [first] }: Run) =>
  draft.views.length > 0 || first?.account?.metadata.views !== undefined || first?.account?.metadata.frames !== undefined;

/** Which candidates are one job: their places, job by job. */
export function jobsOf(run: Run): number[][] {
  const places = new Map<string, number[]>();
  run.candidates.forEach(({ key }, index) => places.set(key, [...(places.get(key) ?? []), index]));
  return [...places.values()];
}

export const isOver = (candidate: Candidate) => candidate.failure !== null || candidate.image !== null || hasEnded(candidate.progress.status);
export const isRunning = (run: Run) => !run.candidates.every(isOver);

/** Of all its candidates together, 0 to 1. */
export function progressOf(run: Run): number {
  const sum = run.candidates.reduce((total, candidate) => total + (isOver(candidate) ? 1 : candidate.progress.progress), 0);
  return sum / run.candidates.length;
}

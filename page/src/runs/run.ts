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
  /** Of this submission: it comes with it as the Idempotency-Key, so that a reload while it is sent makes no second job. */
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

export function newCandidate(seed: number | null): Candidate {
  return { key: crypto.randomUUID(), jobId: null, seed, progress: STARTING, image: null, failure: null, account: null };
}

export const isOver = (candidate: Candidate) => candidate.failure !== null || candidate.image !== null || hasEnded(candidate.progress.status);
export const isRunning = (run: Run) => !run.candidates.every(isOver);

/** Of all its candidates together, 0 to 1. */
export function progressOf(run: Run): number {
  const sum = run.candidates.reduce((total, candidate) => total + (isOver(candidate) ? 1 : candidate.progress.progress), 0);
  return sum / run.candidates.length;
}

/** A job followed to its end: by its events, and by asking again and again where events do not come through. */

import { ApiError, type Client, type JobState, isAbort } from "./client";

export interface Progress {
  status: string;
  progress: number;
  stage: string;
  step: number | null;
  totalSteps: number | null;
  /** Of several candidates the steps of each; `step` and `totalSteps` count them together. */
  candidateSteps: number[] | null;
  /** A data URL of what is being painted, where the service sends previews. */
  preview: string | null;
}

export const STARTING: Progress = { status: "pending", progress: 0, stage: "", step: null, totalSteps: null, candidateSteps: null, preview: null };

const ENDED = new Set(["completed", "failed", "cancelled"]);
const BROKEN_STREAMS = 3;
const POLL_MS = 1000;

export const hasEnded = (status: string) => ENDED.has(status);

type Pause = (ms: number) => Promise<void>;
const pause: Pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Tells every change until the job has ended; its last state, with the result. Raises ApiError when the job is gone. */
export async function follow(
  client: Client, id: string, tell: (progress: Progress) => void, signal: AbortSignal, wait: Pause = pause,
): Promise<JobState> {
  let last: string | null = null;
  let progress = STARTING;
  for (let broken = 0; broken < BROKEN_STREAMS; broken += 1) {
    try {
      for await (const event of client.events(id, last, signal)) {
        last = event.id ?? last;
        if (event.type === "error") break;
        progress = advanced(progress, event.type, event.data as EventData);
        tell(progress);
        if (hasEnded(progress.status)) return await lastState(client, id, signal, wait);
        broken = 0;
      }
    } catch (error) {
      if (isAbort(error) || isGone(error)) throw error;
    }
    await wait(POLL_MS);
  }
  for (;;) {
    const state = await lastState(client, id, signal, wait);
    tell({ ...progress, status: state.status, progress: state.progress, stage: state.stage, step: null, totalSteps: null, candidateSteps: null });
    if (hasEnded(state.status)) return state;
    await wait(POLL_MS);
  }
}

/** The state, also of a service that is just being started again. */
async function lastState(client: Client, id: string, signal: AbortSignal, wait: Pause): Promise<JobState> {
  for (;;) {
    try {
      return await client.status(id, signal);
    } catch (error) {
      if (isAbort(error) || isGone(error)) throw error;
    }
    await wait(POLL_MS);
  }
}

const isGone = (error: unknown) => error instanceof ApiError && (error.status === 404 || error.status === 401);

interface EventData {
  status?: string;
  progress?: number;
  stage?: string;
  step?: number | null;
  total_steps?: number | null;
  candidate_steps?: number[];
  image?: string;
  media_type?: string;
}

export function advanced(before: Progress, type: string, data: EventData): Progress {
  if (type === "preview") return { ...before, preview: `data:${data.media_type};base64,${data.image}` };
  if (type === "status") {
    const again = data.status === "pending" ? STARTING : before;
    return { ...again, status: data.status ?? before.status, progress: data.progress ?? again.progress };
  }
  return {
    ...before,
    status: "processing",
    progress: data.progress ?? before.progress,
    stage: data.stage ?? before.stage,
    step: data.step ?? null,
    totalSteps: data.total_steps ?? null,
    candidateSteps: data.candidate_steps ?? null,
  };
}

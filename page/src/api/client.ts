/** The public REST API, as docs/api.md has it; nothing else is asked. */

import { type ServerEvent, eventsOf } from "./events";

export type JobStatus = "pending" | "processing" | "completed" | "failed" | "cancelled";

export interface Detection {
  label: string;
  score: number;
  box: [number, number, number, number];
}

export interface Routing {
  pipeline: string;
  rule: string;
  reason: string;
  controls: Record<string, number>;
  /** Null where something was pointed at. */
  target: null | {
    phrase?: string;
    region?: string;
    place?: string;
    position?: string;
    plural?: boolean;
    complement?: boolean;
    rest?: boolean;
    protected?: string[];
  };
  region_from?: string;
  generation_prompt: string;
}

export interface Metadata {
  routing?: Routing;
  detections?: Detection[];
  mask_area?: number;
  seed_used?: number;
  seeds?: number[];
  output_resolution?: string;
  timings_ms?: Record<string, number>;
  loras?: LoraUse[];
  edits?: EditAccount[];
  views?: ViewAccount[];
  /** How many, of a clip. */
  frames?: number;
  frames_edited?: number;
  warnings?: string[];
}

/** What is made of one of several edits. */
export interface EditAccount {
  prompt: string;
  routing: Routing;
  /** Around its thing; null where it was not found, and is left out. */
  region: [number, number, number, number] | null;
  covered_by: { edit: number; share: number }[];
  detections: Detection[];
  mask_area: number;
  strength: number;
  blend: number;
  warnings: string[];
}

/** What was made of one of several photographs of a thing. */
export interface ViewAccount {
  output_resolution: string;
  /** Around the thing; null where it was not found, and the photograph is as it was. */
  region: [number, number, number, number] | null;
  mask_area: number;
}

/** A LoRA or an embedding that an edit may name; what callers uploaded themselves is theirs alone. */
export interface Lora {
  name: string;
  kind: "lora" | "embedding";
  source: "upload" | "operator";
  family: string | null;
  /** Null: only a try tells. */
  fits: boolean | null;
  trigger_words: string[];
  size_bytes: number;
}

/** One that acted in an edit. */
export type LoraUse = Pick<Lora, "name" | "kind"> & { weight: number };

export interface LoraShelf {
  loras: Lora[];
  /** Null where the service takes none; absent where it does not say. */
  uploads?: { max_size_bytes: number; max_per_owner: number; max_bytes_per_owner: number } | null;
}

export interface Analysis {
  mask: string;
  pipeline: string;
  models_used: string[];
  metadata: Metadata;
}

export interface EditResult {
  /** Of a clip neither: it is a file of its job. */
  image?: string | null;
  /** Of several candidates or views: every one of them. */
  images?: string[] | null;
  pipeline_used: string;
  models_used: string[];
  processing_time_ms: number;
  metadata: Metadata;
}

export interface JobState {
  job_id: string;
  status: JobStatus;
  progress: number;
  stage: string;
  result: EditResult | null;
  error: string | null;
  error_code: string | null;
}

export interface JobSummary {
  job_id: string;
  kind: "edit" | "analyze";
  status: JobStatus;
  progress: number;
  prompt: string;
  created_at: number;
  error: string | null;
}

export type Body = Record<string, unknown>;

/** Whether it asks for several photographs of one thing. */
export const isOfViews = (body: Body) => "base_images" in body;

/** What the service answered instead, in its envelope; `UNREACHABLE` where nothing answered. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status = 0,
    readonly details: Record<string, unknown> = {},
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
  }
}

export interface KeyRing {
  /** The key to present, if there is one. */
  key(): string | null;
  /** Ask the person for one; `refused` when the present one was not accepted. Null when they would rather not. */
  ask(refused: boolean): Promise<string | null>;
}

export const isAbort = (error: unknown) => error instanceof DOMException && error.name === "AbortError";

export class Client {
  constructor(
    private readonly keys: KeyRing,
    private readonly fetched: typeof fetch = (...asked) => fetch(...asked),
  ) {}

  analyze(body: Body, signal: AbortSignal): Promise<Analysis> {
    return this.json<{ result: Analysis }>("POST", "/api/v1/analyze", { body, signal }).then((answer) => answer.result);
  }

  submit(body: Body, idempotencyKey: string): Promise<string> {
    const headers = { "Idempotency-Key": idempotencyKey };
    const path = "video" in body ? "video" : isOfViews(body) ? "views/async" : "generate/async";
    return this.json<{ job_id: string }>("POST", `/api/v1/${path}`, { body, headers }).then((answer) => answer.job_id);
  }

  status(id: string, signal?: AbortSignal): Promise<JobState> {
    return this.json("GET", `/api/v1/status/${id}`, signal ? { signal } : {});
  }

  /** A small file of a job's image. */
  thumbnail(id: string, signal: AbortSignal): Promise<Blob> {
    return this.answered("GET", `/api/v1/jobs/${id}/image?max_side=236`, { signal }).then((answer) => answer.blob());
  }

  /** The file of a job's clip. */
  clip(id: string): Promise<Blob> {
    return this.answered("GET", `/api/v1/jobs/${id}/video`, {}).then((answer) => answer.blob());
  }

  cancel(id: string): Promise<JobState> {
    return this.json("DELETE", `/api/v1/jobs/${id}`);
  }

  jobs(): Promise<JobSummary[]> {
    return this.json<{ jobs: JobSummary[] }>("GET", "/api/v1/jobs?limit=100").then((answer) => answer.jobs);
  }

  loras(): Promise<LoraShelf> {
    return this.json("GET", "/api/v1/loras");
  }

  /** `fetched` sends it in the place of `fetch`, which does not say how far an upload is. */
  async addLora(form: FormData, fetched: typeof fetch, signal: AbortSignal): Promise<Lora> {
    return (await new Client(this.keys, fetched).json<{ lora: Lora }>("POST", "/api/v1/loras", { form, signal })).lora;
  }

  deleteLora(name: string): Promise<unknown> {
    return this.json("DELETE", `/api/v1/loras/${encodeURIComponent(name)}`);
  }

  health(): Promise<{ models_loaded: string[] }> {
    return this.json("GET", "/api/v1/health");
  }

  document(): Promise<unknown> {
    return this.json("GET", "/openapi.json");
  }

  /** A job's events after one, as they happen; ends when the stream does. */
  async *events(id: string, lastId: string | null, signal: AbortSignal): AsyncGenerator<ServerEvent> {
    const headers = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
    const response = await this.answered("GET", `/api/v1/jobs/${id}/events`, { headers, signal });
    if (response.body) yield* eventsOf(response.body);
  }

  private async json<T>(method: string, path: string, asked: Asked = {}): Promise<T> {
    return (await this.answered(method, path, asked)).json() as Promise<T>;
  }

  /** Raises ApiError for everything but a success; a missing or a wrong key is asked for, then tried again. */
  private async answered(method: string, path: string, asked: Asked): Promise<Response> {
    for (;;) {
      const key = this.keys.key();
      const response = await this.sent(method, path, asked, key);
      if (response.ok) return response;
      const error = await errorOf(response);
      if (error.status !== 401) throw error;
      if (this.keys.key() === key && (await this.keys.ask(key !== null)) === null) throw error;
    }
  }

  private async sent(method: string, path: string, asked: Asked, key: string | null): Promise<Response> {
    const headers: Record<string, string> = { ...asked.headers };
    if (key !== null) headers["Authorization"] = `Bearer ${key}`;
    if (asked.body) headers["Content-Type"] = "application/json";
    try {
      return await this.fetched(path, {
        method,
        headers,
        body: asked.form ?? (asked.body ? JSON.stringify(asked.body) : null),
        signal: asked.signal ?? null,
        cache: "no-store",
      });
    } catch (error) {
      if (isAbort(error)) throw error;
      throw new ApiError("UNREACHABLE", "The service does not answer.");
    }
  }
}

interface Asked {
  body?: Body;
  form?: FormData;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

async function errorOf(response: Response): Promise<ApiError> {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const retryAfterS = Number.isNaN(seconds) ? null : seconds;
  const body = (await response.json().catch(() => null)) as { error?: { code?: string; message?: string; details?: Record<string, unknown> } } | null;
  const { code = "INTERNAL", message = `The service answered ${response.status}.`, details = {} } = body?.error ?? {};
  return new ApiError(code, message, response.status, details, retryAfterS);
}

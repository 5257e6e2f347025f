/** What this browser keeps: the draft, and the runs with their photos and results. It never leaves the browser. */

import { type Draft, EMPTY } from "../edit/draft";
import type { Photo } from "../edit/photo";
import type { Run } from "./run";

const NAME = "image-composition";
const VERSION = 1;
const DRAFT_KEY = "draft";
/** Older runs are forgotten. */
export const KEPT_RUNS = 40;

let opened: Promise<IDBDatabase> | null = null;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise((done, fail) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("draft");
      request.result.createObjectStore("runs", { keyPath: "id" });
    };
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
  return opened;
}

async function inStore<T>(name: string, mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const store = (await database()).transaction(name, mode).objectStore(name);
  return new Promise((done, fail) => {
    const request = work(store);
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
}

/** Without storage (a private window, a full disk) the page works and forgets. */
const orNothing = () => undefined;

/** What an earlier version of the page has kept: it knew one reference. */
type Kept = Partial<Draft> & { reference?: Photo | null };

function draftOf({ reference, ...kept }: Kept): Draft {
  return { ...EMPTY, references: reference ? [reference] : [], ...kept };
}

export async function loadDraft(): Promise<Draft | undefined> {
  const kept = await inStore<Kept | undefined>("draft", "readonly", (store) => store.get(DRAFT_KEY)).catch(orNothing);
  return kept && draftOf(kept);
}
export const saveDraft = (draft: Draft) => inStore("draft", "readwrite", (store) => store.put(draft, DRAFT_KEY)).catch(orNothing);
export const saveRun = (run: Run) => inStore("runs", "readwrite", (store) => store.put(run)).catch(orNothing);
export const forgetRun = (id: string) => inStore("runs", "readwrite", (store) => store.delete(id)).catch(orNothing);

/** Newest first. */
export async function loadRuns(): Promise<Run[]> {
  const runs = (await inStore<Run[]>("runs", "readonly", (store) => store.getAll()).catch(orNothing)) ?? [];
  return runs.map((run) => ({ ...run, draft: draftOf(run.draft) })).sort((one, other) => other.createdAt - one.createdAt);
}

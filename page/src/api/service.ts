/** The one connection to the service, what it can do, and the key that it may want. */

import { signal } from "@preact/signals";

import { ApiError, Client } from "./client";
import { type Abilities, NO_ABILITIES, abilitiesOf } from "./settings";

const KEY_NAME = "image-composition-key";

export const abilities = signal<Abilities>(NO_ABILITIES);
export const modelsLoaded = signal<string[] | null>(null);
export const serviceState = signal<"asking" | "ready" | "starting" | "away">("asking");

/** A key is being asked for; `answer` takes it, or null. */
export const keyQuestion = signal<{ refused: boolean; answer: (key: string | null) => void } | null>(null);

let question: Promise<string | null> | null = null;

export const client = new Client({
  key: () => sessionStorage.getItem(KEY_NAME),
  ask: (refused) => {
    question ??= new Promise<string | null>((answered) => {
      keyQuestion.value = { refused, answer: answered };
    }).then((key) => {
      question = null;
      keyQuestion.value = null;
      if (key !== null) sessionStorage.setItem(KEY_NAME, key);
      return key;
    });
    return question;
  },
});

const LOADING_MS = 3000;
const READY_MS = 30_000;

let told: () => void;

/** Settled when `abilities` are the service's own. */
export const abilitiesLearnt = new Promise<void>((done) => {
  told = done;
});

export async function learnAbilities(): Promise<void> {
  abilities.value = abilitiesOf(await client.document().catch(() => ({})));
  told();
}

/** Ask whether the models are there, again and again while somebody looks: a service that was just started needs a while. */
export async function watchHealth(): Promise<void> {
  for (;;) {
    if (!document.hidden) {
      try {
        modelsLoaded.value = (await client.health()).models_loaded;
        serviceState.value = "ready";
      } catch (error) {
        serviceState.value = error instanceof ApiError && error.code === "NOT_READY" ? "starting" : "away";
      }
    }
    await new Promise((done) => setTimeout(done, serviceState.value === "ready" ? READY_MS : LOADING_MS));
  }
}

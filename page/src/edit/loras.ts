/** The LoRAs and embeddings that an edit may name, as the service lists them. */

import { computed, signal } from "@preact/signals";

import type { LoraShelf } from "../api/client";
import { abilities, client } from "../api/service";

/** Null until the service has said. */
export const shelf = signal<LoraShelf | null>(null);

/** Whether there is anything to choose or a place to bring something to. */
export const lorasOffered = computed(() => {
  const { loras = [], uploads = null } = shelf.value ?? {};
  return loras.length > 0 || uploads !== null;
});

/** Ask what there is; who does not answer has none. */
export async function learnLoras(): Promise<void> {
  if (abilities.value.loras) shelf.value = await client.loras().catch(() => shelf.value);
}

/** LoRAs in the hand: which act in the edit, how much, and whether a file could be kept. */

import type { Lora, LoraShelf } from "../api/client";
import { change, draft } from "./draft";

export const SUFFIX = ".safetensors";
const MEGABYTE = 2 ** 20;

/** Of one that was just chosen; the models' makers give their examples at it. */
const FULLY = 1;

export function choose(name: string, weight = FULLY): void {
  change({ loras: { ...draft.value.loras, [name]: weight } });
}

export function leaveOut(name: string): void {
  const { [name]: _gone, ...others } = draft.value.loras;
  change({ loras: others });
}

/** A sentence with a word that a LoRA listens to, once. */
export function withWord(prompt: string, word: string): string {
  if (says(prompt, word)) return prompt;
  return [prompt.trim().replace(/,$/, ""), word].filter(Boolean).join(", ");
}

export const says = (prompt: string, word: string) => prompt.toLowerCase().includes(word.toLowerCase());

/** The name that a file's LoRA gets where no other is given. */
export const nameOf = (file: { name: string }) => file.name.replace(SUFFIX, "");

/** What the caller keeps already. */
export function kept(loras: readonly Lora[]): { count: number; bytes: number } {
  const own = loras.filter(({ source }) => source === "upload");
  return { count: own.length, bytes: own.reduce((sum, { size_bytes }) => sum + size_bytes, 0) };
}

/** Why the service would not take a file, said before it is sent; null where only the service can tell. */
export function refusal(file: { name: string; size: number }, { loras, uploads }: LoraShelf): string | null {
  if (!file.name.endsWith(SUFFIX)) return `“${file.name}” is not a ${SUFFIX} file`;
  if (!uploads) return null;
  if (file.size > uploads.max_size_bytes) return `“${file.name}” has ${sizeOf(file.size)}, and a file may have ${sizeOf(uploads.max_size_bytes)}`;
  const room = uploads.max_bytes_per_owner - kept(loras).bytes;
  return file.size > room ? `“${file.name}” has ${sizeOf(file.size)}, and there is room for ${sizeOf(Math.max(room, 0))} more` : null;
}

/** "25 kB", "12.5 MB", "4 GB": in steps of 1024, as the service counts them. */
export function sizeOf(bytes: number): string {
  const step = bytes < MEGABYTE ? 1 : bytes < 1024 * MEGABYTE ? 2 : 3;
  const count = bytes / 1024 ** step;
  return `${Number(count.toFixed(count < 100 && step > 1 ? 1 : 0))} ${["kB", "MB", "GB"][step - 1]}`;
}

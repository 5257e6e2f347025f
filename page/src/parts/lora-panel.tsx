import { useEffect } from "preact/hooks";

import type { Lora } from "../api/client";
import { abilities } from "../api/service";
import { change, draft } from "../edit/draft";
import { choose, leaveOut, sizeOf, says, withWord } from "../edit/lora-choice";
import { learnLoras, shelf } from "../edit/loras";
import { Icon } from "./icon";
import { LoraDeletion, deleting, outcome } from "./lora-deletion";
import { LoraUpload } from "./lora-upload";

const FAMILIES: Record<string, string> = { sd15: "Stable Diffusion 1.5", sdxl: "Stable Diffusion XL" };

/** What there is, what of it acts in the edit and how much; and the way for more to come in and to go. */
export function LoraPanel() {
  useEffect(() => void learnLoras(), []);
  const { loras, uploads } = shelf.value ?? { loras: [] };
  const gone = Object.keys(draft.value.loras).filter((name) => !loras.some((lora) => lora.name === name));
  return (
    <div class="lora-panel">
      <p class="quiet">A LoRA changes how the model paints, an embedding teaches it a word. Up to {abilities.value.loras?.most} of them act in one edit.</p>
      {loras.length + gone.length > 0 && (
        <ul aria-label="LoRAs and embeddings">
          {loras.map((lora) => <li key={lora.name}><Entry lora={lora} /></li>)}
          {gone.map((name) => <li key={name}><Gone name={name} /></li>)}
        </ul>
      )}
      <p class="quiet" role="status" tabIndex={-1} ref={(line) => void (outcome.line = line)}>{outcome.said}</p>
      {uploads && <LoraUpload uploads={uploads} loras={loras} />}
      <LoraDeletion />
    </div>
  );
}

function Entry({ lora }: { lora: Lora }) {
  const { name, kind, source, fits } = lora;
  const weight = draft.value.loras[name];
  const chosen = weight !== undefined;
  const full = Object.keys(draft.value.loras).length >= (abilities.value.loras?.most ?? 0);
  const about = `about-lora-${name}`;
  return (
    <>
      <div class="lora-line">
        <label>
          <input type="checkbox" checked={chosen} disabled={!chosen && (fits === false || full)} aria-describedby={about}
            onChange={() => (chosen ? leaveOut(name) : choose(name))} />
          <span>{name}</span>
        </label>
        {source === "upload" && (
          <button type="button" class="small icon-only" aria-label={`Delete ${name}`} title={`Delete ${name}`} onClick={() => (deleting.value = name)}><Icon name="clear" /></button>
        )}
      </div>
      <p id={about} class="quiet">{aboutOf(lora)}</p>
      {chosen && kind === "lora" && <Scale name={name} weight={weight} />}
      {chosen && <TriggerWords words={lora.trigger_words} />}
    </>
  );
}

function aboutOf({ kind, source, family, fits, size_bytes }: Lora): string {
  const whose = source === "upload" ? "yours" : "the operator’s";
  const known = [kind === "embedding" ? "embedding" : "LoRA", whose, sizeOf(size_bytes)].join(" · ");
  if (fits === false) return `${known}. Made for ${FAMILIES[family ?? ""] ?? "other models"}: it cannot act here.`;
  return fits === null ? `${known}. Only a try tells whether it fits these models.` : known;
}

function Scale({ name, weight }: { name: string; weight: number }) {
  const { least = 0, highest = 1 } = abilities.value.loras ?? {};
  return (
    <label class="scale">
      <span>Scale<span class="unseen"> of {name}</span></span>
      <input type="range" min={least} max={highest} step={0.05} value={weight} onInput={(event) => choose(name, event.currentTarget.valueAsNumber)} />
      <output>{weight}</output>
    </label>
  );
}

/** They act only where the sentence says them. */
function TriggerWords({ words }: { words: readonly string[] }) {
  const { prompt } = draft.value;
  const unsaid = words.filter((word) => !says(prompt, word));
  if (unsaid.length === 0) return null;
  return (
    <div class="words">
      <span class="quiet">It listens to</span>
      {unsaid.map((word) => (
        <button key={word} type="button" class="small" onClick={() => change({ prompt: withWord(draft.value.prompt, word) })}>
          <Icon name="plus" /><span class="unseen">Add to the sentence: </span>{word}
        </button>
      ))}
    </div>
  );
}

function Gone({ name }: { name: string }) {
  return (
    <>
      <div class="lora-line">
        <label><input type="checkbox" checked onChange={() => leaveOut(name)} /> <span>{name}</span></label>
      </div>
      <p class="quiet">It is no longer there: an edit with it is refused.</p>
    </>
  );
}

import cases from "../cases/cases.json";
import { EMPTY_EDIT, change, photo } from "../edit/draft";
import { take } from "../edit/taking";
import { shown } from "../runs/running";

const addresses = import.meta.glob<string>("../cases/*.webp", { eager: true, query: "?url", import: "default" });
const addressOf = (name: string) => addresses[`../cases/${name}`] ?? "";

type Case = { title: string; prompt: string; photo: string; reference?: string };

const fetched = async (name: string) => (await fetch(addressOf(name))).blob();

async function load(example: Case): Promise<void> {
  change({ ...EMPTY_EDIT, chosen: {}, loras: {}, others: [], place: 0 });
  await take(await fetched(example.photo), "photo", example.photo);
  if (example.reference) await take(await fetched(example.reference), "reference", example.reference);
  change({ prompt: example.prompt });
  scrollTo({ top: 0, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

/** The examples again, where the stage is taken. */
export function MoreExamples() {
  const onStage = photo.value === null && shown.value === null;
  return (
    <details class={onStage ? "away" : ""}>
      <summary><h2>Examples</h2></summary>
      <Examples />
    </details>
  );
}

/** Photos to try it with. */
export function Examples() {
  return (
    <div class="examples">
      <ul>
        {(cases as Case[]).map((example) => (
          <li key={example.title}>
            <button type="button" onClick={() => void load(example)}>
              <span class="pair">
                <img src={addressOf(example.photo)} alt="" width={256} height={256} loading="lazy" />
                {example.reference && <img class="inset" src={addressOf(example.reference)} alt="" width={128} height={128} loading="lazy" />}
              </span>
              <span class="what">{example.title}</span>
              <span class="quiet">“{example.prompt}”</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

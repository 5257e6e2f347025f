import { abilities } from "../api/service";
import { change, draft } from "../edit/draft";
import { missing } from "../edit/parts";
import type { Photo } from "../edit/photo";
import { start, submissionError } from "../runs/running";
import { useDropping } from "./dropping";
import { Edits } from "./edits";
import { FileButton } from "./file-button";
import { Icon } from "./icon";
import { useObjectUrl } from "./object-url";
import { Trouble } from "./trouble";

const MOST_CANDIDATES = 4;

/** What should change, after what example, how often; and the button that does it. */
export function Sentence() {
  const { prompt, count, others, place, views } = draft.value;
  const reason = missing(draft.value);
  const run = () => void (reason ?? start());
  return (
    <form class="sentence" onSubmit={(event) => { event.preventDefault(); run(); }}>
      <label for="sentence">{others.length > 0 ? `Edit ${place + 1}: what should change?` : "What should change?"}</label>
      <textarea
        id="sentence" rows={2} maxLength={1000} value={prompt} placeholder="blue car" aria-describedby="sentence-hint"
        onInput={(event) => change({ prompt: event.currentTarget.value })}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            run();
          }
        }}
      />
      <References />
      {views.length === 0 && (
        <>
          <Edits />
          <fieldset class="count">
            <legend>Candidates</legend>
            {Array.from({ length: MOST_CANDIDATES }, (_, index) => index + 1).map((number) => (
              <label key={number}>
                <input type="radio" name="count" checked={count === number} onChange={() => change({ count: number })} />
                <span>{number}</span>
              </label>
            ))}
          </fieldset>
        </>
      )}
      <button class="primary run" type="submit" aria-disabled={reason !== null} aria-describedby="sentence-hint">Edit the {views[0] ? (views[0].clip ? "clip" : "photos") : "photo"}</button>
      <p id="sentence-hint" class="quiet">{reason ?? "Enter starts the edit. Everything outside the region stays as it is."}</p>
      <Trouble error={submissionError.value} />
    </form>
  );
}

function References() {
  const { references } = draft.value;
  const [first] = references;
  const room = abilities.value.references > references.length || references.length === 1;
  return (
    <div class="reference" {...useDropping("reference")}>
      {references.map((reference, index) => <Reference key={reference.blob} reference={reference} number={references.length > 1 ? index + 1 : null} />)}
      {!first && <span class="empty" aria-hidden="true"><Icon name="plus" /></span>}
      {references.length < 2 && (
        <div>
          <strong>Reference</strong>
          <span class="quiet">{first ? first.name : "optional: what it should look like"}</span>
        </div>
      )}
      {room && <FileButton as="reference" look="button small">{!first ? "Choose" : abilities.value.references > 1 ? "Add" : "Change"}<span class="unseen"> reference image</span></FileButton>}
    </div>
  );
}

function Reference({ reference, number }: { reference: Photo; number: number | null }) {
  const url = useObjectUrl(reference.blob);
  const name = number ? `reference ${number}` : "reference";
  const remove = () => change({ references: draft.value.references.filter((other) => other !== reference) });
  return (
    <span class="given">
      <img src={url} alt={number ? `Reference ${number}` : "The reference"} title={reference.name} />
      <button type="button" class="icon-only" aria-label={`Remove ${number ? name : "the reference"}`} onClick={remove}><Icon name="close" /></button>
    </span>
  );
}

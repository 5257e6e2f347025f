import { change, draft } from "../edit/draft";
import { missing } from "../edit/parts";
import { start, submissionError } from "../runs/running";
import { useDropping } from "./dropping";
import { FileButton } from "./file-button";
import { Icon } from "./icon";
import { useObjectUrl } from "./object-url";
import { Trouble } from "./trouble";

const MOST_CANDIDATES = 4;

/** What should change, after what example, how often; and the button that does it. */
export function Sentence() {
  const { prompt, count } = draft.value;
  const reason = missing(draft.value);
  const run = () => void (reason ?? start());
  return (
    <form class="sentence" onSubmit={(event) => { event.preventDefault(); run(); }}>
      <label for="sentence">What should change?</label>
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
      <Reference />
      <fieldset class="count">
        <legend>Candidates</legend>
        {Array.from({ length: MOST_CANDIDATES }, (_, index) => index + 1).map((number) => (
          <label key={number}>
            <input type="radio" name="count" checked={count === number} onChange={() => change({ count: number })} />
            <span>{number}</span>
          </label>
        ))}
      </fieldset>
      <button class="primary run" type="submit" aria-disabled={reason !== null} aria-describedby="sentence-hint">Edit the photo</button>
      <p id="sentence-hint" class="quiet">{reason ?? "Enter starts the edit. Everything outside the region stays as it is."}</p>
      <Trouble error={submissionError.value} />
    </form>
  );
}

function Reference() {
  const { reference } = draft.value;
  const url = useObjectUrl(reference?.blob);
  return (
    <div class="reference" {...useDropping("reference")}>
      {url ? <img src={url} alt="The reference" /> : <span class="empty" aria-hidden="true"><Icon name="plus" /></span>}
      <div>
        <strong id="reference-title">Reference</strong>
        <span class="quiet">{reference ? reference.name : "optional: what it should look like"}</span>
      </div>
      <FileButton as="reference" look="button small">{reference ? "Change" : "Choose"}<span class="unseen"> reference image</span></FileButton>
      {reference && (
        <button type="button" class="small icon-only" aria-label="Remove the reference" onClick={() => change({ reference: null })}>
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}

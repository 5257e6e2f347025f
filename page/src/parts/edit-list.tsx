import { abilities } from "../api/service";
import { type Edit, draft, editsOf } from "../edit/draft";
import { missing } from "../edit/parts";
import { addEdit, removeEdit, setOwn, takeInHand } from "../edit/several";
import { present } from "../mask/history";
import { Icon } from "./icon";
import { Field } from "./field";

/** The edits of the photo: which is in the hand, what it has of its own, and one more. */
export function EditList() {
  const { place, own } = draft.value;
  const edits = editsOf(draft.value);
  const { most = 1, own: settings = [] } = abilities.value.edits ?? {};
  return (
    <div class="edit-list" role="group" aria-label="Edits of this photo">
      <ol>
        {edits.map((edit, index) => (
          <li key={index}>
            <button type="button" class="edit-row" aria-current={index === place || undefined} onClick={() => takeInHand(index)}>
              <span class="what">{index + 1}. {edit.prompt.trim() || "…"}</span>
              <span class="quiet">{whereOf(edit)}</span>
            </button>
            <button type="button" class="icon-only" aria-label={`Remove edit ${index + 1}`} title={`Remove edit ${index + 1}`} onClick={() => removed(index)}><Icon name="close" /></button>
          </li>
        ))}
      </ol>
      <button type="button" class="small" disabled={missing(draft.value) !== null || edits.length >= most} onClick={added}><Icon name="plus" /> Another edit of this photo</button>
      <p class="quiet">They are made in one pass; where they meet, the later one lies over the earlier.</p>
      <details key={place}>
        <summary>Only edit {place + 1} <span class="quiet">{countOf(own)}</span></summary>
        <p class="quiet">What is left empty is as in the settings.</p>
        {settings.map((setting) => <Field key={setting.name} scope="own" setting={setting} values={own} set={setOwn} />)}
      </details>
    </div>
  );
}

/** Who adds one has a sentence to say; who takes one away goes on from there, too. */
export function added(): void {
  addEdit();
  document.getElementById("sentence")?.focus();
}

function removed(place: number): void {
  removeEdit(place);
  document.getElementById("sentence")?.focus();
}

function whereOf({ mask, points, box, references }: Edit): string {
  const where = present(mask) ? "your mask" : points.length > 0 || box ? "what you pointed at" : "found by its sentence";
  return references.length > 0 ? `${where}, with a reference` : where;
}

function countOf(own: Record<string, unknown>): string {
  const count = Object.values(own).filter((value) => value !== null && value !== "" && !(Array.isArray(value) && value.length === 0)).length;
  return count === 0 ? "nothing of its own" : `${count} changed`;
}

import type { EditAccount } from "../api/client";
import { abilities } from "../api/service";
import { type Edit, draft } from "../edit/draft";
import { missing } from "../edit/parts";
import { FileButton } from "./file-button";
import { Icon } from "./icon";
import { Later, onDemand } from "./later";

const add = () => onDemand().then(({ added }) => added());

/** The ways from one edit to several, and from one photo to several; places for them are kept where the service has none. */
export function Edits() {
  if (draft.value.others.length > 0) return <Later part={({ EditList }) => EditList} />;
  const { edits, views } = abilities.value;
  return (
    <div class="group">
      <button type="button" class={edits ? "small" : "small away"} disabled={missing(draft.value) !== null} onClick={() => void add()}>
        <Icon name="plus" /> Another edit of this photo
      </button>
      <FileButton as="view" look={views > 1 ? "button small" : "button small away"}><Icon name="plus" /> More photos<span class="unseen"> of this thing</span></FileButton>
    </div>
  );
}

export interface Accounts {
  said: EditAccount[];
  /** Of all edits; those of one alone begin with its number. */
  warnings: string[];
  /** As they were asked for; another number of them than was read out of a sentence. */
  asked: Edit[];
}

/** What the service says of each of several edits. */
export function EditAccounts(accounts: Accounts) {
  return <Later part={({ EditAccountList }) => EditAccountList} told={accounts} />;
}

import type { EditAccount } from "../api/client";
import { abilities } from "../api/service";
import { type Edit, draft } from "../edit/draft";
import { missing } from "../edit/parts";
import { Icon } from "./icon";
import { Later, onDemand } from "./later";

const add = () => onDemand().then(({ added }) => added());

/** The way from one edit to several; the place for it is kept where the service makes only one. */
export function Edits() {
  if (draft.value.others.length > 0) return <Later part={({ EditList }) => EditList} />;
  return (
    <button type="button" class={abilities.value.edits ? "small" : "small away"} disabled={missing(draft.value) !== null} onClick={() => void add()}>
      <Icon name="plus" /> Another edit of this photo
    </button>
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

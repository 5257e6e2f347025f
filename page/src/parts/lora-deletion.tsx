import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";

import { ApiError } from "../api/client";
import { client } from "../api/service";
import { leaveOut } from "../edit/lora-choice";
import { learnLoras } from "../edit/loras";
import { Trouble } from "./trouble";

/** The name of the one that is about to be deleted. */
export const deleting = signal<string | null>(null);

const said = signal("");
/** What came of the last upload or deletion, and the line that says it: who pressed a button that is gone goes on from there. */
export const outcome = {
  line: null as HTMLElement | null,
  said,
  tell(text: string): void {
    said.value = text;
    this.line?.focus();
  },
};

/** Asks before one is deleted. */
export function LoraDeletion() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [error, fail] = useState<unknown>(null);
  const name = deleting.value;
  useEffect(() => {
    fail(null);
    if (name !== null) dialog.current?.showModal();
  }, [name]);
  const close = () => {
    // At once, not when it is next drawn: nothing outside of an open dialog can take the focus.
    dialog.current?.close();
    deleting.value = null;
  };
  const remove = async () => {
    if (name === null) return;
    try {
      await client.deleteLora(name);
    } catch (error) {
      // Who finds nothing to delete has what was wanted.
      if (!(error instanceof ApiError && error.status === 404)) return fail(error);
    }
    close();
    leaveOut(name);
    await learnLoras();
    outcome.tell(`“${name}” is deleted.`);
  };
  return (
    <dialog ref={dialog} aria-labelledby="delete-title" aria-describedby="delete-about" onCancel={close}>
      <form onSubmit={(event) => { event.preventDefault(); void remove(); }}>
        <h2 id="delete-title">Delete “{name}”?</h2>
        <p id="delete-about">Its file is deleted from the service. Edits with it that have not started yet will fail.</p>
        <Trouble error={error} />
        <div class="buttons">
          <button type="button" onClick={close}>Keep it</button>
          <button class="primary" type="submit">Delete it</button>
        </div>
      </form>
    </dialog>
  );
}

import { useEffect, useRef } from "preact/hooks";

import { keyQuestion } from "../api/service";

/** Asks once for the key that the service wants. */
export function KeyDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const question = keyQuestion.value;
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close(); // who was somewhere is there again
  }, []);
  const given = (event: SubmitEvent) => {
    event.preventDefault();
    const key = String(new FormData(event.currentTarget as HTMLFormElement).get("key")).trim();
    if (key) question?.answer(key);
  };
  return (
    <dialog ref={dialog} aria-labelledby="key-title" onCancel={() => question?.answer(null)}>
      <form onSubmit={given}>
        <h2 id="key-title">This service wants a key</h2>
        <p>{question?.refused ? "That key was not accepted." : "Whoever runs it can give you one."} It is kept until you close this tab.</p>
        <label for="key">API key</label>
        <input id="key" name="key" type="password" autocomplete="off" required />
        <div class="buttons">
          <button type="button" onClick={() => question?.answer(null)}>Not now</button>
          <button class="primary" type="submit">Use this key</button>
        </div>
      </form>
    </dialog>
  );
}

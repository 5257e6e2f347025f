import type { ComponentChildren } from "preact";

import { told } from "../words";

/** An error for a person: what happened, what to do, and a button where the page can do it. */
export function Trouble({ error, children }: { error: unknown; children?: ComponentChildren }) {
  if (!error) return null;
  const { title, message, advice } = told(error);
  return (
    <div class="trouble" role="alert">
      <strong>{title}</strong>
      <p>{message} {advice}</p>
      {children}
    </div>
  );
}

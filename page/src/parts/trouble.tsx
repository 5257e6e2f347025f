import type { ComponentChildren } from "preact";

import { told } from "../words";

/** An error for a person: what happened, what to do (`advice` where it is about no photo), and a button where the page can do it. */
export function Trouble({ error, advice: own, children }: { error: unknown; advice?: string | undefined; children?: ComponentChildren }) {
  if (!error) return null;
  const { title, message, advice: usual } = told(error);
  const advice = own ?? usual;
  return (
    <div class="trouble" role="alert">
      <strong>{title}</strong>
      <p>{message} {advice}</p>
      {children}
    </div>
  );
}

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

/** A card that is opened by who needs it; what is in it comes to be when it is. */
export function Folded({ name, state, away, children }: { name: string; state: string; away?: boolean; children: ComponentChildren }) {
  const [opened, open] = useState(false);
  return (
    <details class={away ? "settings away" : "settings"} onToggle={(event) => event.currentTarget.open && open(true)}>
      <summary>{name} <span class="quiet">{state}</span></summary>
      {opened && children}
    </details>
  );
}

import type { ComponentChildren } from "preact";

import { ACCEPTED } from "../edit/photo";
import { type Place, takeAll } from "../edit/taking";

/** A button that picks a file, or several, usable by keyboard as any file field. */
export function FileButton({ as, children, look = "button" }: { as: Place; children: ComponentChildren; look?: string }) {
  const picked = (event: Event) => {
    const field = event.currentTarget as HTMLInputElement;
    void takeAll([...(field.files ?? [])], as);
    field.value = "";
  };
  return (
    <label class={`file ${look}`}>
      <input type="file" accept={ACCEPTED} multiple={as !== "reference"} onChange={picked} />
      {children}
    </label>
  );
}

import type { ComponentChildren } from "preact";

import { ACCEPTED } from "../edit/photo";
import { take } from "../edit/taking";

/** A button that picks a file, usable by keyboard as any file field. */
export function FileButton({ as, children, look = "button" }: { as: "photo" | "reference"; children: ComponentChildren; look?: string }) {
  const picked = (event: Event) => {
    const field = event.currentTarget as HTMLInputElement;
    const [file] = field.files ?? [];
    if (file) void take(file, as);
    field.value = "";
  };
  return (
    <label class={`file ${look}`}>
      <input type="file" accept={ACCEPTED} onChange={picked} />
      {children}
    </label>
  );
}

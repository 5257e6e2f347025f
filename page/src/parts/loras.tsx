import { useState } from "preact/hooks";

import { draft } from "../edit/draft";
import { lorasOffered } from "../edit/loras";
import { Later } from "./later";

const load = () => import("./lora-panel").then(({ LoraPanel }) => LoraPanel);

/** LoRAs and embeddings, folded away; its place is kept where the service has none, so that nothing moves when it has. */
export function Loras() {
  const [opened, open] = useState(false);
  const count = Object.keys(draft.value.loras).length;
  return (
    <details class={lorasOffered.value ? "settings" : "settings away"} onToggle={(event) => event.currentTarget.open && open(true)}>
      <summary>LoRAs <span class="quiet">{count === 0 ? "none" : `${count} chosen`}</span></summary>
      {opened && <Later load={load} />}
    </details>
  );
}

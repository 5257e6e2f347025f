import { draft } from "../edit/draft";
import { lorasOffered } from "../edit/loras";
import { Folded } from "./folded";
import { Later } from "./later";

/** LoRAs and embeddings; the place is kept where the service has none, so that nothing moves when it has. */
export function Loras() {
  const count = Object.keys(draft.value.loras).length;
  return <Folded name="LoRAs" state={count === 0 ? "none" : `${count} chosen`} away={!lorasOffered.value}><Later part={({ LoraPanel }) => LoraPanel} /></Folded>;
}

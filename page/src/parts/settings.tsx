import { draft, settingsOf } from "../edit/draft";
import { Folded } from "./folded";
import { Later } from "./later";

/** Everything that can be set. */
export function Settings() {
  const count = Object.keys(settingsOf(draft.value)).length + (draft.value.negative.trim() ? 1 : 0);
  return <Folded name="Settings" state={count === 0 ? "all by default" : `${count} changed`}><Later part={({ SettingFields }) => SettingFields} /></Folded>;
}

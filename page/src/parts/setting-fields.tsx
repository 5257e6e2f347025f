import { abilities } from "../api/service";
import { change, draft } from "../edit/draft";
import { Field } from "./field";

/** A field for everything that can be set: names, bounds, defaults and explanations are the service's own. */
export function SettingFields() {
  const { negative, chosen, others, place } = draft.value;
  const several = others.length > 0; // each of which says itself where it is
  return (
    <>
      <div class="setting">
        <label for="setting-negative">Not wanted{several && ` in edit ${place + 1}`}</label>
        <input id="setting-negative" type="text" maxLength={1000} value={negative} placeholder="nothing" aria-describedby="about-negative"
          onInput={(event) => change({ negative: event.currentTarget.value })} />
        <p id="about-negative" class="quiet">The negative prompt: what should not appear.</p>
      </div>
      {abilities.value.settings.map((setting) => several && setting.name === "target" ? null : <Field key={setting.name} setting={setting} values={chosen} set={setChosen} />)}
      <button type="button" onClick={() => change({ chosen: {}, negative: "" })}>Back to the defaults</button>
    </>
  );
}

const setChosen = (name: string, value: unknown) => change({ chosen: { ...draft.value.chosen, [name]: value } });

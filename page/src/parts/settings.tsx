import type { Setting } from "../api/settings";
import { abilities } from "../api/service";
import { change, draft, settingsOf } from "../edit/draft";

/** Everything that can be set, folded away: names, bounds, defaults and explanations are the service's own. */
export function Settings() {
  const { settings } = abilities.value;
  const count = Object.keys(settingsOf(draft.value)).length + (draft.value.negative.trim() ? 1 : 0);
  return (
    <details class="settings">
      <summary>Settings <span class="quiet">{count === 0 ? "all by default" : `${count} changed`}</span></summary>
      <div class="setting">
        <label for="setting-negative">Not wanted</label>
        <input id="setting-negative" type="text" maxLength={1000} value={draft.value.negative} placeholder="nothing" aria-describedby="about-negative"
          onInput={(event) => change({ negative: event.currentTarget.value })} />
        <p id="about-negative" class="quiet">The negative prompt: what should not appear.</p>
      </div>
      {settings.map((setting) => <Field key={setting.name} setting={setting} />)}
      <button type="button" onClick={() => change({ chosen: {}, negative: "" })}>Back to the defaults</button>
    </details>
  );
}

function Field({ setting }: { setting: Setting }) {
  const id = `setting-${setting.name}`;
  const about = `about-${setting.name}`;
  const explained = setting.explanation && <p id={about} class="quiet">{setting.explanation}</p>;
  if (setting.kind === "several") {
    return <fieldset class="setting" aria-describedby={about}><legend>{setting.title}</legend><Several setting={setting} />{explained}</fieldset>;
  }
  return (
    <div class="setting">
      <label for={id}>{setting.title}</label>
      <Control setting={setting} id={id} about={about} />
      {explained}
    </div>
  );
}

const set = (name: string, value: unknown) => change({ chosen: { ...draft.value.chosen, [name]: value } });
const valueOf = ({ name, usual }: Setting) => draft.value.chosen[name] ?? usual;

function Control({ setting, id, about }: { setting: Setting; id: string; about: string }) {
  const shared = { id, "aria-describedby": about };
  const value = valueOf(setting);
  if (setting.kind === "choice") {
    return (
      <select {...shared} value={String(value)} onChange={(event) => set(setting.name, event.currentTarget.value)}>
        {setting.choices.map((choice) => <option key={choice} value={choice}>{choice}</option>)}
      </select>
    );
  }
  if (setting.kind === "flag") {
    return <input {...shared} type="checkbox" role="switch" checked={value === true} onChange={(event) => set(setting.name, event.currentTarget.checked)} />;
  }
  if (setting.kind === "number") return <NumberField setting={setting} shared={shared} />;
  return <input {...shared} type="text" value={String(draft.value.chosen[setting.name] ?? "")} placeholder="automatic" onInput={(event) => set(setting.name, event.currentTarget.value.trim() || null)} />;
}

function NumberField({ setting, shared }: { setting: Setting; shared: Record<string, string> }) {
  const { name, least, most, whole, usual } = setting;
  const typed = (field: HTMLInputElement) => set(name, field.value === "" || !field.validity.valid ? null : field.valueAsNumber);
  return (
    <input
      {...shared} type="number" min={least ?? undefined} max={most ?? undefined} step={whole ? 1 : "any"}
      value={(draft.value.chosen[name] as number | null) ?? ""} placeholder={usual === null ? "automatic" : String(usual)}
      onChange={(event) => typed(event.currentTarget)}
    />
  );
}

function Several({ setting }: { setting: Setting }) {
  const chosen = (draft.value.chosen[setting.name] as string[] | undefined) ?? [];
  const toggled = (choice: string) => (chosen.includes(choice) ? chosen.filter((other) => other !== choice) : [...chosen, choice]);
  return (
    <div class="choices">
      {setting.choices.map((choice) => (
        <label key={choice}>
          <input type="checkbox" checked={chosen.includes(choice)} onChange={() => set(setting.name, toggled(choice))} /> {choice}
        </label>
      ))}
    </div>
  );
}

import type { Setting } from "../api/settings";

interface Shown {
  setting: Setting;
  /** What was chosen, by the names of settings. */
  values: Record<string, unknown>;
  set: (name: string, value: unknown) => void;
  /** Of what it is, where the same setting stands twice. */
  scope?: string;
}

/** One setting, with what the service says of it. */
export function Field(shown: Shown) {
  const { setting, scope = "setting" } = shown;
  const id = `${scope}-${setting.name}`;
  const about = `about-${id}`;
  const explained = setting.explanation && <p id={about} class="quiet">{setting.explanation}</p>;
  if (setting.kind === "several") {
    return <fieldset class="setting" aria-describedby={about}><legend>{setting.title}</legend><Several {...shown} />{explained}</fieldset>;
  }
  return (
    <div class="setting">
      <label for={id}>{setting.title}</label>
      <Control {...shown} shared={{ id, "aria-describedby": about }} />
      {explained}
    </div>
  );
}

type Control = Shown & { shared: { id: string; "aria-describedby": string } };

function Control({ setting, values, set, shared }: Control) {
  const value = values[setting.name] ?? setting.usual;
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
  if (setting.kind === "number") return <NumberField setting={setting} values={values} set={set} shared={shared} />;
  return <input {...shared} type="text" value={String(values[setting.name] ?? "")} placeholder="automatic" onInput={(event) => set(setting.name, event.currentTarget.value.trim() || null)} />;
}

function NumberField({ setting, values, set, shared }: Control) {
  const { name, least, most, whole, usual } = setting;
  const typed = (field: HTMLInputElement) => set(name, field.value === "" || !field.validity.valid ? null : field.valueAsNumber);
  return (
    <input
      {...shared} type="number" min={least ?? undefined} max={most ?? undefined} step={whole ? 1 : "any"}
      value={(values[name] as number | null) ?? ""} placeholder={usual === null ? "automatic" : String(usual)}
      onChange={(event) => typed(event.currentTarget)}
    />
  );
}

function Several({ setting, values, set }: Shown) {
  const chosen = (values[setting.name] as string[] | undefined) ?? [];
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

/** What can be set, read from the service's own OpenAPI document: names, bounds, defaults and explanations. */

export interface Setting {
  name: string;
  kind: "choice" | "several" | "flag" | "number" | "text";
  title: string;
  explanation: string;
  choices: string[];
  least: number | null;
  most: number | null;
  whole: boolean;
  /** What the service takes where nothing is said; null where it decides by itself. */
  usual: unknown;
}

/** What this service can do, and what may be said to it. */
export interface Abilities {
  settings: Setting[];
  clicks: boolean;
  boxes: boolean;
  candidates: number;
  references: number;
  /** How many LoRAs an edit may name, with weights from where to where; null where it may name none. */
  loras: { most: number; least: number; highest: number } | null;
  /** How many edits of a photo may be made at once, and the settings that each may have of its own; null where only one may. */
  edits: { most: number; own: Setting[] } | null;
  /** How many photographs of one thing may be edited together; 1 where each is edited by itself. */
  views: number;
  /** Whether clips are edited. */
  video: boolean;
}

/** Said by the page itself, by what is drawn and clicked. */
const SAID_BY_THE_PAGE = new Set(["mask_mode", "return_mask", "points", "box"]);

export const NO_ABILITIES: Abilities = { settings: [], clicks: false, boxes: false, candidates: 1, references: 1, loras: null, edits: null, views: 1, video: false };

interface Schema {
  $ref?: string;
  anyOf?: Schema[];
  type?: string;
  enum?: string[];
  items?: Schema;
  properties?: Record<string, Schema>;
  description?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  maxItems?: number;
  maxProperties?: number;
  additionalProperties?: Schema;
}

export function abilitiesOf(document: unknown): Abilities {
  const schemas = (document as { components?: { schemas?: Record<string, Schema> } }).components?.schemas ?? {};
  const resolved = (schema: Schema): Schema => {
    const inner = schema.$ref ? schemas[schema.$ref.split("/").at(-1) ?? ""] : schema.anyOf?.find((one) => one.type !== "null");
    return inner ? { ...resolved(inner), ...without(schema) } : schema;
  };
  const request = schemas["GenerateRequest"]?.properties ?? {};
  const options = schemas["GenerateConfig"]?.properties ?? {};
  const settings = Object.entries(options)
    .filter(([name]) => !SAID_BY_THE_PAGE.has(name))
    .map(([name, schema]) => settingOf(name, resolved(schema)))
    .filter((setting) => setting !== null);
  const candidates = request["n"] ? (resolved(request["n"]).maximum ?? 1) : 1;
  const references = request["reference_images"] ? (resolved(request["reference_images"]).maxItems ?? 1) : 1;
  const named = options["loras"] && resolved(options["loras"]);
  const { minimum = 0, maximum = 1 } = named?.additionalProperties ?? {};
  const loras = named ? { most: named.maxProperties ?? 1, least: minimum, highest: maximum } : null;
  const several = request["edits"] && resolved(request["edits"]);
  const each = several?.items ? Object.keys(resolved(several.items).properties ?? {}) : [];
  const own = settings.filter(({ name }) => each.includes(name)).map((setting) => ({ ...setting, usual: null }));
  const edits = several ? { most: several.maxItems ?? 1, own } : null;
  const views = schemas["ViewsRequest"]?.properties?.["base_images"]?.maxItems ?? 1;
  return { settings, clicks: "points" in options, boxes: "box" in options, candidates, references, loras, edits, views, video: "VideoRequest" in schemas };
}

function without({ $ref: _ref, anyOf: _anyOf, ...rest }: Schema): Schema {
  return rest;
}

function settingOf(name: string, schema: Schema): Setting | null {
  const kind = kindOf(schema);
  return kind && {
    name,
    kind,
    title: titleOf(name),
    explanation: (schema.description ?? "").replaceAll("`", ""),
    choices: schema.enum ?? schema.items?.enum ?? [],
    least: schema.minimum ?? null,
    most: schema.maximum ?? null,
    whole: schema.type === "integer",
    usual: schema.default ?? null,
  };
}

function kindOf(schema: Schema): Setting["kind"] | null {
  if (schema.enum) return "choice";
  if (schema.type === "array") return schema.items?.enum ? "several" : null;
  if (schema.type === "boolean") return "flag";
  if (schema.type === "integer" || schema.type === "number") return "number";
  return schema.type === "string" ? "text" : null;
}

/** `num_inference_steps` -> "Num inference steps"; a unit at the end goes into brackets. */
function titleOf(name: string): string {
  const [first = "", ...others] = name.replace(/_px$/, " (px)").split("_");
  return [first.charAt(0).toUpperCase() + first.slice(1), ...others].join(" ");
}

/** What was really set: without what is left empty or equals what the service takes anyway. */
export function differing(settings: readonly Setting[], chosen: Record<string, unknown>): Record<string, unknown> {
  const usual = new Map(settings.map((setting) => [setting.name, setting.usual]));
  return Object.fromEntries(
    Object.entries(chosen).filter(
      ([name, value]) =>
        usual.has(name) && value !== null && value !== "" && value !== usual.get(name) && !(Array.isArray(value) && value.length === 0),
    ),
  );
}

import type { Analysis } from "../api/client";
import { modelsLoaded } from "../api/service";
import { analysing, analysis, analysisError } from "../edit/analysis";
import { change, draft, editsOf, ownMask, photo, select, takePhoto } from "../edit/draft";
import { missing } from "../edit/parts";
import { scaledDown } from "../edit/photo";
import { tool } from "../mask/tools";
import { foundOf, paintersOf, percent, targetOf, told } from "../words";
import { EditAccounts } from "./edits";
import { ModelNames, Row, Warnings, Way } from "./facts";
import { Trouble } from "./trouble";

/** What the service would do, said before it does it. */
export function Decision() {
  const found = analysis.value;
  return (
    <section class="decision" aria-labelledby="decision-title" aria-busy={analysing.value}>
      <h2 id="decision-title">What will happen <span class="working" data-on={analysing.value} aria-hidden="true" /></h2>
      <div aria-live="polite">{found ? <Account found={found} /> : !analysisError.value && <p class="quiet">{waiting()}</p>}</div>
      <Trouble error={analysisError.value}><Fitting /><BoxInstead /><WithoutLoras /></Trouble>
    </section>
  );
}

function waiting(): string {
  if (analysing.value) return "Looking at the photo …";
  return missing(draft.value) ?? "Looking at the photo …";
}

function Account({ found }: { found: Analysis }) {
  const { routing, detections = [], mask_area: area = 0, edits = [], warnings = [] } = found.metadata;
  const several = edits.length > 1;
  const painters = paintersOf(found, modelsLoaded.value ?? [], draft.value.references.length > 0);
  return (
    <>
      {several ? <EditAccounts said={edits} warnings={warnings} asked={editsOf(draft.value)} /> : routing && <Way routing={routing} />}
      <dl>
        {!several && routing && <Row name="Changes">{ownMask.value ? "your mask" : targetOf(routing)}</Row>}
        {!several && detections.length > 0 && <Row name="Found">{foundOf(detections)}</Row>}
        <Row name="Area">{percent(area)} of the photo</Row>
        {!several && routing && <Row name="Paints">“{routing.generation_prompt}”</Row>}
        <Row name="Looked"><ModelNames names={found.models_used} /></Row>
        <Row name="Will paint"><ModelNames names={painters} paints /></Row>
      </dl>
      {!several && <Warnings warnings={warnings} />}
    </>
  );
}

/** Not every service's SAM makes something of a click; it says so when it is asked. */
function BoxInstead() {
  if (draft.value.points.length === 0 || told(analysisError.value).details["field"] !== "config.points") return null;
  const change = () => {
    select({ points: [] });
    tool.value = "box";
  };
  return <button type="button" onClick={change}>Draw a box instead</button>;
}

/** One that was chosen may be deleted since, or be for other models. */
function WithoutLoras() {
  if (told(analysisError.value).details["field"] !== "config.loras") return null;
  return <button type="button" onClick={() => change({ loras: {} })}>Edit without LoRAs</button>;
}

/** The service says how large a photo may be; the page can make it so. */
function Fitting() {
  const longest = told(analysisError.value).details["max_side_px"];
  const large = photo.value;
  if (typeof longest !== "number" || !large || Math.max(large.width, large.height) <= longest) return null;
  return <button type="button" onClick={() => void scaledDown(large, longest).then((small) => takePhoto(small, draft.value.views))}>Scale the photo down to {longest} pixels</button>;
}

/** The gallery that `make demo` writes: a file of its own, opened without a server, made of the page's parts. */

import { render } from "preact";
import { useState } from "preact/hooks";

import type { EditResult } from "./api/client";
import { Comparison } from "./parts/comparison";
import { ModelNames, Row, Warnings, Way } from "./parts/facts";
import { Detections, MaskView } from "./parts/found";
import { Icon } from "./parts/icon";
import { durationOf, foundOf, percent, targetOf } from "./words";

/** What stands as JSON in the file; images by their addresses beside it, the mask as the service answered it. */
interface Shown {
  notice: string;
  cases: Case[];
}

interface Case {
  title: string;
  prompt: string;
  width: number;
  height: number;
  before: string;
  after: string;
  reference: string | null;
  /** Of the photo a mask was given, so nothing was looked for. */
  masked: boolean;
  mask: string;
  result: Omit<EditResult, "image">;
}

function Gallery({ notice, cases }: Shown) {
  return (
    <>
      <header class="top"><h1><span class="mark" aria-hidden="true" /> Image composition</h1></header>
      <main class="gallery">
        <p class="quiet notice">{notice}</p>
        {cases.map((one) => <Edit key={one.title} edit={one} />)}
      </main>
    </>
  );
}

function Edit({ edit }: { edit: Case }) {
  const [found, showFound] = useState(false);
  const { routing, detections = [], mask_area: area = 0, warnings = [] } = edit.result.metadata;
  return (
    <article class="edit" aria-label={edit.title}>
      <div class="stage">
        <Comparison before={edit.before} after={edit.after} ratio={edit.width / edit.height}>
          {found && <MaskView mask={edit.mask} photo={edit} />}
          {found && <Detections detections={detections} photo={edit} />}
        </Comparison>
      </div>
      <div class="told">
        <h2>{edit.title}</h2>
        <p class="prompt">“{edit.prompt}”</p>
        <div class="group">
          {edit.reference && <img class="reference-image" src={edit.reference} alt="The reference" />}
          <button type="button" aria-pressed={found} onClick={() => showFound(!found)}><Icon name="eye" /> Show what was changed</button>
        </div>
        {routing && <Way routing={routing} />}
        <dl>
          <Row name="Changes">{edit.masked || !routing ? "the mask that was given" : targetOf(routing)}</Row>
          {detections.length > 0 && <Row name="Found">{foundOf(detections)}</Row>}
          <Row name="Area">{percent(area)} of the photo</Row>
          {routing && <Row name="Paints">“{routing.generation_prompt}”</Row>}
          <Row name="Models"><ModelNames names={edit.result.models_used} /></Row>
          <Row name="Took">{durationOf(edit.result.processing_time_ms)}</Row>
        </dl>
        <Warnings warnings={warnings} />
      </div>
    </article>
  );
}

const place = document.getElementById("app");
const shown = document.getElementById("shown");
if (place && shown) render(<Gallery {...(JSON.parse(shown.textContent ?? "") as Shown)} />, place);

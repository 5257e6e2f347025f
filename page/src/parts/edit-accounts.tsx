import type { EditAccount } from "../api/client";
import type { Edit } from "../edit/draft";
import { present } from "../mask/history";
import { foundOf, percent, targetOf } from "../words";
import type { Accounts } from "./edits";
import { Row, Warnings, Way } from "./facts";

const OF_ONE = /^edits\.\d+: /;

/** Each edit with its way and its region, and what holds for all of them. */
export function EditAccountList({ said, warnings, asked }: Accounts) {
  const common = warnings.filter((warning) => !OF_ONE.test(warning));
  return (
    <>
      <ol class="edit-accounts" aria-label="What is said of each edit">
        {said.map((account, index) => (
          <li key={index}><Account number={index + 1} account={account} asked={asked.length === said.length ? asked[index] : undefined} common={common} /></li>
        ))}
      </ol>
      <Warnings warnings={common} />
    </>
  );
}

interface Told {
  number: number;
  account: EditAccount;
  asked: Edit | undefined;
  common: readonly string[];
}

function Account({ number, account, asked, common }: Told) {
  const { prompt, routing, region, covered_by: covered, detections, mask_area: area, strength, blend } = account;
  const pointed = asked && (present(asked.mask) ? "your mask" : asked.points.length > 0 || asked.box ? "what you pointed at" : null);
  return (
    <>
      <h3>Edit {number}: “{prompt}”</h3>
      <Way routing={routing} />
      <dl>
        <Row name="Changes">{region ? (pointed ?? targetOf(routing)) : "nothing: it is left out"}</Row>
        {detections.length > 0 && <Row name="Found">{foundOf(detections)}</Row>}
        {region && <Row name="Region">{regionOf(region)}, {percent(area)} of the photo</Row>}
        {covered.length > 0 && <Row name="Covered">{covered.map(({ edit, share }) => `${percent(share)} by edit ${edit + 1}`).join(", ")}</Row>}
        {region && <Row name="Paints">“{routing.generation_prompt}”</Row>}
        {region && <Row name="Strength">{strength}{blend < 1 && `, ${percent(blend)} of it laid over the photo`}</Row>}
      </dl>
      <Warnings warnings={account.warnings.filter((warning) => !common.includes(warning))} />
    </>
  );
}

const regionOf = ([left, top, right, bottom]: readonly [number, number, number, number]) => `${right - left} × ${bottom - top} pixels at ${left}, ${top}`;

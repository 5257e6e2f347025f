import { render } from "preact";

import { learnAbilities, watchHealth } from "./api/service";
import { App } from "./app";
import { keepAnalysing } from "./edit/analysis";
import { restoreDraft } from "./edit/draft";
import { learnLoras } from "./edit/loras";
import { lookForOtherJobs, resumeRuns } from "./runs/running";

const place = document.getElementById("app");
if (place) render(<App />, place);

void watchHealth();
void restoreDraft().then(async () => {
  await learnAbilities();
  keepAnalysing();
  await resumeRuns();
  await Promise.all([lookForOtherJobs(), learnLoras()]);
});

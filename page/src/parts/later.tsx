import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Trouble } from "./trouble";

/** A part of the page whose script is fetched once it is shown; `load` is called once. */
export function Later({ load }: { load: () => Promise<ComponentType> }) {
  const [loaded, keep] = useState<{ Part?: ComponentType; failed?: boolean }>({});
  useEffect(() => void load().then((Part) => keep({ Part }), () => keep({ failed: true })), []);
  const { Part, failed } = loaded;
  if (failed) return <Trouble error={new Error("this part of the page could not be loaded")} advice="Load the page again." />;
  return Part ? <Part /> : <p class="quiet">Loading …</p>;
}

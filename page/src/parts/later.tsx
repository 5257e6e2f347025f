import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Trouble } from "./trouble";

let here: OnDemand | undefined;
export const onDemand = () => import("../on-demand").then((all) => (here = all));
type OnDemand = typeof import("../on-demand");

/** One of the parts that are fetched on demand, and what it is told. */
export function Later<Told extends object = object>({ part, told }: { part: (all: OnDemand) => ComponentType<Told>; told?: Told }) {
  const [loaded, keep] = useState<{ Part?: ComponentType<Told>; failed?: boolean }>(here ? { Part: part(here) } : {});
  useEffect(() => void onDemand().then((all) => keep({ Part: part(all) }), () => keep({ failed: true })), []);
  const { Part, failed } = loaded;
  if (failed) return <Trouble error={new Error("this part of the page could not be loaded")} advice="Load the page again." />;
  return Part ? <Part {...(told as Told)} /> : <p class="quiet">Loading …</p>;
}

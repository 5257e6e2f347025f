import type { ComponentChildren } from "preact";

import type { Routing } from "../api/client";
import { sentence } from "../words";

/** Which way an edit takes, and why. */
export function Way({ routing }: { routing: Routing }) {
  return (
    <p>
      <strong class="way">{sentence(`${routing.pipeline} edit`)}</strong> {sentence(routing.reason)} <code class="rule">{routing.rule}</code>
    </p>
  );
}

/** One fact of a list of them. */
export function Row({ name, children }: { name: string; children: ComponentChildren }) {
  return <div><dt>{name}</dt><dd>{children}</dd></div>;
}

export function ModelNames({ names, paints }: { names: string[]; paints?: boolean }) {
  if (names.length === 0) return <>nothing was needed</>;
  return <>{names.map((name) => <span key={name} class="model" data-paints={paints}>{name}</span>)}</>;
}

export function Warnings({ warnings }: { warnings: readonly string[] }) {
  if (warnings.length === 0) return null;
  return <ul class="warnings" aria-label="Warnings">{warnings.map((warning) => <li key={warning}>{sentence(warning)}</li>)}</ul>;
}

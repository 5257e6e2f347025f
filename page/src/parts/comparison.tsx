import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

interface Compared {
  before: string | undefined;
  after: string;
  /** Width by height. */
  ratio: number;
  /** What lies over both. */
  children?: ComponentChildren;
}

/** Before and after, one over the other; the edge between them follows the pointer and the arrow keys. */
export function Comparison({ before, after, ratio, children }: Compared) {
  const [share, setShare] = useState(before ? 50 : 0);
  return (
    <div class="sheet comparison" style={{ "--ratio": ratio, "--share": `${share}%` }}>
      <img src={after} alt="After the edit" />
      {before && <img class="before" src={before} alt="Before the edit" />}
      {children}
      {before && (
        <>
          <span class="edge" aria-hidden="true" />
          <span class="side left" aria-hidden="true">Before</span>
          <span class="side right" aria-hidden="true">After</span>
          <input type="range" min={0} max={100} value={share} aria-label="How much of the photo before the edit is shown" aria-valuetext={`${share} % before, ${100 - share} % after`}
            onInput={(event) => setShare(event.currentTarget.valueAsNumber)} />
        </>
      )}
    </div>
  );
}

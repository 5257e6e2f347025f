import { useEffect, useRef } from "preact/hooks";

import type { Detection } from "../api/client";
import { drawAlpha, valuesOfMask } from "../mask/drawing";
import type { Box, Point, Size } from "../mask/geometry";
import { percent } from "../words";

/** Below this score a box is drawn faintly, under the others. */
const WEAK = 0.5;

/** What was found in a photo: a frame for each thing, with its name. */
export function Detections({ detections, photo }: { detections: readonly Detection[]; photo: Size }) {
  return (
    <>
      {[...detections].sort((one, other) => one.score - other.score).map(({ label, score, box }) => (
        <Frame key={box.join()} box={box} photo={photo} look={score < WEAK ? "found weak" : "found"} label={`${label} ${percent(score)}`} />
      ))}
    </>
  );
}

export function Frame({ box, photo, look, label }: { box: Box; photo: Size; look: string; label?: string }) {
  const [left, top, right, bottom] = box;
  const style = {
    ...placeOf({ x: left, y: top }, photo),
    width: `${(100 * (right - left)) / photo.width}%`,
    height: `${(100 * (bottom - top)) / photo.height}%`,
  };
  return <span class={`frame ${look}`} style={style}>{label && <span class="label">{label}</span>}</span>;
}

export const placeOf = ({ x, y }: Point, photo: Size) => ({ left: `${(100 * x) / photo.width}%`, top: `${(100 * y) / photo.height}%` });

/** A mask that the service answered with, over the photo. */
export function MaskView({ mask, photo }: { mask: string; photo: Size }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    void valuesOfMask(mask, photo).then((values) => canvas.current && drawAlpha(canvas.current, values));
  }, [mask]);
  return <canvas ref={canvas} class="mask" width={photo.width} height={photo.height} aria-hidden="true" />;
}

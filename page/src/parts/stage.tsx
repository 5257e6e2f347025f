import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import type { Analysis } from "../api/client";
import { SHOWN, analysis, inHand } from "../edit/analysis";
import { changeMask, draft, ownMask } from "../edit/draft";
import type { Photo } from "../edit/photo";
import { takingError } from "../edit/taking";
import { draw, drawAlpha, drawStroke, valuesOfMask } from "../mask/drawing";
import { type Point, type Size, boxBetween, photoPoint, shareOf } from "../mask/geometry";
import { type Runs, redo, runsOf, undo } from "../mask/history";
import { addPoint, addStroke, isBrush, maskShown, radiusOn, setBox, tool } from "../mask/tools";
import { useDropping } from "./dropping";
import { Detections, Frame, placeOf } from "./found";
import { useObjectUrl } from "./object-url";
import { Tools } from "./tools";
import { Trouble } from "./trouble";

/** Of a found region that is nearly everything, nothing is left to add: a brush starts from nothing. */
const NEARLY_ALL = 0.95;
const KEY_STEP = 1 / 40;

/** The photo with what would change of it, and the hand that corrects it. */
export function Stage({ photo }: { photo: Photo }) {
  const url = useObjectUrl(photo.blob);
  return (
    <>
      <Tools />
      <div class="stage" {...useDropping("photo")}>
        <div class="sheet" style={{ "--ratio": photo.width / photo.height }}>
          <img src={url} alt={`The photo, ${photo.width} by ${photo.height} pixels`} draggable={false} />
          <Surface key={`${url} ${draft.value.place}`} photo={photo} />
        </div>
      </div>
      <div class="under">
        <p class="quiet" role="status">{photo.note ?? `${photo.width} × ${photo.height} pixels`}</p>
        <Trouble error={takingError.value} />
      </div>
    </>
  );
}

/** Everything over the photo: mask, boxes, points, cursor; takes pointer and keys. */
function Surface({ photo }: { photo: Photo }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const answer = analysis.value;
  const found = useMask(canvas, photo);
  const path = useRef<Point[]>([]);
  const apart = useRef(false);
  const [cursor, setCursor] = useState<Point | null>(null);
  const [corner, setCorner] = useState<Point | null>(null);

  const begin = (point: Point) => {
    path.current = [point];
    if (tool.value === "box") setCorner(point);
    if (!isBrush.value || !canvas.current) return;
    if (!ownMask.value) draw(canvas.current, found.current ? [{ kind: "whole", mask: found.current }] : []);
    drawStroke(canvas.current, [point], radiusOn(photo), tool.value === "eraser");
  };
  const go = (point: Point) => {
    setCursor(point);
    const last = path.current.at(-1);
    if (!last) return;
    path.current.push(point);
    if (isBrush.value && canvas.current) drawStroke(canvas.current, [last, point], radiusOn(photo), tool.value === "eraser");
  };
  const finish = () => {
    const points = path.current;
    const [first, last] = [points[0], points.at(-1)];
    path.current = [];
    setCorner(null);
    if (!first || !last) return;
    if (isBrush.value) addStroke(points, radiusOn(photo), found.current);
    else if (tool.value === "click") addPoint(apart.current ? { ...last, apart: true } : last);
    else {
      const box = boxBetween(first, last, photo);
      if (box) setBox(box);
    }
  };
  const at = (event: PointerEvent) =>
    photoPoint({ x: event.clientX, y: event.clientY }, (event.currentTarget as Element).getBoundingClientRect(), photo);
  const keys = useKeys({ photo, cursor, isDown: corner !== null, setCursor, begin, go, finish });
  const chosen = corner && cursor ? boxBetween(corner, cursor, photo) : draft.value.box;
  return (
    <div
      class="surface" tabIndex={0} role="application" data-tool={tool.value} aria-roledescription="photo to draw on"
      aria-label="Photo. Arrow keys move the tool, the space bar uses it, with Shift the arrows paint."
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        apart.current = event.altKey;
        begin(at(event));
      }}
      onPointerMove={(event) => go(at(event))} onPointerUp={finish} onPointerCancel={finish}
      onPointerLeave={() => setCursor(null)} onKeyDown={keys} onBlur={() => setCursor(null)}
    >
      <canvas ref={canvas} class="mask" width={photo.width} height={photo.height} hidden={!maskShown.value} />
      {!ownMask.value && maskShown.value && <Detections detections={(inHand.value ?? answer?.metadata)?.detections ?? []} photo={photo} />}
      {inHand.value && maskShown.value && answer?.metadata.edits?.map(({ region }, index) => (
        index !== draft.value.place && region && <Frame key={index} box={region} photo={photo} look="selection" label={`Edit ${index + 1}`} />
      ))}
      {chosen && <Frame box={chosen} photo={photo} look="selection" />}
      {draft.value.points.map((point, index) => <span key={index} class="point" data-apart={point.apart} style={placeOf(point, photo)} />)}
      {cursor && <Cursor at={cursor} photo={photo} />}
    </div>
  );
}

/** Keep the canvas as the mask is; the found mask, for the first stroke to start from. */
function useMask(canvas: RefObject<HTMLCanvasElement | null>, photo: Photo): RefObject<Runs | null> {
  const found = useRef<Runs>(null);
  const steps = ownMask.value;
  const answer = analysis.value;
  useLayoutEffect(() => {
    if (canvas.current) draw(canvas.current, steps ?? []);
  }, [steps]);
  useEffect(() => {
    found.current = null;
    if (steps || !canvas.current) return;
    if (!answer) {
      draw(canvas.current, []);
      return;
    }
    let stale = false;
    void valuesOfMask(answer.mask, photo).then((values) => {
      if (stale || !canvas.current) return;
      drawAlpha(canvas.current, values);
      const own = ofTheOneInHand(values, answer, photo);
      if (own) found.current = runsOf(own);
      performance.mark(SHOWN);
    });
    return () => void (stale = true);
  }, [answer, steps]);
  return found;
}

/** What of a found mask a stroke can start from; null where there is nothing to correct, or nothing left to add. */
function ofTheOneInHand(values: Uint8ClampedArray, { metadata }: Analysis, photo: Photo): Uint8ClampedArray | null {
  const one = inHand.peek();
  if (((one ?? metadata).mask_area ?? 0) >= NEARLY_ALL) return null;
  if (!one) return values;
  const others = metadata.edits?.filter((edit) => edit !== one).flatMap(({ region }) => (region ? [region] : [])) ?? [];
  return one.region && shareOf(values, one.region, others, photo);
}

interface Hand {
  photo: Photo;
  cursor: Point | null;
  isDown: boolean;
  setCursor(point: Point): void;
  begin(point: Point): void;
  go(point: Point): void;
  finish(): void;
}

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The tools without a pointer: arrows, space, and what every editor has on its keys. */
function useKeys({ photo, cursor, isDown, setCursor, begin, go, finish }: Hand) {
  return (event: KeyboardEvent) => {
    const here = cursor ?? { x: photo.width / 2, y: photo.height / 2 };
    const arrow = ARROWS[event.key];
    const { mask } = draft.value;
    if (arrow) {
      const step = Math.max(photo.width, photo.height) * KEY_STEP;
      const moved = photoPoint({ x: here.x + arrow[0] * step, y: here.y + arrow[1] * step }, { left: 0, top: 0, ...sizeOf(photo) }, photo);
      if (event.shiftKey && isBrush.value) begin(here);
      go(moved);
      if (event.shiftKey && isBrush.value) finish();
    } else if (event.key === " ") {
      if (tool.value === "box" && !isDown) begin(here);
      else {
        if (tool.value !== "box") begin(here);
        finish();
      }
      setCursor(here);
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") changeMask(event.shiftKey ? redo(mask) : undo(mask));
    else return;
    event.preventDefault();
  };
}

function Cursor({ at, photo }: { at: Point; photo: Photo }) {
  const size = isBrush.value ? `${(200 * radiusOn(photo)) / photo.width}%` : undefined;
  return <span class="cursor" data-tool={tool.value} style={{ ...placeOf(at, photo), ...(size ? { width: size } : {}) }} />;
}

const sizeOf = ({ width, height }: Size): Size => ({ width, height });

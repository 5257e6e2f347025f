import { useEffect, useRef } from "preact/hooks";

import { keyQuestion, serviceState } from "./api/service";
import { draft, photo } from "./edit/draft";
import { imagesIn } from "./edit/photo";
import { take } from "./edit/taking";
import { Decision } from "./parts/decision";
import { MoreExamples } from "./parts/examples";
import { History } from "./parts/history";
import { Later } from "./parts/later";
import { Result } from "./parts/result";
import { Sentence } from "./parts/sentence";
import { Loras } from "./parts/loras";
import { Settings } from "./parts/settings";
import { Stage } from "./parts/stage";
import { Start } from "./parts/start";
import { shown, shownRun } from "./runs/running";

const SERVICE = { asking: "Connecting", ready: "Ready", starting: "Loading models", away: "No connection" };

export function App() {
  usePasting();
  return (
    <>
      <a class="skip" href="#sentence">Skip to the sentence</a>
      <header class="top">
        <h1><span class="mark" aria-hidden="true" /> Image composition</h1>
        <p class="service" data-state={serviceState} role="status">{SERVICE[serviceState.value]}</p>
        <nav><a href="/docs">API</a></nav>
      </header>
      <main>
        <section class="stage-column" aria-label="Photo" tabIndex={-1} ref={useKeptFocus()}>
          {shownRun.value ? <Result run={shownRun.value} /> : draft.value.views.length > 0 ? <Later part={({ Photographs }) => Photographs} /> : photo.value ? <Stage photo={photo.value} /> : <Start />}
        </section>
        <section class="panel" aria-label="Edit">
          <Sentence />
          <Decision />
          <Settings />
          <Loras />
        </section>
      </main>
      <section class="below" aria-label="Examples and history">
        <History />
        <MoreExamples />
        <p class="quiet foot"><span>Photos go to this service and nowhere else.</span><span>Drafts and history are kept in this browser.</span></p>
      </section>
      {keyQuestion.value && <Later part={({ KeyDialog }) => KeyDialog} />}
    </>
  );
}

/** Who pressed a button that has gone with what was on the stage goes on from the stage. */
function useKeptFocus() {
  const column = useRef<HTMLElement>(null);
  const run = shown.value?.run;
  useEffect(() => {
    if (document.activeElement === document.body && matchMedia("(pointer: fine)").matches) column.current?.focus({ preventScroll: true });
  }, [run]);
  return column;
}

/** Paste anywhere: the first image is the photo, the next one the reference. */
function usePasting() {
  useEffect(() => {
    const pasted = (event: ClipboardEvent) => {
      const [image] = imagesIn(event.clipboardData);
      if (!image) return;
      event.preventDefault();
      void take(image, draft.value.photo && draft.value.references.length === 0 ? "reference" : "photo");
    };
    // A file dropped beside the places for it would replace the page.
    const swallowed = (event: DragEvent) => event.preventDefault();
    addEventListener("paste", pasted);
    addEventListener("dragover", swallowed);
    addEventListener("drop", swallowed);
    return () => {
      removeEventListener("paste", pasted);
      removeEventListener("dragover", swallowed);
      removeEventListener("drop", swallowed);
    };
  }, []);
}

import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import type { JobSummary } from "../api/client";
import { client } from "../api/service";
import { titleOf } from "../edit/draft";
import { type Run, isRunning, progressOf } from "../runs/run";
import { otherJobs, remove, runs, show, shown } from "../runs/running";
import { percent, timeOf } from "../words";
import { Icon } from "./icon";
import { onDemand } from "./later";
import { useObjectUrl } from "./object-url";

/** What was made before, here and elsewhere. */
export function History() {
  if (runs.value.length === 0 && otherJobs.value.length === 0) return null;
  return (
    <section class="history" aria-labelledby="history-title">
      <h2 id="history-title">History</h2>
      <ul>
        {runs.value.map((run) => <li key={run.id}><Entry run={run} /></li>)}
        {otherJobs.value.map((job) => <li key={job.job_id}><Other job={job} /></li>)}
      </ul>
    </section>
  );
}

function stateOf(run: Run): string {
  if (isRunning(run)) return percent(progressOf(run));
  if (run.candidates.some((candidate) => candidate.image)) return timeOf(run.createdAt);
  return run.candidates[0]?.failure?.code === "CANCELLED" ? "cancelled" : "failed";
}

function Entry({ run }: { run: Run }) {
  const image = useObjectUrl(run.candidates.find(({ image }) => image?.type.startsWith("image/"))?.image ?? run.draft.photo?.blob);
  const title = titleOf(run.draft);
  const open = () => {
    show(run);
    document.querySelector(".stage-column")?.scrollIntoView({ block: "nearest" });
  };
  return (
    <>
      <button type="button" class="entry" aria-current={shown.value?.run === run.id || undefined} onClick={open}>
        <span class="thumb">{image && <img src={image} alt="" />}</span>
        <span class="what">{title}</span>
        <span class="quiet">{stateOf(run)}{run.candidates.length > 1 && ` · ${run.candidates.length}`}</span>
      </button>
      {!isRunning(run) && (
        <button type="button" class="icon-only remove" aria-label={`Forget “${title}”`} onClick={() => remove(run)}><Icon name="close" /></button>
      )}
    </>
  );
}

/** A job that this browser did not start: of its photo it knows nothing, its result is fetched when it comes into sight. */
function Other({ job }: { job: JobSummary }) {
  const thumb = useRef<HTMLSpanElement>(null);
  const image = useObjectUrl(useThumbnail(thumb, job));
  return (
    <button type="button" class="entry" disabled={job.status !== "completed"} title="Started elsewhere" onClick={() => void onDemand().then(({ openOther }) => openOther(job))}>
      <span class="thumb" ref={thumb}>{image ? <img src={image} alt="" /> : <Icon name="image" />}</span>
      <span class="what">{job.prompt}</span>
      <span class="quiet">elsewhere{job.status !== "completed" && ` · ${job.status}`}</span>
    </button>
  );
}

/** A small file of what came of a job, once the place for it is in sight; null while there is none, and for one that is gone. */
function useThumbnail(place: RefObject<Element | null>, { job_id: id, status }: JobSummary): Blob | null {
  const [file, keep] = useState<Blob | null>(null);
  useEffect(() => {
    if (status !== "completed" || !place.current) return;
    const controller = new AbortController();
    const sight = new IntersectionObserver(([entry]) => {
      if (!entry?.isIntersecting) return;
      sight.disconnect();
      void client.thumbnail(id, controller.signal).then(keep, () => undefined);
    });
    sight.observe(place.current);
    return () => {
      sight.disconnect();
      controller.abort();
    };
  }, [id, status]);
  return file;
}

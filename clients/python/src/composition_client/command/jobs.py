"""`compose jobs`: what became of the caller's jobs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from composition_client.answers import EditAccount, Job, JobStatus, ViewAccount
from composition_client.client import Client
from composition_client.command import flags
from composition_client.command.exits import exits
from composition_client.command.places import PIPE, SUFFIX_OF, Output, check_free, write_whole
from composition_client.command.report import frames_in_words, of_each, of_each_view, print_json, print_table, table_of
from composition_client.connection import DEFAULT_URL
from composition_client.errors import ComposeError
from composition_client.images import kind_of, suffix_of_clip

jobs = typer.Typer(no_args_is_help=True, help="The caller's jobs: list, show, cancel, image, video.")
SHORT_S = 30.0


def _ids(incomplete: str) -> list[str]:
    """For the shell's completion."""
    try:
        with Client(timeout_s=2, retries=0) as client:
            return [job.job_id for job in client.jobs(limit=50).jobs if job.job_id.startswith(incomplete)]
    except ComposeError:
        return []


JobId = Annotated[str, typer.Argument(metavar="JOB", help="Its id.", autocompletion=_ids)]


@jobs.command("list")
@exits
def list_jobs(
    *,
    status: Annotated[JobStatus | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    json_: flags.Json = False,
    url: flags.Url = DEFAULT_URL,
) -> None:
    """Newest first."""
    with Client(url, timeout_s=SHORT_S) as client:
        found = [job for job, _ in zip(client.every_job(status=status), range(limit), strict=False)]
    if json_:
        for job in found:
            print_json(job.model_dump(mode="json"))
        return
    table = table_of("job", "kind", "state", "", "since", "prompt")
    for job in found:
        state = job.error_code if job.error_code not in (None, "CANCELLED") else ""
        how_far = f"{job.progress:.0%}" if job.status == "processing" else state
        table.add_row(job.job_id, job.kind, job.status, how_far, _clock(job.created_at), job.prompt)
    print_table(table)


@jobs.command()
@exits
def show(job_id: JobId, *, json_: flags.Json = False, url: flags.Url = DEFAULT_URL) -> None:
    """Its state and, once it has ended, how."""
    with Client(url, timeout_s=SHORT_S) as client:
        job = client.job(job_id)
    _show(job, json_=json_)


@jobs.command()
@exits
def cancel(job_id: JobId, *, json_: flags.Json = False, url: flags.Url = DEFAULT_URL) -> None:
    """One that has ended stays as it is; the state that is printed says so."""
    with Client(url, timeout_s=SHORT_S) as client:
        job = client.cancel(job_id)
    _show(job, json_=json_)


@jobs.command()
@exits
def image(
    job_id: JobId,
    *,
    output: Annotated[str | None, typer.Option("--output", "-o", help="A file or -; else JOB.png.")] = None,
    index: Annotated[int, typer.Option(min=0, help="Of several candidates or views which one, from 0.")] = 0,
    force: flags.Force = False,
    url: flags.Url = DEFAULT_URL,
) -> None:
    """Fetch the edited image."""
    with Client(url, timeout_s=SHORT_S) as client:
        data = client.image(job_id, index=index)
    if output == PIPE:
        Output(paths=[], force=force).write([data])
        return
    path = Path(output or f"{job_id}{SUFFIX_OF[kind_of(data)]}")
    check_free([path], force=force)
    write_whole(path, data, force=force)
    print(path)


@jobs.command()
@exits
def video(
    job_id: JobId,
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; else JOB.gif and the like.")] = None,
    force: flags.Force = False,
    url: flags.Url = DEFAULT_URL,
) -> None:
    """Fetch the edited clip."""
    with Client(url) as client:
        data = client.video(job_id)
    path = output or Path(f"{job_id}{suffix_of_clip(data)}")
    check_free([path], force=force)
    write_whole(path, data, force=force)
    print(path)


def _show(job: Job, *, json_: bool) -> None:
    if json_:
        print_json(job.model_dump(mode="json", exclude={"result": {"image", "images", "mask", "video"}}))
        return
    print(f"{job.status} {job.progress:.0%} {job.stage}".rstrip())
    print(f"since {_clock(job.created_at)}, attempt {job.attempt}")
    if job.error is not None:
        print(f"{job.error_code}: {job.error}")
    if job.result is not None:
        metadata = job.result.get("metadata", {})
        print(f"{job.result.get('pipeline_used')} pipeline, seed {metadata.get('seed_used')}")
        if "frames" in metadata:
            print(frames_in_words(metadata))
        edits = [EditAccount.model_validate(edit) for edit in metadata.get("edits", [])]
        views = [ViewAccount.model_validate(view) for view in metadata.get("views", [])]
        warnings = metadata.get("warnings", [])
        for line in of_each_view(views, warnings) if views else of_each(edits, warnings):
            print(line)


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))

"""`compose analyze`: what an edit would repaint, and why, in words and as images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from composition_client.answers import Analysis, EditAccount
from composition_client.client import Client
from composition_client.command import flags, several
from composition_client.command.exits import exits
from composition_client.command.places import Photo, Pipe, check_free, photos_of, write_whole
from composition_client.command.report import of_each, print_json, say
from composition_client.connection import DEFAULT_URL
from composition_client.images import overlaid
from composition_client.options import Config


@flags.takes_config
@exits
def analyze(
    photo: Annotated[str, typer.Argument(metavar="PHOTO", help="A file, a URL, or - for stdin.")],
    prompt: Annotated[str | None, typer.Argument(help="As for an edit.")] = None,
    *,
    config: Config,
    also: several.Also = None,
    edits: several.File = None,
    reference: flags.Reference = None,
    reference_for: flags.ReferenceFor = None,
    mask: flags.MaskImage = None,
    negative_prompt: flags.NegativePrompt = None,
    show: Annotated[
        bool, typer.Option("--show", help="Write photo.mask.png, and photo.overlay.png with it in red.")
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="Show what --show has written.")] = False,
    force: flags.Force = False,
    json_: flags.Json = False,
    timeout: flags.Timeout = flags.DEFAULT_TIMEOUT_S,
    url: flags.Url = DEFAULT_URL,
) -> None:
    """Say what an edit would repaint, and why; nothing is painted."""
    if open_ and not show:
        raise typer.BadParameter("--open is for --show")
    pipe = Pipe()
    given = photos_of([photo], pipe)
    if len(given) != 1:
        raise typer.BadParameter(f"{photo} is {len(given)} photos, one is needed")
    files = [given[0].path.with_name(f"{given[0].path.stem}.{part}.png") for part in ("mask", "overlay")]
    if show:
        check_free(files, force=force)
    with Client(url, timeout_s=timeout) as client:
        found = client.analyze(
            given[0].image,
            several.prompt_of(prompt, also, edits, pipe),
            reference=pipe.references(reference, reference_for),
            mask=pipe.maybe(mask),
            negative_prompt=negative_prompt,
            **config,
        )
    if json_:
        print_json(found.model_dump(mode="json", exclude={"mask"}))
    else:
        print("\n".join(in_words(found)))
    if show:
        for path in _write(given[0], found, *files, force=force):
            say(str(path))
            if open_:
                typer.launch(str(path))


def _write(photo: Photo, found: Analysis, mask: Path, overlay: Path, *, force: bool) -> Iterator[Path]:
    write_whole(mask, found.mask, force=force)
    yield mask
    if isinstance(photo.image, str) and not photo.path.is_file():
        say("no overlay: the photo is at a URL, and the service has fetched it")
        return
    try:
        laid = overlaid(photo.image, found.mask)
    except ImportError:
        say("no overlay: it needs Pillow (pip install 'image-composition-client[images]')")
        return
    write_whole(overlay, laid, force=force)
    yield overlay


POINTED_OUT = {
    "mask_image": "what the mask says",
    "points": "what the points are on",
    "box": "what is in the box",
    "points and box": "what points and box are on",
}
"""Of `metadata.routing.region_from`, where it was not looked for by a phrase."""


def in_words(found: Analysis) -> list[str]:
    """The decision, a line for each thing it says; of several edits each one's."""
    if len(found.edits) > 1:
        return of_each(found.edits, found.warnings, more=_decision_on)
    metadata = found.metadata
    lines = _decision(found.pipeline, found.routing, metadata.get("mask_area", 0), metadata.get("detections", []))
    return lines + [f"warning: {warning}" for warning in found.warnings]


def _decision_on(edit: EditAccount) -> list[str]:
    if edit.region is None:
        return []
    return _decision(edit.routing.get("pipeline", ""), edit.routing, edit.mask_area, edit.detections)


def _decision(
    pipeline: str, routing: Mapping[str, Any], mask_area: float, detections: Sequence[Mapping[str, Any]]
) -> list[str]:
    lines = [f"{pipeline} pipeline, rule {routing.get('rule')}: {routing.get('reason')}"]
    region = POINTED_OUT.get(routing.get("region_from", "")) or _target(routing.get("target") or {})
    lines.append(f"repaints {region}, {mask_area:.1%} of the image")
    lines += [
        f"  found {thing['label']} ({thing['score']:.2f}) at {', '.join(f'{edge:.0f}' for edge in thing['box'])}"
        for thing in detections[:5]
    ]
    controls = routing.get("controls", {})
    if controls:
        lines.append("structure kept by " + ", ".join(f"{name} ({weight:g})" for name, weight in controls.items()))
    if routing.get("generation_prompt"):
        lines.append(f"paints “{routing['generation_prompt']}”")
    return lines


def _target(target: dict[str, Any]) -> str:
    """Of `metadata.routing.target`, which has only what is set."""
    name = target.get("phrase") or (f"what is worn ({target['region']})" if "region" in target else "")
    if target.get("rest"):
        name = "everything else"
    elif target.get("complement"):
        name = "the background"
    if target.get("position"):
        name = f"{name} on the {target['position']}" if target["position"] != "middle" else f"{name} in the middle"
    if target.get("plural"):
        name = f"every {name}"
    if target.get("place"):
        name = f"a place: {target['place']}"
    kept = target.get("protected")
    return (name or "the whole image") + (f", but not {', '.join(kept)}" if kept else "")

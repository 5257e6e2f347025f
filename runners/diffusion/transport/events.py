"""Requests and events <-> frames, on both ends of the hop between the front service and the runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from composition.diffusion import (
    ControlInput,
    DiffusionProgress,
    DiffusionRequest,
    DiffusionResult,
    ReferenceInput,
    RegionRequest,
    ViewRequest,
)
from composition.errors import CompositionError, from_code
from composition.images import Image
from composition.lora import LoraKind, LoraUse
from composition.request import Quality, Scheduler, Speed
from runners.diffusion.transport.frames import Frame, FrameError, FrameKind


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The first event: the runner has the request and keeps it for `lease_s` seconds unless the lease is renewed."""

    lease_s: float


@dataclass(frozen=True, kw_only=True)
class Alive:
    """Nothing new, but the runner is at work."""


Event: TypeAlias = Accepted | Alive | DiffusionProgress | DiffusionResult | CompositionError


def request_to_frame(request: DiffusionRequest) -> Frame:
    """Header: every scalar; arrays: image, mask, and of each region area, control-<type>, reference<i>-<j>.

    That is the j-th image of its i-th reference, whose mask is reference<i>-mask. The names of the arrays of regions
    beside the request's own begin with their number: "1-area". So do those of its other views, whose header has their
    controls alone: "1-image", "1-mask". Where there is a noise_from, every view has its own.
    """
    own_arrays = ("image", "mask", "noise_from")
    header: dict[str, Any] = {name: value for name, value in vars(request).items() if name not in own_arrays}
    header |= {
        "loras": [asdict(lora) for lora in request.loras],
        "speed": request.speed.value,
        "scheduler": request.scheduler.value,
        **_region_header(request),
        "beside": [{**vars(region), **_region_header(region)} for region in request.beside],
        "views": [_controls_header(view.controls) for view in request.views],
    }
    arrays = {"image": request.image, "mask": request.mask, **_noise(request), **_region_arrays(request)}
    for number, region in enumerate(request.beside, start=1):
        arrays |= {f"{number}-{name}": array for name, array in _region_arrays(region).items()}
    for number, view in enumerate(request.views, start=1):
        own = {"image": view.image, "mask": view.mask, **_noise(view), **_control_arrays(view.controls)}
        arrays |= {f"{number}-{name}": array for name, array in own.items()}
    return Frame(kind=FrameKind.REQUEST, header=header, arrays=arrays)


def request_from_frame(frame: Frame) -> DiffusionRequest:
    """The inverse of `request_to_frame`. Raises: FrameError when the frame is no request."""
    if frame.kind is not FrameKind.REQUEST:
        raise FrameError(f"expected a request, got {frame.kind.name}")
    try:
        fields = dict(frame.header)
        fields["speed"] = Speed(fields["speed"])
        fields["quality"] = Quality(fields["quality"])
        fields["scheduler"] = Scheduler(fields["scheduler"])
        fields["loras"] = tuple(_lora(values) for values in fields["loras"])
        beside = enumerate(fields.pop("beside"), start=1)
        views = enumerate(fields.pop("views"), start=1)
        return DiffusionRequest(
            image=frame.arrays["image"],
            mask=frame.arrays["mask"],
            noise_from=frame.arrays.get("noise_from"),
            beside=tuple(RegionRequest(**_region(values, frame.arrays, f"{number}-")) for number, values in beside),
            views=tuple(_view(controls, frame.arrays, f"{number}-") for number, controls in views),
            **_region(fields, frame.arrays, ""),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise FrameError(f"a request cannot be read: {error}") from error


def _region_header(region: RegionRequest) -> dict[str, Any]:
    """What stands in the header for a region's arrays."""
    return {
        "area": region.area is not None,
        "references": [
            {"images": len(reference.images), "scale": reference.scale, "mask": reference.mask is not None}
            for reference in region.references
        ],
        "controls": _controls_header(region.controls),
    }


def _controls_header(controls: Mapping[str, ControlInput]) -> dict[str, Any]:
    return {
        kind: {"scale": control.scale, "start": control.start, "end": control.end} for kind, control in controls.items()
    }


def _region_arrays(region: RegionRequest) -> dict[str, Any]:
    arrays: dict[str, Any] = {} if region.area is None else {"area": region.area}
    for number, reference in enumerate(region.references):
        arrays |= {f"reference{number}-{place}": image for place, image in enumerate(reference.images)}
        arrays |= {} if reference.mask is None else {f"reference{number}-mask": reference.mask}
    return arrays | _control_arrays(region.controls)


def _control_arrays(controls: Mapping[str, ControlInput]) -> dict[str, Any]:
    return {f"control-{kind}": control.image for kind, control in controls.items()}


def _region(header: Mapping[str, Any], arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The header's fields with a region's arrays, whose names begin with `prefix`, in their places."""
    return {
        **header,
        "area": arrays[f"{prefix}area"] if header["area"] else None,
        "references": tuple(
            _reference(values, arrays, f"{prefix}reference{number}-")
            for number, values in enumerate(header["references"])
        ),
        "controls": _controls(header["controls"], arrays, prefix),
    }


def _reference(values: Mapping[str, Any], arrays: Mapping[str, Any], prefix: str) -> ReferenceInput:
    return ReferenceInput(
        images=tuple(arrays[f"{prefix}{place}"] for place in range(values["images"])),
        scale=values["scale"],
        mask=arrays[f"{prefix}mask"] if values["mask"] else None,
    )


def _view(controls: Mapping[str, Any], arrays: Mapping[str, Any], prefix: str) -> ViewRequest:
    return ViewRequest(
        image=arrays[f"{prefix}image"],
        mask=arrays[f"{prefix}mask"],
        controls=_controls(controls, arrays, prefix),
        noise_from=arrays.get(f"{prefix}noise_from"),
    )


def _noise(view: DiffusionRequest | ViewRequest) -> dict[str, Any]:
    return {} if view.noise_from is None else {"noise_from": view.noise_from}


def _controls(header: Mapping[str, Any], arrays: Mapping[str, Any], prefix: str) -> dict[str, ControlInput]:
    return {kind: ControlInput(image=arrays[f"{prefix}control-{kind}"], **values) for kind, values in header.items()}


def _lora(values: Any) -> LoraUse:
    return LoraUse(**{**values, "kind": LoraKind(values["kind"]), "trigger_words": tuple(values["trigger_words"])})


def event_to_frame(event: Event) -> Frame:
    """One frame per event; RESULT and ERROR are terminal."""
    if isinstance(event, Accepted):
        return Frame(kind=FrameKind.ACCEPTED, header={"lease_s": event.lease_s})
    if isinstance(event, Alive):
        return Frame(kind=FrameKind.ALIVE)
    if isinstance(event, DiffusionProgress):
        arrays: dict[str, Image] = {} if event.preview is None else {"preview": event.preview}
        return Frame(kind=FrameKind.PROGRESS, header={"step": event.step, "total": event.total}, arrays=arrays)
    if isinstance(event, DiffusionResult):
        header = {"models_used": list(event.models_used), "cache": dict(event.cache), "notes": list(event.notes)}
        images = {"image": event.image, **{f"{number}-image": one for number, one in enumerate(event.others, start=1)}}
        return Frame(kind=FrameKind.RESULT, header=header, arrays=images)
    details = {"code": event.code, "message": event.message, "details": event.details}
    return Frame(kind=FrameKind.ERROR, header=details)


def event_from_frame(frame: Frame) -> Event:
    """The inverse of `event_to_frame`. Raises: FrameError when the frame is no event."""
    header = frame.header
    try:
        match frame.kind:
            case FrameKind.ACCEPTED:
                return Accepted(lease_s=float(header["lease_s"]))
            case FrameKind.ALIVE:
                return Alive()
            case FrameKind.PROGRESS:
                preview = frame.arrays.get("preview")
                return DiffusionProgress(step=header["step"], total=header["total"], preview=preview)
            case FrameKind.RESULT:
                return DiffusionResult(
                    image=frame.arrays["image"],
                    others=tuple(frame.arrays[f"{n}-image"] for n in range(1, len(frame.arrays))),
                    models_used=tuple(header["models_used"]),
                    cache=dict(header["cache"]),
                    notes=tuple(header["notes"]),
                )
            case FrameKind.ERROR:
                return from_code(header["code"], header["message"], header["details"])
            case FrameKind.REQUEST:
                raise FrameError("a request came where an event belongs")
    except (KeyError, ValueError, TypeError) as error:
        raise FrameError(f"an event cannot be read: {error}") from error

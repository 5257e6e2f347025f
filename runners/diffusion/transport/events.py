"""Requests and events <-> frames, on both ends of the hop between the front service and the runner."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from composition.diffusion import ControlInput, DiffusionProgress, DiffusionRequest, DiffusionResult
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
    """Header: every scalar; arrays: image, mask, reference<i>, control-<type>."""
    header: dict[str, Any] = {name: value for name, value in vars(request).items() if name not in ("image", "mask")}
    header |= {
        "loras": [asdict(lora) for lora in request.loras],
        "speed": request.speed.value,
        "scheduler": request.scheduler.value,
        "references": len(request.references),
        "controls": {
            kind: {"scale": control.scale, "start": control.start, "end": control.end}
            for kind, control in request.controls.items()
        },
    }
    arrays = {"image": request.image, "mask": request.mask}
    arrays |= {f"reference{index}": image for index, image in enumerate(request.references)}
    arrays |= {f"control-{kind}": control.image for kind, control in request.controls.items()}
    return Frame(kind=FrameKind.REQUEST, header=header, arrays=arrays)


def request_from_frame(frame: Frame) -> DiffusionRequest:
    """The inverse of `request_to_frame`. Raises: FrameError when the frame is no request."""
    if frame.kind is not FrameKind.REQUEST:
        raise FrameError(f"expected a request, got {frame.kind.name}")
    try:
        fields = dict(frame.header)
        count, controls = fields.pop("references"), fields.pop("controls")
        fields["speed"] = Speed(fields["speed"])
        fields["quality"] = Quality(fields["quality"])
        fields["scheduler"] = Scheduler(fields["scheduler"])
        fields["loras"] = tuple(_lora(values) for values in fields["loras"])
        return DiffusionRequest(
            image=frame.arrays["image"],
            mask=frame.arrays["mask"],
            references=tuple(frame.arrays[f"reference{index}"] for index in range(count)),
            controls={
                kind: ControlInput(image=frame.arrays[f"control-{kind}"], **values) for kind, values in controls.items()
            },
            **fields,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise FrameError(f"a request cannot be read: {error}") from error


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
        return Frame(kind=FrameKind.RESULT, header=header, arrays={"image": event.image})
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

"""What a clip's edit carries on from one window of frames to the next, as values and as bytes.

An attempt that is interrupted leaves it behind with the frames that are finished; the next one goes on from it as if
nothing had happened.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from composition.images import Box, Detection
from composition.imaging.geometry import Fit
from composition.imaging.keeping import Material
from composition.imaging.noise_origin import NoiseOrigin
from composition.imaging.one_look import Surface
from composition.masking.region import Region
from composition.masking.tracking import Framing, Track


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """What is known of a shot at one of its frames.

    Attributes:
        track: the region there; None: the thing is not in view.
        framing: how the shot's frames are shown to the model; None: none has been.
        noise: where the frame's noise is from; None: it was not painted.
        unseen: frames since the thing was looked for, where it is not in view.
    """

    track: Track | None = None
    framing: Framing | None = None
    noise: NoiseOrigin | None = None
    unseen: int = 0


@dataclass(frozen=True, kw_only=True)
class ClipAccount:
    """What the answer tells of the frames so far; JSON-serialisable. `warnings` has the frames that each is of."""

    edited: int = 0
    shots: tuple[int, ...] = ()
    key_frames: tuple[int, ...] = ()
    models_used: tuple[str, ...] = ()
    warnings: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    first: Mapping[str, Any] = field(default_factory=dict)
    """Of the first frame that was edited what `account` has of an edit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipState:
    """After so many frames: the shot, the looks that its first window had, and the account.

    `material` is what changes in the last frame, of the whole of it; None: nothing is known of that.
    """

    done: int = 0
    shot: Shot = Shot()
    looks: tuple[Surface, ...] = ()
    material: Material | None = None
    account: ClipAccount = ClipAccount()


def dump_state(state: ClipState) -> bytes:
    """`load_state` is its inverse."""
    shot, arrays = state.shot, dict[str, npt.NDArray[Any]]()
    header: dict[str, Any] = {
        "done": state.done,
        "unseen": shot.unseen,
        "looks": [{"colour": one.colour.tolist(), "brightness": one.brightness} for one in state.looks],
        "account": asdict(state.account),
    }
    if shot.track is not None:
        region = shot.track.region
        arrays["thing"] = np.packbits(region.thing > 0, axis=1)
        if region.protected is not None:
            arrays["protected"] = np.packbits(region.protected > 0, axis=1)
        header["track"] = {
            "found_area": shot.track.found_area,
            "age": shot.track.age,
            "doubtful": shot.track.doubtful,
            "width": region.thing.shape[1],
            "detections": [asdict(one) for one in region.detections],
            "exact": region.exact,
            "outlined": region.outlined,
            "known": region.known,
        }
    if shot.framing is not None:
        header["framing"] = {"crop": _dumped(shot.framing.crop), "fit": asdict(shot.framing.fit)}
    if state.material is not None:
        arrays["material"] = state.material.share
        header["material"] = {
            "colour": state.material.colour.tolist(),
            "brightness": state.material.brightness,
            "patterned": state.material.patterned,
        }
    if shot.noise is not None:
        header["noise"] = {"crop": _dumped(shot.noise.crop)}
        arrays["places"] = shot.noise.places
    out = io.BytesIO()
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def load_state(data: bytes) -> ClipState:
    """Raises: KeyError, TypeError, ValueError: another version of the service wrote it."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        header = json.loads(arrays["header"].tobytes())
        shot = Shot(unseen=header["unseen"])
        if (track := header.get("track")) is not None:
            shot = replace(shot, track=_track(track, arrays))
        if (framing := header.get("framing")) is not None:
            fit = Fit(**{name: (size[0], size[1]) for name, size in framing["fit"].items()})
            shot = replace(shot, framing=Framing(crop=_box(framing["crop"]), fit=fit))
        if (noise := header.get("noise")) is not None:
            shot = replace(shot, noise=NoiseOrigin(places=arrays["places"], crop=_box(noise["crop"])))
        material = None
        if (told := header.get("material")) is not None:
            colour = np.array(told["colour"], np.float32)
            material = Material(**{**told, "colour": colour}, share=arrays["material"])
    account = header["account"]
    tuples = {name: tuple(account[name]) for name in ("shots", "key_frames", "models_used")}
    warnings = {text: tuple(frames) for text, frames in account["warnings"].items()}
    return ClipState(
        done=header["done"],
        shot=shot,
        looks=tuple(
            Surface(colour=np.array(one["colour"], np.float32), brightness=one["brightness"]) for one in header["looks"]
        ),
        material=material,
        account=ClipAccount(**{**account, **tuples, "warnings": warnings}),
    )


def _track(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Track:
    def mask(name: str) -> npt.NDArray[np.uint8]:
        return np.unpackbits(arrays[name], axis=1, count=header["width"]) * np.uint8(255)

    region = Region(
        thing=mask("thing"),
        detections=tuple(Detection(**{**one, "box": Box(**one["box"])}) for one in header["detections"]),
        exact=header["exact"],
        outlined=header["outlined"],
        known=header["known"],
        protected=mask("protected") if "protected" in arrays else None,
    )
    return Track(region=region, found_area=header["found_area"], age=header["age"], doubtful=header["doubtful"])


def _dumped(box: Box | None) -> dict[str, float] | None:
    return None if box is None else asdict(box)


def _box(stored: Mapping[str, float] | None) -> Box | None:
    return None if stored is None else Box(**stored)

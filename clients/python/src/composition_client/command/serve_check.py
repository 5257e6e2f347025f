"""`compose serve-check`: is the service there, is it ready, with which models, and does an edit work."""

from __future__ import annotations

import struct
import time
import zlib
from typing import Annotated, Any

import typer

from composition_client.client import Client
from composition_client.command import flags
from composition_client.command.exits import DONE, exit_status, exits
from composition_client.command.report import complain, described, print_json
from composition_client.connection import DEFAULT_URL, KEY_VARIABLE
from composition_client.errors import ComposeError, NotReady, Unauthorized

SIDE_PX = 256


@exits
def serve_check(
    *,
    edit: Annotated[bool, typer.Option("--edit/--no-edit", help="Also try a tiny edit of one step.")] = True,
    json_: flags.Json = False,
    timeout: flags.Timeout = 60.0,
    url: flags.Url = DEFAULT_URL,
) -> None:
    """Check the service: there, ready, which models, and whether a tiny edit works."""
    report: dict[str, Any] = {"url": url}
    status = DONE
    with Client(url, timeout_s=timeout, retries=0) as client:
        try:
            _check(client, report, edit=edit)
        except ComposeError as error:
            status = exit_status(error)
            report["error"] = described(error)
            _explain(error)
    if json_:
        print_json(report)
    else:
        for name, value in report.items():
            if name != "error":
                print(f"{name.replace('_', ' '):<14} {_readable(value)}")
    raise typer.Exit(status)


def _check(client: Client, report: dict[str, Any], *, edit: bool) -> None:
    try:
        health = client.health()
    except NotReady as error:
        report["ready"] = False
        report |= {name: error.details[name] for name in ("profile", "models_loaded") if name in error.details}
        raise
    report |= {
        "ready": True,
        "profile": health.profile,
        "models_loaded": health.models_loaded,
        "gpu": health.gpu_available,
    }
    client.jobs(limit=1)
    report["key_accepted"] = True
    if edit:
        start = time.monotonic()
        made = client.edit(grey_png(SIDE_PX), "blue", mask=grey_png(SIDE_PX, square=255), num_inference_steps=1, seed=1)
        report["edit"] = {"seconds": round(time.monotonic() - start, 1), "job_id": made.job_id}


def _explain(error: ComposeError) -> None:
    complain(str(error))
    if isinstance(error, Unauthorized):
        complain(f"the service wants a key: set {KEY_VARIABLE}")


def _readable(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return f"works, {value['seconds']} s, job {value['job_id']}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def grey_png(side_px: int, *, square: int = 128) -> bytes:
    """A square greyscale PNG with a square in its middle: black around, `square` (0..255) inside."""
    edge = side_px // 4
    inner = bytes(edge) + bytes([square]) * (side_px - 2 * edge) + bytes(edge)
    rows = [inner if edge <= y < side_px - edge else bytes(side_px) for y in range(side_px)]
    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, data, b"")))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

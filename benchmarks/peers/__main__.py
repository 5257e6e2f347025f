"""This service beside IOPaint, ComfyUI and a naive server: same weights, photo, mask and steps, all over HTTP.

Usage: python -m benchmarks.peers [--size middle|full] [--model FOLDER] [--px 512] [--steps 10] [--rounds 3]
           [--install-iopaint | --iopaint FOLDER] [--comfyui FOLDER] [--only ours,naive] [--measures at-once,left]
           [--at-once 4] [--out out/peers]

The weights are random and of the named size, or those of a diffusers folder (`--model`). A server that cannot be
started is a row that says why; a figure that was not asked for is a dash.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.adapters import IOPaint, Naive, Ours, Peer, PeerFailed
from benchmarks.peers.comfyui import ComfyUI
from benchmarks.peers.measures import AT_ONCE, COLUMNS, MEASURES, Effort, PeerBench
from benchmarks.report_files import Row, machine, table, write

ENVIRONMENT = Path("var/peers/iopaint")
NAMES = ("ours", "naive", "iopaint", "comfyui")
SIZES = ("small", "middle", "full")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one server after the other; 1 where one of them could not be, 2 where nothing could."""
    options = _parse(arguments)
    try:
        chosen = peers(options, cuda=_has_cuda())
    except (PeerFailed, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    effort = Effort(
        side_px=options.px,
        steps=options.steps,
        rounds=options.rounds,
        at_once=[count for count in AT_ONCE if str(count) in options.at_once],
        measures=options.measures,
    )
    rows: list[Row] = []
    for name, peer in chosen.items():
        begun = time.monotonic()
        rows.append(PeerBench(peer, effort, (options.out / name).resolve()).run())
        print(f"{peer.name}: {rows[-1]['note'] or 'measured'}, in {time.monotonic() - begun:.0f} s", flush=True)
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    write("peers", {"machine": machine(), "asked": asked, "rows": rows}, sections(rows), options.out)
    print(f"\n{upright(rows)}", end="")
    return 0 if all(row["alone, s"] is not None for row in rows) else 1


def peers(options: argparse.Namespace, *, cuda: bool) -> dict[str, Peer]:
    """The servers that are asked for, by their short names, each with the same weights in the same number format."""
    device, dtype = ("cuda", "float16") if cuda else ("cpu", "float32")
    model = options.model.resolve() if options.model else _random_model(options.size, options.models, dtype)
    if not (model / "model_index.json").is_file():
        raise PeerFailed(f"{model} is no diffusers folder: it has no model_index.json")
    iopaint = IOPaint(model=model, dtype=dtype, device=device, environment=options.iopaint.resolve())
    if options.install_iopaint:
        iopaint.install()
    made: dict[str, Peer] = {
        "ours": Ours(model=model, side_px=options.px, dtype=dtype),
        "naive": Naive(model=model, dtype=dtype),
        "iopaint": iopaint,
    }
    if options.comfyui is not None:
        made["comfyui"] = ComfyUI(checkout=options.comfyui.resolve(), model=model, device=device, dtype=dtype)
    return {name: made[name] for name in options.only if name in made}


def sections(rows: Sequence[Row]) -> dict[str, Sequence[Row]]:
    """The rows in tables of one unit each, as a plot wants them."""
    units = {"Seconds": ", s", "Times as long as an edit alone": ", of alone", "Shares of the pixels": ", %"}
    names = {title: [name for name in COLUMNS if name.endswith(unit)] for title, unit in units.items()}
    named = {name for some in names.values() for name in some}
    names["The rest"] = [name for name in COLUMNS[1:] if name not in named]
    return {title: [{name: row[name] for name in ("server", *some)} for row in rows] for title, some in names.items()}


def upright(rows: Sequence[Row]) -> str:
    """A table with the servers side by side and a line for each figure: it has more of these."""
    figures = [name for name in rows[0] if name != "server"]
    return table([{"": figure} | {row["server"]: row[figure] for row in rows} for figure in figures])


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _random_model(size: str, folder: Path, dtype: str) -> Path:
    import torch

    from benchmarks.bench import SIZES as MODEL_SIZES
    from benchmarks.bench_models import build_base

    device = "cuda" if _has_cuda() else "cpu"
    return build_base(MODEL_SIZES[size], folder.resolve() / f"peers-{size}-{dtype}", getattr(torch, dtype), device)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="middle", help="of the random weights")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="a diffusers folder of the SD 1.5 inpainting kind")
    parser.add_argument("--models", type=Path, default=Path("var/bench"), help="where the random weights are kept")
    parser.add_argument("--px", type=int, choices=(256, 512, 768), default=512, help="side of the photo")
    parser.add_argument("--steps", type=int, default=10, help="of a short edit; a long one has five times as many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iopaint", type=Path, metavar="FOLDER", default=ENVIRONMENT, help="an environment with it")
    parser.add_argument("--install-iopaint", action="store_true", help="make that environment first, from the index")
    parser.add_argument("--comfyui", type=Path, metavar="FOLDER", help="a checkout of ComfyUI, ready to run")
    parser.add_argument("--only", default=",".join(NAMES), help=f"some of {','.join(NAMES)}")
    parser.add_argument("--measures", default=",".join(MEASURES), help="beside the edit alone, some of %(default)s")
    parser.add_argument("--at-once", default=",".join(map(str, AT_ONCE)), help="how many edits, some of %(default)s")
    parser.add_argument("--out", type=Path, default=Path("out/peers"))
    options = parser.parse_args(arguments)
    for name, known in {"only": NAMES, "measures": MEASURES, "at_once": tuple(map(str, AT_ONCE))}.items():
        chosen = [part for part in getattr(options, name).split(",") if part]
        if unknown := set(chosen) - set(known):
            parser.error(f"--{name.replace('_', '-')}: {', '.join(sorted(unknown))} is none of {', '.join(known)}")
        if not chosen and name != "measures":
            parser.error(f"--{name.replace('_', '-')} names nothing")
        setattr(options, name, chosen)
    if options.comfyui is None and options.only == ["comfyui"]:
        parser.error("--only comfyui needs --comfyui FOLDER")
    if min(options.steps, options.rounds) < 1:
        parser.error("--steps and --rounds must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())

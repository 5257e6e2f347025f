"""Edit a photo with the Python client: progress as it happens, and what the service has to say about it.

    pip install ./clients/python
    python examples/edit.py photo.jpg "blue car" [reference.png]

The service is at COMPOSE_URL (http://127.0.0.1:8000), its key in COMPOSE_API_KEY.
"""

from __future__ import annotations

import sys
from pathlib import Path

from composition_client import Client, ComposeError, NoDetection, Progress


def show(progress: Progress) -> None:
    """Called for every event that the service sends."""
    print(f"\r{progress.fraction:4.0%} {progress.stage:<12}", end="", file=sys.stderr)


def main(photo: Path, prompt: str, reference: Path | None = None) -> int:
    """The process's exit status; the edited photo lies beside the photo."""
    with Client() as client:
        try:
            # Options are keyword arguments, named as in docs/api.md. Ctrl-C, or any exception, cancels the edit.
            edit = client.edit(photo, prompt, reference=reference, on_progress=show, on_no_detection="error", seed=7)
        except NoDetection:
            print(f"\nnothing of “{prompt}” is in {photo}: say what with target=..., or send a mask", file=sys.stderr)
            return 1
        except ComposeError as error:  # the root of every other error
            print(f"\n{error}", file=sys.stderr)
            return 1
    print(file=sys.stderr)
    for warning in edit.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(edit.save(photo.with_suffix(".edited.png")))
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], *map(Path, sys.argv[3:])))

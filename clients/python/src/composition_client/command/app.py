"""The subcommands put together."""

from __future__ import annotations

import signal
import sys

import typer

from composition_client.command.analyze import analyze
from composition_client.command.batch import batch
from composition_client.command.edit import edit
from composition_client.command.exits import TERMINATED
from composition_client.command.jobs import jobs
from composition_client.command.loras import loras
from composition_client.command.serve_check import serve_check
from composition_client.command.video import video
from composition_client.command.views import views

EPILOG = (
    "Exit status: 0 done; 1 an edit failed; 2 usage, also what the service refuses as such; 3 the service is not "
    "there, not ready or too busy; 4 no valid key; 5 out of time; 130 interrupted. The service is at --url or "
    "COMPOSE_URL; its key is taken from COMPOSE_API_KEY alone, so that no list of processes shows it."
)

# Frames with local variables would show the key.
app = typer.Typer(
    name="compose", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, epilog=EPILOG
)
WORDS = {"token_normalize_func": lambda name: name.replace("_", "-")}
"""An option may be written as the API does: --mask_mode is --mask-mode."""
app.command(context_settings=WORDS)(edit)
app.command(context_settings=WORDS)(views)
app.command(context_settings=WORDS)(batch)
app.command(context_settings=WORDS)(analyze)
app.command(context_settings=WORDS)(video)
app.add_typer(jobs, name="jobs")
app.add_typer(loras, name="loras")
app.command()(serve_check)


@app.callback()
def compose() -> None:
    """Edit photos by a sentence: only the part that it is about is repainted."""


def main() -> None:
    """The console script. SIGTERM ends it like Ctrl-C does: what it waits for is cancelled."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    app()

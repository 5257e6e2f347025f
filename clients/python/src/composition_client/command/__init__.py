"""The command line `compose`: one module per subcommand, over the blocking client (a batch: over the awaiting one)."""

from composition_client.command.app import main

__all__ = ["main"]

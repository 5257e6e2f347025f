"""`python -m models_store`."""

from __future__ import annotations

import sys

from models_store.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""The command line. Importing this costs nothing; each command imports what it needs."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; every error of ours becomes a message and an exit code, never a traceback."""
    # Before numpy is loaded: the analysis solves thousands of small systems, where BLAS threads only get in the way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from labctl.cli.app import run_app

    sys.exit(run_app(sys.argv[1:]))

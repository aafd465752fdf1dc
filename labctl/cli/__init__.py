"""The command line. Importing this costs nothing; each command imports what it needs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; every error of ours becomes a message and an exit code, never a traceback."""
    from labctl.cli.app import run_app

    sys.exit(run_app(sys.argv[1:]))

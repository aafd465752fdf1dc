"""How output looks on a terminal, and that it stays plain elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console(*, wide: bool = False) -> Console:
    """Return a console on standard output.

    `wide` keeps long rows on one line where the output is not a terminal, so that files and pipes get whole tables.
    """
    from rich.console import Console

    return Console(width=220 if wide and not sys.stdout.isatty() else None, highlight=False)


def on_terminal() -> bool:
    """Whether a person watches standard error (progress goes there)."""
    return sys.stderr.isatty()

"""Where a secret address is kept: in an environment variable or a file, never in the lab file itself."""

from __future__ import annotations

import os
from pathlib import Path

from labctl.errors import InputError


def resolve(reference: str) -> str:
    """Return what ``env:NAME`` or ``file:PATH`` (its first line with text) holds.

    Raises
    ------
    InputError
        It holds nothing; names the reference, never what it holds.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        found = os.environ.get(name, "").strip()
        if not found:
            raise InputError(
                f"notifications: the environment variable {name} is not set",
                expected="an address in it, as Apprise writes them (mailto://, tgram://, json://...)",
                next_step=f"Set {name} where labctl is started, or take it out of the lab file",
            )
        return found
    try:
        text = Path(name).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        what = getattr(problem, "strerror", None) or type(problem).__name__
        raise InputError(
            f"notifications: the file {name} cannot be read ({what})",
            expected="a text file with one address in it, readable by you alone",
        ) from None
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise InputError(f"notifications: the file {name} holds no address", expected="one address on a line")
    return lines[0]

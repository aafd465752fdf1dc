"""Writes the table of faults into a README: ``python -m labctl_sim_faults [README] [--check]``.

Without a file the README of the simulators is meant. With ``--check`` nothing is written, and the exit code is 1
where the table is not what the registry says.
"""

from __future__ import annotations

import sys
from pathlib import Path

from labctl_sim_faults._registry import registry
from labctl_sim_faults._table import with_table

README = Path(__file__).resolve().parents[1] / "README.md"


def main(arguments: list[str]) -> int:
    """Write or check the table; return the exit code."""
    files = [Path(word) for word in arguments if not word.startswith("--")]
    path = files[0] if files else README
    before = path.read_text(encoding="utf-8")
    after = with_table(before, registry())
    if "--check" in arguments:
        return 0 if after == before else 1
    path.write_text(after, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

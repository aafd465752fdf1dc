"""What the AU programs never do, whatever a step file says: it does not stand in them."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

PROGRAMS = ("labctl_executor", "labctl_guard")
NEVER = {"ZG_OVERWRITE", "GO_OVERWRITE", "RGA", "TEREADY", "MASG", "LOCK", "EJ", "IJ"}
"""Writing over raw data, gain that differs within a series, waiting deafly, spinning up, locking solids, ejecting."""
NEVER_TYPED = {"rga", "teready", "masg", "lock", "lopo", "ej", "ij", "delete", "del", "delp", "restart", "exit"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_must_not_happen_is_not_in_the_programs(program: str) -> None:
    """Neither as a macro nor as a command typed: no overwriting, no spinning up, no lock, no receiver gain."""
    source = files("labctl_topspin").joinpath("au", f"{program}.c").read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/", " ", source, flags=re.DOTALL)
    typed = re.findall(r'(?:XCMD|XAU|CPR_exec)\s*\(\s*"([^"]*)"', code)
    macros = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", re.sub(r'"(?:\\.|[^"\\])*"', '""', code)))
    assert not macros & NEVER
    assert not {text.split()[0].lower() for text in typed if text.split()} & NEVER_TYPED
    assert "ZG" in macros or program == "labctl_guard"

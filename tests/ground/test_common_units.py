"""The table of common units, which spares `labctl check` the import of pint, says what pint says."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from labctl import units

CASES = [(unit, difference, text) for (unit, difference), texts in units.COMMON.items() for text in texts]


@pytest.mark.parametrize(("unit", "difference", "text"), CASES)
@pytest.mark.parametrize("number", [0.0, 1.0, -12.5, 0.8, 73.578])
def test_the_table_agrees_with_pint(
    unit: str, difference: bool, text: str, number: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every entry of the table gives the value pint gives."""
    ours = units.parse(f"{number} {text}", unit, difference=difference)
    monkeypatch.setattr(units, "COMMON", {})
    theirs = units.parse(f"{number} {text}", unit, difference=difference)
    assert math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-12)


def test_common_units_do_not_load_pint() -> None:
    """Reading campaign quantities leaves pint unloaded."""
    code = (
        "import sys; from labctl import units; units.parse('10 ms', 's'); units.parse('20 degC', 'K'); "
        "sys.exit('pint' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

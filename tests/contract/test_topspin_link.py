"""The simulated console has the shape the TopSpin driver wants, and runs the driver's own AU programs."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from labctl.station.shapes import OpenDriver, OpenSimulator
from labctl_sim_topspin._au_compile import compile_program
from labctl_sim_topspin._parameters import kind_of
from labctl_topspin import open_driver

if TYPE_CHECKING:
    from labctl_sim_topspin import ConsoleLink, SimulatedTopspin, open_simulator
    from labctl_topspin._link import FolderLink, Link

    def both_ends_fit(simulated: ConsoleLink, real: FolderLink) -> tuple[Link, Link]:
        """Checked by mypy: either console can stand at the other end of the driver."""
        return simulated, real

    def entry_points_fit(simulator: SimulatedTopspin) -> tuple[OpenDriver, OpenSimulator, Link]:
        """Checked by mypy: what the entry points name has the shapes the station wants."""
        return open_driver, open_simulator, simulator.link()


@pytest.mark.parametrize("program", ["labctl_guard", "labctl_executor"])
def test_the_au_programs_compile(program: str) -> None:
    """Both AU programs stay within the C subset, and fetch and store parameters by their own types."""
    source = resources.files("labctl_topspin").joinpath(f"au/{program}.c").read_text(encoding="utf-8")
    compile_program(source, file=f"{program}.c", parameter_kind=kind_of)  # raises otherwise


@pytest.mark.parametrize("program", ["labctl_guard", "labctl_executor"])
@pytest.mark.parametrize("forbidden", ["ZG_OVERWRITE", "GO_OVERWRITE", "TEREADY", "MASG", "MASH", "MASE", "MASI"])
def test_the_au_programs_never_use_what_they_must_not(program: str, forbidden: str) -> None:
    """Outside comments, neither program overwrites data, waits without end, or starts, stops or ejects the rotor."""
    source = resources.files("labctl_topspin").joinpath(f"au/{program}.c").read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
    assert not re.search(rf"\b{forbidden}\b", code)
    if program == "labctl_guard":
        assert not re.search(r"\bZG\b|\bGO\b|\bRGA\b", code), "the guard never acquires"
        assert 'VTU_HEATER("on")' not in code, "the guard never switches heat on"

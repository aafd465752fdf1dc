"""Drivers and simulators of ovens have the shapes by which the station joins them."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

import labctl_eurotherm
import labctl_lakeshore
import labctl_sim_eurotherm
import labctl_sim_lakeshore
from labctl.ports import Instrument
from labctl.station.shapes import OpenController, OpenDriver, OpenSimulator
from tests.contract.oven_bench import KINDS, Kind

if TYPE_CHECKING:
    from labctl_eurotherm._link import Link as EurothermLink
    from labctl_eurotherm._link import SerialLink
    from labctl_lakeshore._link import Link as LakeShoreLink
    from labctl_lakeshore._link import VisaLink
    from labctl_oven import OvenStation
    from labctl_sim_eurotherm import InstrumentLink as EurothermPort
    from labctl_sim_lakeshore import InstrumentLink as LakeShorePort

    def lakeshore_links_fit(simulated: LakeShorePort, real: VisaLink) -> tuple[LakeShoreLink, LakeShoreLink]:
        """Checked by mypy: either can stand at the other end of the driver."""
        return simulated, real

    def eurotherm_links_fit(simulated: EurothermPort, real: SerialLink) -> tuple[EurothermLink, EurothermLink]:
        """Checked by mypy: either can stand at the other end of the driver."""
        return simulated, real

    def an_oven_is_an_instrument(oven: OvenStation) -> Instrument:
        """Checked by mypy."""
        return oven


DRIVERS: dict[Kind, tuple[OpenDriver, OpenController, OpenSimulator]] = {
    "lakeshore": (
        labctl_lakeshore.open_driver,
        labctl_lakeshore.open_controller,
        labctl_sim_lakeshore.open_simulator,
    ),
    "eurotherm": (
        labctl_eurotherm.open_driver,
        labctl_eurotherm.open_controller,
        labctl_sim_eurotherm.open_simulator,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_entry_points_name_them(kind: Kind) -> None:
    """The station finds driver, controller and simulator by the same name."""
    found = tuple(
        entry_points(group=f"labctl.{group}")[kind].load() for group in ("drivers", "controllers", "simulators")
    )
    assert found == DRIVERS[kind]

"""What a lab file says for and against a real run, before any instrument is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.plan.check_hardware import ROTOR_MAX_Hz, check_hardware
from labctl.plan.expand import expand
from labctl.ports import Acquire, Check, SetTemperature, Task
from labctl.protocol.lab import COMMISSIONING, LIMITS_NEEDED, Lab
from labctl.protocol.load import load_lab, load_protocol

ROOT = Path(__file__).resolve().parents[2] / "protocols"


@pytest.fixture(scope="module")
def lab() -> Lab:
    """The lab that ships with labctl."""
    return load_lab(ROOT / "labs" / "simulated.yaml").model


@pytest.fixture(scope="module")
def tasks(lab: Lab) -> tuple[Task, ...]:
    """What the demonstration wants of the spectrometer."""
    plan = expand(load_protocol(ROOT / "vt_exsy_demo.yaml").model, lab)
    return tuple(step.task for step in plan.of_station("nmr500"))


def changed(lab: Lab, name: str = "nmr500", *, limits: dict[str, Any] | None = None, **station: Any) -> Lab:
    """The lab with one station changed."""
    here = lab.stations[name]
    there = here.model_copy(update={"limits": here.limits.model_copy(update=limits or {}), **station})
    return lab.model_copy(update={"stations": {**lab.stations, name: there}})


def refused(checks: tuple[Check, ...]) -> str:
    """What stands in the way, as one text."""
    return "; ".join(f"{check.what} {check.value} {check.expected}" for check in checks if check.verdict == "refuse")


def test_the_shipped_lab_is_in_order(lab: Lab, tasks: tuple[Task, ...]) -> None:
    """Nothing stands in the way of the demonstration, and every finding has words."""
    checks = check_hardware(lab, "nmr500", tasks)
    assert refused(checks) == ""
    assert all(check.what for check in checks)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"sensor_min_K": 400.0, "sensor_max_K": 390.0}, "sensor_min is not below limits.sensor_max"),
        ({"gas_min_L_per_h": 3000.0}, "gas_min is not below limits.gas_max"),
        ({"spinning_max_hot_Hz": 20e3}, "a hot rotor bears less"),
        ({"hot_above_K": None}, "belong together"),
        ({"sensor_max_K": 310.0}, "hottest set point"),
        ({"sample_max_K": 310.0}, "hottest sample"),
        ({"coldest_gas_K": 295.0}, "coldest set point"),
        ({"spinning_max_Hz": 9e3, "spinning_max_hot_Hz": 8e3}, "at most 9000 Hz"),
        ({"hot_above_K": 300.0, "spinning_max_hot_Hz": 9e3}, "the rotor is hot"),
        ({"power_max_W": 50.0}, "at most 50 W"),
        ({"frame_cooling": False}, "frame cooling"),
    ],
)
def test_limits_that_contradict(lab: Lab, tasks: tuple[Task, ...], limits: dict[str, Any], words: str) -> None:
    """A limit that contradicts another, or the campaign, is refused and named."""
    assert words in refused(check_hardware(changed(lab, limits=limits), "nmr500", tasks))


def test_a_rotor_has_a_manual(lab: Lab, tasks: tuple[Task, ...]) -> None:
    """A rate above what such rotors usually bear is a warning, for its own manual wins."""
    usual_Hz = ROTOR_MAX_Hz["4.0 mm"]
    for limit_Hz, doubtful in ((usual_Hz, False), (usual_Hz + 1.0, True)):
        checks = check_hardware(changed(lab, limits={"spinning_max_Hz": limit_Hz}), "nmr500", tasks)
        assert any("usually bears" in check.what for check in checks) is doubtful
        assert refused(checks) == ""


@pytest.mark.parametrize("driver", sorted(COMMISSIONING))
def test_every_driver_wants_limits_and_signatures(lab: Lab, driver: str) -> None:
    """A real station of any driver is refused for each limit it needs and each stage that nobody signed."""
    name = next((name for name, one in lab.stations.items() if one.driver == driver), "autolab")
    bare = changed(lab, name, driver=driver, simulated=False, commissioning=())
    said = refused(check_hardware(bare, name, ()))
    assert all(stage in said for stage in COMMISSIONING[driver])
    full = {field: getattr(lab.stations[name].limits, field) for field in type(lab.stations[name].limits).model_fields}
    aliases = {str(field.alias): attr for attr, field in type(lab.stations[name].limits).model_fields.items()}
    for needed in LIMITS_NEEDED[driver]:
        if full[aliases[needed]] is None:
            continue
        missing = changed(lab, name, driver=driver, simulated=False, limits={aliases[needed]: None})
        said = refused(check_hardware(missing, name, ()))
        optional = "optional" in str(type(lab.stations[name].limits).model_fields[aliases[needed]].json_schema_extra)
        assert optional or needed in said
    rehearsed = changed(lab, name, driver=driver, simulated=True, commissioning=())
    assert refused(check_hardware(rehearsed, name, ())) == "", "a rehearsal needs no signature"


def test_cells_soften_and_melt(lab: Lab) -> None:
    """A limit that lets a cell come to where PEEK softens or indium melts is a warning."""
    plan = expand(load_protocol(ROOT / "paper" / "eis_lii.yaml").model, lab)
    wanted = tuple(step.task for step in plan.of_station("autolab"))
    told: Callable[[float], str] = lambda sample_K: "; ".join(  # noqa: E731 - shortest
        check.what
        for check in check_hardware(changed(lab, "autolab", limits={"sample_max_K": sample_K}), "autolab", wanted)
    )
    assert "PEEK" in told(424.0)
    assert "indium" not in told(424.0)
    assert "indium" in told(430.0)
    assert "PEEK" not in told(405.0)


def test_it_looks_at_what_is_wanted(lab: Lab, tasks: tuple[Task, ...]) -> None:
    """A hotter step or a faster rotor in the plan alone changes the verdict."""
    hot = next(task for task in tasks if isinstance(task, SetTemperature))
    assert refused(check_hardware(lab, "nmr500", (replace(hot, setpoint_K=450.0),))) != ""
    fast = next(task for task in tasks if isinstance(task, Acquire))
    assert "30000 Hz" in refused(check_hardware(lab, "nmr500", (replace(fast, spinning_Hz=30e3),)))

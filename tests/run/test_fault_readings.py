"""What an instrument says against itself trips, twice in a row, and is neither a value nor a silence."""

from __future__ import annotations

from labctl.ports import FAULT, Reading
from labctl.run.interlock import Breach, Silence, Vigil, judge

LIMITS = {"sensor_max_K": 400.0, "sample_max_K": 350.0}


def polled(polls: list[dict[str, float]], *, step_s: float = 5.0, hot_K: float = 0.0) -> list[tuple[Breach, ...]]:
    """Judge one poll after the other, 5 s apart, the readings being fresh each time."""
    vigil, seen = Vigil(since_s=0.0), []
    for number, values in enumerate(polls, 1):
        at_s = number * step_s
        vigil, breaches = judge(
            vigil,
            tuple(Reading(quantity=name, value=value, at_s=at_s) for name, value in values.items()),
            LIMITS,
            now_s=at_s,
            grace_s=0.0,
            silence=Silence(),
            calibration=(lambda sensor_K, _: (sensor_K + hot_K, 1.0, "offset")) if hot_K else None,
        )
        seen.append(breaches)
    return seen


def test_a_fault_trips_at_its_second_poll_and_once() -> None:
    """One poll with a fault is hysteresis, the second trips, a third says nothing new."""
    well, ill = {"sensor_K": 300.0}, {"sensor_K": 300.0, f"{FAULT}heater_welded": 1.0}
    seen = polled([well, ill, ill, ill])
    assert [len(breaches) for breaches in seen] == [0, 0, 1, 0]
    (breach,) = seen[2]
    assert breach.trips
    assert breach.limit == f"{FAULT}heater_welded"
    assert "goes on heating although it is switched off" in breach.detail


def test_a_fault_that_goes_is_armed_again() -> None:
    """After two good polls the same fault trips anew."""
    well, ill = {"sensor_K": 300.0}, {"sensor_K": 300.0, f"{FAULT}sensor": 1.0}
    seen = polled([ill, ill, well, well, ill, ill])
    assert [len(breaches) for breaches in seen] == [0, 1, 0, 0, 0, 1]


def test_a_fault_that_went_is_no_silence() -> None:
    """A fault is not missed when it is gone, however long ago."""
    well, ill = {"sensor_K": 300.0}, {"sensor_K": 300.0, f"{FAULT}sensor": 1.0}
    assert not any(polled([ill, *[well] * 10], step_s=60.0))


def test_a_sensor_at_the_cell_counts_beside_the_calibration() -> None:
    """The hotter of what the calibration expects and of what the cell's own sensor reads is held to the limit."""
    cell_hot = {"sensor_K": 300.0, "sample_K": LIMITS["sample_max_K"] + 1.0}
    oven_hot = {"sensor_K": LIMITS["sample_max_K"] - 1.0, "sample_K": 300.0}
    for values in (cell_hot, oven_hot):
        seen = polled([values, values], hot_K=2.0)
        assert [breach.limit for breach in seen[1]] == ["sample_max_K"]

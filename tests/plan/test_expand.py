"""Steps: their order, names, keys and EXPNOs."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl.plan import cost
from labctl.plan.expand import SLOTS, expand, expno_faults
from labctl.plan.series import measuring_order, spaced, split_scans
from labctl.plan.steps import Plan, step_key
from labctl.ports import Acquire, CoolDown, Effect, Exsy, SetTemperature
from labctl.protocol.lab import Lab
from labctl.protocol.load import load_protocol
from labctl.protocol.model import Protocol
from labctl.protocol.vt_exsy import Delays
from tests.plan.conftest import Variant

PLANS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def vt_exsy_keys(draw: st.DrawFn) -> dict[str, Any]:
    """Keys of a `vt_exsy` block within the lab's limits."""
    temperatures = draw(st.lists(st.integers(20, 100), min_size=1, max_size=5, unique=True))
    keys: dict[str, Any] = {
        "temperatures": [f"{value} degC" for value in temperatures],
        "mixing_times": [f"{value} ms" for value in draw(st.lists(st.integers(1, 20_000), min_size=1, max_size=6))],
        "order": draw(st.sampled_from(["palindrome", "ascending", "as_written"])),
        "increments": 2 * draw(st.integers(2, 160)),
        "scans": 8 * draw(st.integers(1, 4)),
        "max_dataset": f"{draw(st.integers(1, 48))} h",
        "return_to_first_temperature": draw(st.booleans()),
        "repeat_first_mixing_time": draw(st.booleans()),
        "tune": draw(st.sampled_from(["operator", "atma", "none"])),
        "p90": {"each_temperature": draw(st.booleans())},
        "reference_1d": {"around_each_2d": draw(st.booleans())},
    }
    if draw(st.booleans()):
        keys["recycle_delay"] = f"{draw(st.integers(1, 60))} s"
    return keys


def exsy(plan: Plan) -> list[tuple[str, Acquire, Exsy]]:
    """Return (id, task, experiment) of every 2D."""
    return [
        (step.id, step.task, step.task.experiment)
        for step in plan.steps
        if isinstance(step.task, Acquire) and isinstance(step.task.experiment, Exsy)
    ]


@PLANS
@given(keys=vt_exsy_keys())
def test_every_plan_keeps_the_laws(keys: dict[str, Any], variant: Variant, lab: Lab) -> None:
    """Plans are deterministic; ids, keys and EXPNOs unique; everything takes time; needs stand before."""
    protocol = variant(**keys)
    plan = expand(protocol, lab)
    assert plan == expand(protocol, lab)
    ids = [step.id for step in plan.steps]
    assert len(set(ids)) == len(ids)
    assert len({step.key for step in plan.steps}) == len(ids)
    tasks = [step.task for step in plan.steps if isinstance(step.task, Acquire)]
    slots = [task.expno_slot for task in tasks]
    assert len(set(slots)) == len(slots)
    assert all(slot % 10 == 0 and slot >= 1000 for slot in slots)
    assert slots == sorted(slots)
    assert all(step.estimate_s > 0 for step in plan.steps if not isinstance(step.task, SetTemperature))
    assert all(task.duration_s > 0 for task in tasks)
    for index, step in enumerate(plan.steps):
        assert set(step.needs) <= set(ids[:index])
        assert (step.disk_bytes > 0) == isinstance(step.task, Acquire)
    assert isinstance(plan.steps[-1].task, CoolDown)


@PLANS
@given(keys=vt_exsy_keys(), expect_s=st.lists(st.integers(1, 500), min_size=2, max_size=2, unique=True))
def test_a_better_guess_of_t1_changes_no_key(
    keys: dict[str, Any], expect_s: list[int], variant: Variant, lab: Lab
) -> None:
    """Ids, keys and EXPNOs do not depend on the T1 that is expected, only hours do."""
    keys.pop("recycle_delay", None)
    delays = {"from": "50 ms", "to": "40 s"}
    one, other = (expand(variant(**keys, t1={"expect": f"{s} s", "delays": delays}), lab) for s in expect_s)

    def identity(plan: Plan) -> list[tuple[Any, ...]]:
        return [(step.id, step.key, getattr(step.task, "expno_slot", None)) for step in plan.steps]

    assert identity(one) == identity(other)


def test_a_visit_may_have_mixing_times_and_scans_of_its_own(variant: Variant, lab: Lab) -> None:
    """Where a block says so they differ, elsewhere the procedure's hold; ids count each visit's own."""
    written = {
        "temperatures": ["25 degC", "50 degC", "75 degC"],
        "mixing_times": ["20 ms", "2 s"],
        "scans": 8,
        "order": "as_written",
        "max_dataset": "48 h",
        "return_to_first_temperature": False,
    }
    visits: list[dict[str, Any]] = [{"mixing_times": ["10 ms", "1 s", "5 s"], "scans": [8, 16, 72]}, {"scans": 24}, {}]
    found = [
        (step_id.split("/", 2)[2], experiment.mixing_time_s, task.scans)
        for step_id, task, experiment in exsy(expand(variant(**written, visits=visits), lab))
    ]
    expected = []
    for number, visit in enumerate(visits, start=1):
        times_s = [0.01, 1.0, 5.0] if "mixing_times" in visit else [0.02, 2.0]
        scans = visit.get("scans", 8)
        each = scans if isinstance(scans, list) else [scans] * len(times_s)
        expected += [
            (f"T{number:02d}/tmix{place:02d}", tmix_s, n)
            for place, (tmix_s, n) in enumerate(zip(times_s, each, strict=True), start=1)
        ]
    assert found == expected


def test_keys_follow_what_is_acquired(variant: Variant, lab: Lab) -> None:
    """Another increment changes the keys of the 2Ds and no other."""
    one, other = (expand(variant(increment=increment), lab) for increment in ("0.8 ms", "0.9 ms"))
    changed = {a.role for a, b in zip(one.steps, other.steps, strict=True) if a.key != b.key}
    assert changed == {"exsy"}


def test_the_key_is_the_shared_one(demo: Protocol, lab: Lab) -> None:
    """A step's key is that of `step_key`, so that engine and plan speak of the same thing."""
    plan = expand(demo, lab)
    assert all(
        step.key == step_key(campaign=demo.campaign, step_id=step.id, task=step.task, recycle=step.recycle)
        for step in plan.steps
    )


def test_the_bench_order_of_one_temperature(demo: Protocol, lab: Lab) -> None:
    """Spinning before heat, settling before tuning, tuning before the pulse check, T1 before what depends on it."""
    roles = [step.role for step in expand(demo, lab).steps if step.id.startswith("nmr500/vt_exsy/T02/")]
    order = [role for role, _ in itertools.groupby(roles)]
    settling = order[2:-10]
    assert order[:2] == ["spinning", "ramp"]
    assert set(settling) == {"settle", "line"}
    exchange = ["exsy", "reference"] * 3
    assert order[-10:] == ["tune", "pulse", "t1", "reference", *exchange]


def test_the_line_is_watched_until_it_settles(demo: Protocol, lab: Lab) -> None:
    """Two 1Ds are always taken; the waits and 1Ds behind them belong to one series and end once it is settled."""
    plan = expand(demo, lab)
    lines = [step for step in plan.steps if step.series == "nmr500/vt_exsy/T01/line"]
    assert [step.skip_when for step in lines[:3]] == ["", "", ""]
    assert {step.skip_when for step in lines[3:]} == {"settled"}
    settle = demo.procedures[0].vt_exsy.settle
    assert settle.shift is not None
    waited_s = sum(step.estimate_s for step in lines if step.role == "settle")
    assert waited_s == pytest.approx(settle.give_up_s // settle.shift.per_s * settle.shift.per_s)


def test_it_returns_to_where_it_began(demo: Protocol, lab: Lab) -> None:
    """The last visit goes to the first temperature again, with EXPNOs of its own and a reference 1D."""
    plan = expand(demo, lab)
    ramps = [step.task for step in plan.steps if isinstance(step.task, SetTemperature)]
    assert ramps[-1].setpoint_K == ramps[0].setpoint_K
    back = [step for step in plan.steps if "/T01.return/" in step.id]
    assert [step.role for step in back][-1] == "reference"
    assert {step.temperature_index for step in back} == {1}
    assert all(step.task.expno_slot >= 4000 for step in back if isinstance(step.task, Acquire))


def test_ids_count_the_authors_list(variant: Variant, lab: Lab) -> None:
    """``tmix03`` is the third of the list as written, in whatever order the 2Ds are measured."""
    written_ms = [500, 20, 2000, 100]
    plan = expand(variant(mixing_times=[f"{value} ms" for value in written_ms], temperatures=["25 degC"]), lab)
    measured = [(name.rsplit("/", 1)[1], round(experiment.mixing_time_s * 1000)) for name, _, experiment in exsy(plan)]
    assert dict(measured) == {f"tmix{index:02d}": value for index, value in enumerate(written_ms, start=1)}
    assert [value for _, value in measured] == [20, 500, 2000, 100]


@given(times_s=st.lists(st.floats(1e-3, 20), min_size=1, max_size=12, unique=True))
def test_a_palindrome_hides_no_trend(times_s: list[float]) -> None:
    """Each is measured once, up and then down, and place in the series hardly correlates with length."""
    order = measuring_order(times_s, "palindrome")
    assert sorted(order) == list(range(len(times_s)))
    ranks = [sorted(times_s).index(times_s[index]) for index in order]
    top = ranks.index(max(ranks))
    assert ranks[: top + 1] == sorted(ranks[: top + 1])
    assert ranks[top:] == sorted(ranks[top:], reverse=True)
    for short in range(len(ranks) - 1):  # neighbours in length lie on both sides of the longest
        assert (ranks.index(short) <= top) != (ranks.index(short + 1) <= top) or len(ranks) - 1 in {short, short + 1}


@given(cycles=st.integers(1, 40), longest_s=st.floats(1, 1e6), max_s=st.floats(1, 1e6))
def test_splitting_keeps_scans_and_phase_cycles(cycles: int, longest_s: float, max_s: float) -> None:
    """The parts hold all scans in whole phase cycles, none longer than the limit unless a single cycle is."""
    parts = split_scans(8 * cycles, longest_s, max_s)
    assert sum(parts) == 8 * cycles
    assert all(part > 0 and part % 8 == 0 for part in parts)
    assert max(parts) - min(parts) in {0, 8}
    if longest_s / cycles * (max(parts) // 8) > max_s:
        # One cycle too many in some part: only where cycles do not divide evenly, or where one alone is too long.
        assert max(parts) == 8 or longest_s / len(parts) <= max_s


def test_a_long_2d_becomes_several(variant: Variant, lab: Lab) -> None:
    """A 2D longer than `max_dataset` is split by scans, each part with a name, an EXPNO and a 1D of its own."""
    plan = expand(variant(scans=32, max_dataset="2 h", temperatures=["25 degC"]), lab)
    names = [name.rsplit("/", 1)[1] for name, _, _ in exsy(plan)]
    assert names[0] == "tmix01.r1"
    parts = [task.scans for name, task, _ in exsy(plan) if "/tmix01." in name]
    assert len(parts) > 1
    assert sum(parts) == 32
    references = [step.id for step in plan.steps if step.role == "reference"]
    assert len(references) == 1 + len(names)


def test_an_odd_number_of_scans_is_not_split(variant: Variant, lab: Lab) -> None:
    """Scans that are no whole phase cycles stay in one 2D."""
    assert split_scans(12, 1e6, 1.0) == (12,)


def test_too_many_acquisitions_for_the_map_are_refused(variant: Variant, lab: Lab) -> None:
    """More than a hundred acquisitions at one temperature do not fit four digits, and nothing is planned."""
    many = variant(mixing_times=[f"{value} ms" for value in range(1, 61)])
    with pytest.raises(InputError, match="EXPNO slots"):
        expand(many, lab)
    assert not expno_faults(expand(variant(mixing_times=["10 ms"]), lab).steps)
    assert SLOTS == 100


def test_two_procedures_on_one_station_follow_each_other(demo: Protocol, lab: Lab) -> None:
    """A second procedure has a name and EXPNOs of its own, and one cool-down stands at the very end."""
    twice = demo.model_copy(update={"procedures": demo.procedures * 2})
    plan = expand(twice, lab)
    ids = [step.id for step in plan.steps]
    assert len(set(ids)) == len(ids)
    assert "nmr500/vt_exsy.2/T01/tmix01" in ids
    slots = [step.task.expno_slot for step in plan.steps if isinstance(step.task, Acquire)]
    assert slots == sorted(set(slots))
    assert sum(isinstance(step.task, CoolDown) for step in plan.steps) == 1


def test_expensive_work_is_marked_so(demo: Protocol, lab: Lab) -> None:
    """2Ds and T1 are never begun before the instrument was asked what it has."""
    marked = {step.role for step in expand(demo, lab).steps if step.effect is Effect.EXPENSIVE}
    assert marked == {"exsy", "t1"}


def test_the_papers_2d_takes_what_it_took(protocols: Path, lab: Lab) -> None:
    """320 rows of 8 scans with 50 s recycle delay take 35.7 h at 10 ms and 42.8 h at 10 s mixing time."""
    plan = expand(load_protocol(protocols / "paper" / "exsy_coated.yaml").model, lab)
    hours = {experiment.mixing_time_s: task.duration_s / 3600 for _, task, experiment in exsy(plan)}
    assert hours[0.01] == pytest.approx(35.7, abs=0.1)
    assert hours[10.0] == pytest.approx(42.8, abs=0.1)
    assert len(exsy(plan)) == 5 * 7


def test_a_row_on_disk_is_padded(demo: Protocol, lab: Lab) -> None:
    """TD 1000 float64 values fill eight blocks of 1024 bytes."""
    task = exsy(expand(demo, lab))[0][1]
    import dataclasses

    odd = dataclasses.replace(task, points=1000)
    assert cost.disk_bytes(odd) == cost.rows(odd) * 8 * 1024


@pytest.mark.parametrize("spacing", ["log", "linear"])
def test_delays_reach_both_ends(spacing: str) -> None:
    """Delays begin and end where asked, rise, and have as many points as asked."""
    delays = Delays.model_validate({"from": "50 ms", "to": "100 s", "points": 10, "spacing": spacing})
    values = spaced(delays)
    assert (values[0], values[-1], len(values)) == (0.05, 100.0, 10)
    steps = [b / a if spacing == "log" else b - a for a, b in itertools.pairwise(values)]
    assert steps == pytest.approx([steps[0]] * 9, rel=1e-4)


@pytest.mark.parametrize(
    ("station", "nucleus", "fragment"),
    [("nmr50", "6Li", "did you mean 'nmr500'"), ("nmr500", "1H", "not set up for 1H")],
)
def test_a_lab_that_lacks_what_is_asked_is_refused(
    station: str, nucleus: str, fragment: str, variant: Variant, lab: Lab
) -> None:
    """Expanding for an unknown station or nucleus is an input error that names what is known."""
    protocol = variant(station=station)
    sample = protocol.sample.model_copy(update={"nucleus": nucleus})
    with pytest.raises(InputError, match=fragment):
        expand(protocol.model_copy(update={"sample": sample}), lab)

"""The campaign of a whole paper: what its files say, and what it asks of persons."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.plan.expand import expand
from labctl.plan.steps import Plan
from labctl.ports import CoolDown
from labctl.protocol.lab import Lab
from labctl.protocol.load import load_protocol
from labctl.protocol.model import Protocol

EXPERIMENTS = (
    "exsy_coated",
    "exsy_uncoated",
    "eis_li2s",
    "eis_lii",
    "eis_mixture",
    "cycling_activation",
    "cycling_capacity_series",
    "cycling_rates",
    "cycling_life",
)


@pytest.fixture
def paper(protocols: Path) -> Protocol:
    """All of it in one file."""
    return load_protocol(protocols / "paper" / "paper.yaml").model


@pytest.fixture
def plan(paper: Protocol, lab: Lab) -> Plan:
    """Its steps in the simulated lab."""
    return expand(paper, lab)


def test_the_paper_is_its_experiments_side_by_side(paper: Protocol, protocols: Path) -> None:
    """Each experiment's own file asks for the same of the same sample; only channels differ."""
    singly = [
        (protocol.sample_of(procedure), procedure.name, procedure.wanted.model_dump(exclude={"station", "sample"}))
        for name in EXPERIMENTS
        for protocol in [load_protocol(protocols / "paper" / f"{name}.yaml").model]
        for procedure in protocol.procedures
    ]
    together = [
        (paper.sample_of(one), one.name, one.wanted.model_dump(exclude={"station", "sample"}))
        for one in paper.procedures
    ]
    assert together == singly
    assert {path.stem for path in (protocols / "paper").glob("*.yaml")} == {"paper", *EXPERIMENTS}


def test_one_cell_is_one_channel(paper: Protocol) -> None:
    """No cycler's channel is asked for twice: a cell is not changed behind a test that takes months."""
    channels = [one.wanted.station for one in paper.procedures if one.cycling is not None]
    assert len(set(channels)) == len(channels) == 7


def test_a_station_cools_before_its_sample_is_changed(plan: Plan, paper: Protocol) -> None:
    """Where the sample differs from the one before, a cool-down stands directly before the step that asks a person."""
    asked = [step for step in plan.steps if step.person]
    assert [step.station for step in asked] == ["nmr500", "autolab", "autolab"]
    for step in asked:
        own = plan.of_station(step.station)
        assert isinstance(own[own.index(step) - 1].task, CoolDown)
        assert str(plan.settings[f"{step.station}/{step.procedure}"]["sample"]) in step.person
    assert "spin it up to 10 kHz" in asked[0].person


def test_visits_are_counted_through_a_change_of_sample(plan: Plan) -> None:
    """The second rotor's EXPNOs follow those of the first."""
    from labctl.ports import Acquire

    slots = [
        (step.procedure, step.task.expno_slot) for step in plan.of_station("nmr500") if isinstance(step.task, Acquire)
    ]
    assert max(slot for name, slot in slots if name == "vt_exsy") < min(
        slot for name, slot in slots if name == "vt_exsy.2"
    )


def test_what_a_person_must_do_is_no_part_of_a_key(plan: Plan, protocols: Path, lab: Lab) -> None:
    """A step that begins with a change of sample has the key it would have without."""
    first = next(step for step in plan.steps if step.person)
    from dataclasses import replace

    from labctl.plan.steps import step_key

    bare = replace(first, person="")
    assert bare.key == step_key(campaign=plan.campaign, step_id=first.id, task=first.task, recycle=first.recycle)

"""The table of phases: exhaustive, and drawn from itself."""

from __future__ import annotations

import itertools

import pytest

from labctl.errors import InternalError
from labctl.run.lifecycle import (
    CAMPAIGN_TABLE,
    STATION_TABLE,
    CampaignPhase,
    CampaignTrigger,
    StationPhase,
    StationTrigger,
    lifecycle_diagram,
    next_campaign_phase,
    next_station_phase,
)

STATION = {(source, trigger): dest for trigger, sources, dest in STATION_TABLE for source in sources}
CAMPAIGN = {(source, trigger): dest for trigger, sources, dest in CAMPAIGN_TABLE for source in sources}


@pytest.mark.parametrize(("phase", "trigger"), list(itertools.product(StationPhase, StationTrigger)))
def test_station_pairs(phase: StationPhase, trigger: StationTrigger) -> None:
    """Every (phase, trigger) pair of a station leads where the table says or is refused by name."""
    if (phase, trigger) in STATION:
        assert next_station_phase(phase, trigger) is STATION[phase, trigger]
    else:
        with pytest.raises(InternalError, match=f"'{trigger.value}'.*'{phase.value}'"):
            next_station_phase(phase, trigger)


@pytest.mark.parametrize(("phase", "trigger"), list(itertools.product(CampaignPhase, CampaignTrigger)))
def test_campaign_pairs(phase: CampaignPhase, trigger: CampaignTrigger) -> None:
    """Every (phase, trigger) pair of a campaign leads where the table says or is refused by name."""
    if (phase, trigger) in CAMPAIGN:
        assert next_campaign_phase(phase, trigger) is CAMPAIGN[phase, trigger]
    else:
        with pytest.raises(InternalError, match=f"'{trigger.value}'.*'{phase.value}'"):
            next_campaign_phase(phase, trigger)


def test_no_pair_twice() -> None:
    """No (phase, trigger) pair has two destinations, and every trigger and phase is used."""
    rows = [(source, trigger) for trigger, sources, _ in STATION_TABLE for source in sources]
    assert len(rows) == len(set(rows))
    assert {trigger for _, trigger in rows} == set(StationTrigger)
    assert {dest for _, _, dest in STATION_TABLE} == set(StationPhase)


def test_safe_from_everywhere() -> None:
    """The safe state can be asked for in every phase, and only a person's trigger leads from it to new steps."""
    for phase in StationPhase:
        if phase is not StationPhase.SAFING:
            assert next_station_phase(phase, StationTrigger.MAKE_SAFE) is StationPhase.SAFING
    ways_out = {trigger for (phase, trigger), dest in STATION.items() if phase is StationPhase.SAFE}
    assert ways_out == {StationTrigger.RESUME, StationTrigger.EXAMINE, StationTrigger.MAKE_SAFE, StationTrigger.END}


def test_diagram() -> None:
    """The diagram holds one arrow for each legal pair, and where it begins."""
    for of, table in (("station", STATION), ("campaign", CAMPAIGN)):
        lines = lifecycle_diagram(of).splitlines()
        assert lines[0] == "stateDiagram-v2"
        arrows = {line.strip() for line in lines[2:]}
        assert arrows == {
            f"{source.value} --> {dest.value}: {trigger.value}" for (source, trigger), dest in table.items()
        }

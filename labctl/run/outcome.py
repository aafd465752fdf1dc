"""How a run ended, as its state says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.errors import ForeignDataError
from labctl.run.lifecycle import CampaignPhase, StationPhase
from labctl.run.state import State

_EXIT_CODES = {CampaignPhase.DONE: 0, CampaignPhase.STOPPED: 1, CampaignPhase.PAUSED: 4, CampaignPhase.ABORTED: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignOutcome:
    """How a run ended.

    Attributes
    ----------
    exit_code : int
        0 done; 1 a fault stopped it safely; 3 somebody else's data in our place; 4 paused or aborted by a person.
    stations : mapping
        Phase of each station.
    reasons : mapping
        Why a station stands, for those that do.
    turns : int
        How often the loop went round.
    """

    campaign: str
    phase: CampaignPhase
    exit_code: int
    stations: Mapping[str, StationPhase]
    reasons: Mapping[str, str]
    turns: int


class StoppedByForeignData(ForeignDataError):
    """Somebody else's data stand in our place; the other stations went to their ends.

    Parameters
    ----------
    outcome : CampaignOutcome
        How all of it ended.
    """

    def __init__(self, what: str, *, instrument: str, outcome: CampaignOutcome) -> None:
        self.outcome = outcome
        super().__init__(what, instrument=instrument)


def outcome_of(state: State, turns: int) -> CampaignOutcome:
    """Return how a campaign that rests has ended.

    Raises
    ------
    StoppedByForeignData
        A station stands because somebody else's data are in our place.
    """
    reasons = {name: station.fault or station.hold for name, station in state.stations.items()}
    foreign = [name for name, station in state.stations.items() if station.foreign]
    outcome = CampaignOutcome(
        campaign=state.plan.campaign,
        phase=state.phase,
        exit_code=ForeignDataError.exit_code if foreign else _EXIT_CODES[state.phase],
        stations={name: station.phase for name, station in state.stations.items()},
        reasons={name: reason for name, reason in reasons.items() if reason},
        turns=turns,
    )
    if foreign:
        what = "\n".join(reasons[name] for name in foreign)
        raise StoppedByForeignData(what, instrument=foreign[0], outcome=outcome)
    return outcome

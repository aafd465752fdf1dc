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
        0 done; 1 a fault stopped it safely; 4 paused or aborted by a person.
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


def outcome_of(state: State, turns: int) -> CampaignOutcome:
    """Return how a campaign that rests has ended.

    Raises
    ------
    ForeignDataError
        A station stands because somebody else's data are in our place.
    """
    reasons = {name: station.fault or station.hold for name, station in state.stations.items()}
    foreign = [name for name, station in state.stations.items() if station.foreign]
    if foreign:
        lines = [reasons[name] for name in foreign]
        lines += [
            f"{name}: the safe state could NOT be read back: HEAT MAY STILL BE ON, go and look"
            for name, station in state.stations.items()
            if station.phase is StationPhase.UNCONFIRMED
        ]
        raise ForeignDataError("\n".join(lines), instrument=foreign[0])
    return CampaignOutcome(
        campaign=state.plan.campaign,
        phase=state.phase,
        exit_code=_EXIT_CODES[state.phase],
        stations={name: station.phase for name, station in state.stations.items()},
        reasons={name: reason for name, reason in reasons.items() if reason},
        turns=turns,
    )

"""Which events of a campaign are worth a message, how urgent each is, and in which words. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labctl.notify.policy import Message, Notices, Severity, acknowledge, count, settle, tell
from labctl.run.events import (
    Alarmed,
    ClockJumped,
    Event,
    EvidenceSeen,
    Failed,
    Finished,
    HandedOff,
    Opened,
    Operated,
    Planned,
    SafeSeen,
    Skipped,
    Tripped,
)
from labctl.run.lifecycle import CampaignPhase, StationPhase
from labctl.run.state import BEHIND, State
from labctl.run.turn import is_warm

_RESTS = (StationPhase.PAUSED, StationPhase.SAFING, StationPhase.SAFE, StationPhase.UNCONFIRMED)

_RESUME = 'labctl resume <run folder> --attended "what you saw"'

Stands = tuple[tuple[str, StationPhase], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What is known of a campaign between two events: the notices, and how every station stood."""

    notices: Notices
    campaign: str = ""
    stands: Stands = ()
    phase: CampaignPhase | None = None
    state_of_things: str = ""


def hear(listener: Listener, event: Event, state: State, at_s: float) -> Listener:
    """Return the listener after an event.

    Parameters
    ----------
    state : State
        The campaign *after* the event.
    at_s : float
        Wall time of the event [s].
    """
    campaign = state.plan.campaign
    notices = listener.notices
    for message in _of_event(event, campaign, state, at_s):
        notices = tell(notices, message)
    notices = _counted(notices, event)
    if isinstance(event, Finished | Failed | Skipped):
        notices = settle(notices, f"step {event.step_id}")
    if isinstance(event, Operated):
        notices = acknowledge(notices)  # whoever gives an order has seen how things stand
    before = dict(listener.stands)
    for name, station in state.stations.items():
        if station.phase is not before.get(name, station.phase if isinstance(event, Planned) else None):
            if station.phase not in _RESTS:
                notices = settle(notices, f"rest {name}")
            for message in _of_phase(name, event, campaign, state, at_s):
                notices = tell(notices, message)
    if state.phase is not listener.phase and listener.phase is not None:
        for message in _of_campaign(campaign, state, at_s):
            notices = tell(notices, message)
    return replace(
        listener,
        notices=notices,
        campaign=campaign,
        stands=tuple((name, station.phase) for name, station in state.stations.items()),
        phase=state.phase,
        state_of_things=_state_of_things(campaign, state),
    )


def ended(listener: Listener, *, campaign: str, why: str, code: int, at_s: float) -> Listener:
    """Return the listener after labctl itself has stopped; `why` empty: it came to its end in good order."""
    if not why:
        return listener
    message = Message(
        severity=Severity.WARNING if code == 4 else Severity.ALARM,
        title=f"{campaign}: labctl has stopped",
        text=f"{why}\nNobody watches the campaign now; the instruments are left to their own guards. Look at them, then"
        " `labctl resume`.",
        about="stopped",
        at_s=at_s,
    )
    return replace(listener, notices=tell(listener.notices, message))


def _of_event(event: Event, campaign: str, state: State, at_s: float) -> tuple[Message, ...]:
    def message(
        severity: Severity, what: str, text: str, about: str, until: str = "", gist: str = ""
    ) -> tuple[Message, ...]:
        title = f"{campaign}{f' {event.station}' if event.station else ''}: {what}"
        return (Message(severity=severity, title=title, text=text, about=about, at_s=at_s, until=until, gist=gist),)

    match event:
        case Opened():
            what = "goes on" if event.resumed else "has begun"
            text = f"{len(state.plan.steps)} steps on {', '.join(state.stations)}. {_state_of_things(campaign, state)}"
            return message(Severity.INFO, what, text, f"opened {sorted(event.epochs.items())}")
        case Tripped():
            text = f"{event.detail}\nThe station goes to its safe state; only a person lets it go on."
            about = f"trip {event.station} {event.limit}"
            return message(Severity.ALARM, f"interlock {event.limit}", text, about, gist=event.detail)
        case SafeSeen(reached=False):
            text = f"HEAT MAY STILL BE ON: go and look. {event.detail}"
            return message(Severity.ALARM, "the safe state was NOT read back", text, f"unsafe {event.station}")
        case Failed():
            text = f"{event.step_id}, attempt {event.attempt}: {event.what}"
            about = f"failed {event.step_id} {event.attempt}"
            return message(Severity.WARNING, "a step failed", text, about, gist=event.what)
        case Finished(result="halted"):
            text = f"{event.step_id}: {event.detail or 'it has fewer rows than planned'}. What was acquired is kept."
            return message(Severity.WARNING, "a dataset ended early", text, f"halted {event.step_id} {event.attempt}")
        case EvidenceSeen() if event.standing.name == "FOREIGN":
            what = state.stations[event.station].fault or f"{event.step_id}: {event.detail}"
            text = f"{what}\nTo go on: {_continue(event.station)}"
            return message(Severity.PERSON, "foreign data in our place", text, _about_rest(state, event.station))
        case HandedOff() if event.verdict.gate == "stop":
            text = f"{event.step_id}: {event.verdict.message}"
            return message(Severity.PERSON, "analysis asks for a person", text, f"verdict {event.step_id}")
        case Alarmed():
            urgent = Severity.PERSON if event.person else Severity.WARNING
            what = "a person is needed" if event.person else "alarm"
            station = state.stations.get(event.station)
            until = f"step {station.open}" if station is not None and event.person else ""
            return message(urgent, what, event.what, f"alarm {event.station} {event.what}", until, event.what)
        case Operated():
            text = f"{event.verb}{f' {event.step_id}' if event.step_id else ''}: {event.reason}"
            return message(Severity.INFO, f"somebody said {event.verb}", text, f"operated {text} {at_s:.0f}")
        case ClockJumped():
            text = f"The computer's clock moved by {event.wall_s:+.0f} s. Soaks and deadlines are not affected."
            return message(Severity.WARNING, "the clock jumped", text, "clock")
        case _:
            return ()


def _of_phase(name: str, event: Event, campaign: str, state: State, at_s: float) -> tuple[Message, ...]:
    """A station that has come to rest because of a fault needs a person; one that a person paused does not."""
    station = state.stations[name]
    if isinstance(event, Operated | Opened) or station.phase not in {StationPhase.PAUSED, StationPhase.SAFE}:
        return ()
    why = station.fault or station.hold or "no reason given"
    wanted = not station.fault and station.hold.startswith(("paused: ", "aborted: "))  # somebody's own verb
    cools = ", and cools if nobody comes" if is_warm(state, name) else ""
    stands = "is in its safe state" if station.phase is StationPhase.SAFE else f"is paused{cools}"
    return (
        Message(
            severity=Severity.INFO if wanted else Severity.PERSON,
            title=f"{campaign} {name}: {'it stands, as somebody asked' if wanted else 'a person is needed'}",
            text=f"{name} {stands}: {why}"
            + ("" if wanted else f"\nLook at the cause, then let it go on: {_continue(name)}"),
            about=_about_rest(state, name),
            at_s=at_s,
            until=f"rest {name}",
        ),
    )


def _about_rest(state: State, name: str) -> str:
    """Return what a message about a station at rest is about; of foreign data people are told once they are seen."""
    station = state.stations[name]
    return f"foreign {name}" if station.foreign else f"stands {name} {station.phase.value}"


def _continue(name: str) -> str:
    said = 'labctl continue <run folder> --station {} --reason "what you saw", or {} once labctl has ended'
    return said.format(name, _RESUME)


def _of_campaign(campaign: str, state: State, at_s: float) -> tuple[Message, ...]:
    text = _state_of_things(campaign, state)
    match state.phase:
        case CampaignPhase.DONE:
            severity, what = Severity.INFO, "done"
        case CampaignPhase.STOPPED:
            severity, what = Severity.PERSON, "stopped by a fault"
            reasons = [f"{name}: {one.fault}" for name, one in state.stations.items() if one.fault]
            text = "\n".join([*reasons, text, f"Look at the cause, then let it go on: {_RESUME}"])
        case CampaignPhase.PAUSED | CampaignPhase.ABORTED:
            severity, what = Severity.INFO, state.phase.value
        case _:
            return ()
    return (
        Message(
            severity=severity, title=f"{campaign}: {what}", text=text, about=f"campaign {state.phase.value}", at_s=at_s
        ),
    )


def _counted(notices: Notices, event: Event) -> Notices:
    match event:
        case Finished(dataset=dataset) if dataset is not None:
            return count(notices, "partial datasets" if event.result != "done" else "datasets")
        case Failed():
            return count(notices, "failed steps")
        case Tripped():
            return count(notices, "interlock trips")
        case Alarmed():
            return count(notices, "alarms")
        case _:
            return notices


def _state_of_things(campaign: str, state: State) -> str:
    behind = sum(one.status in BEHIND for one in state.steps.values())
    stands = ", ".join(
        f"{name} {station.phase.value}{f' ({station.open})' if station.open else ''}"
        for name, station in state.stations.items()
    )
    return f"{campaign}: {behind} of {len(state.plan.steps)} steps behind; {stands}."

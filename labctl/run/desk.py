"""Where the engine hears persons who ask from another process, and tells them what it did.

One request at a time, only between two turns of work, so that what is found legal is committed before anything else
happens. The request's name is journaled with the deed: an engine that comes after a death does nothing twice, and
whatever the one before had not committed is refused, because its asker has long gone.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from labctl.errors import InputError
from labctl.plan.steps import Plan
from labctl.run.amend import difference, fingerprint, merged, touched
from labctl.run.events import Alarmed, Amended, HandedOff, Operated
from labctl.run.lifecycle import StationPhase
from labctl.run.requests import Mailbox, Reply, Request, request
from labctl.run.state import BEHIND, State

Replan = Callable[[str], Plan]
"""Text of a protocol to its plan, checked against the lab of the campaign; raises `InputError`."""

_STANDS = (StationPhase.PAUSED, StationPhase.SAFE, StationPhase.UNCONFIRMED)


class Refused(Exception):
    """The request is not legal now; nothing happened. The argument says why."""


class OperatorDesk:
    """The engine's end of the mailbox.

    Parameters
    ----------
    replan : callable or None
        What makes a plan of an amended protocol; None: the plan cannot be changed while this engine lives.
    """

    def __init__(self, run_dir: Path, *, replan: Replan | None) -> None:
        self._run_dir = run_dir
        self._mailbox = Mailbox(run_dir)
        self._replan = replan
        self._in_hand: tuple[Request, State] | None = None

    def open(self, carried_out: Collection[str]) -> None:
        """Clear away what an engine before this one was asked; `carried_out` stands in the journal."""
        for asked_id in self._mailbox.left_behind():
            done = asked_id in carried_out
            what = "it was carried out, says the journal" if done else "the engine that was asked has ended; ask again"
            self._mailbox.answer(Reply(id=asked_id, done=done, what=(what,)))
            self._mailbox.clear(asked_id)

    def hear(self, state: State) -> Operated | Amended | None:
        """Return the next thing a person wants, if it is legal; what is not is answered at once."""
        if self._in_hand is not None:
            return None
        asked = self._mailbox.take()
        if not isinstance(asked, Request):
            return None
        try:
            event = self._event(asked, state)
        except Refused as refusal:
            self._mailbox.answer(Reply(id=asked.id, done=False, what=tuple(str(refusal).split("\n"))))
            return None
        self._in_hand = (asked, state)
        return event

    def tell(self, state: State) -> None:
        """Answer what was committed since `hear`."""
        if self._in_hand is not None:
            asked, before = self._in_hand
            self._in_hand = None
            self._mailbox.answer(Reply(id=asked.id, done=True, what=tuple(what_was_done(asked, before, state))))

    def close(self) -> None:
        """Nobody is here any more: whoever asks now is told so.

        What was in hand when an exception struck stays: the journal knows, and the next engine tells.
        """
        for asked_id in self._mailbox.waiting():
            self._mailbox.answer(Reply(id=asked_id, done=False, what=("the engine has just ended",)))
            self._mailbox.clear(asked_id)

    def _event(self, asked: Request, state: State) -> Operated | Amended:
        if asked.verb == "amend":
            if self._replan is None:
                raise Refused("this engine cannot take another plan; pause, let it end, and amend then")
            return amended_event(asked, state, self._replan, self._run_dir, live=True)
        return operated_event(asked, state)


def operated_event(asked: Request, state: State) -> Operated:
    """Return the event of a verb.

    Raises
    ------
    Refused
        Nothing here to which it could apply.
    """
    assert asked.verb != "amend"
    if asked.station and asked.station not in state.stations:
        raise Refused(f"no station {asked.station!r}; there are {', '.join(state.stations)}")
    names = [asked.station] if asked.station else list(state.stations)
    stations = [state.stations[name] for name in names]
    if asked.verb == "continue" and not any(s.hold or s.fault or s.phase in _STANDS for s in stations):
        raise Refused("\n".join(("nothing waits for a person", *_standing(state, names))))
    if asked.verb == "pause" and all(s.phase is StationPhase.FINISHED or s.phase in _STANDS for s in stations):
        raise Refused("\n".join(("nothing is to be paused", *_standing(state, names))))
    if asked.verb == "abort" and all(station.phase is StationPhase.FINISHED for station in stations):
        raise Refused("\n".join(("nothing is to be aborted", *_standing(state, names))))
    if asked.verb == "skip":
        step = state.by_id.get(asked.step_id)
        if step is None:
            close = difflib.get_close_matches(asked.step_id, list(state.by_id), n=1, cutoff=0.5)
            raise Refused(f"no step {asked.step_id!r}" + (f"; did you mean {close[0]}?" if close else ""))
        if state.steps[step.id].status in BEHIND:
            raise Refused(f"{step.id} is {state.steps[step.id].status} already")
    return Operated(
        verb=asked.verb,
        reason=asked.reason,
        station=asked.station,
        step_id=asked.step_id if asked.verb == "skip" else "",
        by=asked.by,
        request=asked.id,
    )


def amended_event(asked: Request, state: State, replan: Replan, run_dir: Path, *, live: bool) -> Amended:
    """Return the event of an amendment, its protocol frozen in the run folder.

    Raises
    ------
    Refused
        The protocol is wrong, or touches what has begun, or the plan is no longer the one it was compared with.
    """
    if asked.base != fingerprint(state.plan):
        raise Refused("the plan has been amended since you compared; compare again")
    try:
        plan = replan(asked.protocol)
    except InputError as problem:
        raise Refused(str(problem)) from None
    if faults := touched(state, plan):
        raise Refused("\n".join(f"{fault.step_id} {fault.what}" for fault in faults))
    if live and (new := sorted({step.station for step in plan.steps} - state.stations.keys())):
        raise Refused(f"this engine does not hold {', '.join(new)}; pause, let it end, and amend then")
    whole = merged(state, plan)
    raw = asked.protocol.encode("utf-8")
    return Amended(
        reason=asked.reason,
        by=asked.by,
        request=asked.id,
        steps=whole.steps,
        blackouts=whole.blackouts,
        protocol_file=_freeze(run_dir, raw),
        protocol_sha256=hashlib.sha256(raw).hexdigest(),
    )


def followed(
    wanted: tuple[str, str], event: HandedOff, state: State, replan: Replan, run_dir: Path
) -> tuple[Amended | Alarmed, ...]:
    """Return the amendment that a verdict asks for: text of the protocol and the reason; nothing if it changes nothing.

    What is not legal is an alarm: the campaign goes on as planned.
    """
    text, reason = wanted
    asked = request("amend", reason[:500], protocol=text, base=fingerprint(state.plan))
    try:
        change = difference(state, replan(text))
        if change.is_nothing:
            return ()
        amended = amended_event(asked, state, replan, run_dir, live=True)
    except (Refused, InputError) as problem:
        what = f"what should follow {event.step_id} is not possible: {problem}"
        return (Alarmed(station=event.station, what=what),)
    return (replace(amended, by="labctl", station=event.station),)


def _freeze(run_dir: Path, raw: bytes) -> str:
    """Keep the protocol under the next free number; nothing is ever overwritten."""
    number = 2
    while True:
        try:
            with (run_dir / f"protocol.{number}.yaml").open("xb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            return f"protocol.{number}.yaml"
        except FileExistsError:
            number += 1
        except OSError as problem:
            raise Refused(f"the protocol cannot be kept in {run_dir} ({problem.strerror or problem})") from None


def what_was_done(asked: Request, before: State, state: State) -> list[str]:
    """Return what became of a request, a line for each station it concerns."""
    if asked.verb == "amend":
        change = difference(before, state.plan)
        return [
            f"the plan is amended: {len(change.added)} steps added, {len(change.dropped)} dropped, "
            f"{len(change.changed)} changed; {change.hours_before:.1f} h were left, now {change.hours_after:.1f} h"
        ]
    if asked.verb == "skip":
        if state.steps[asked.step_id].status == "skipped":
            return [f"{asked.step_id} is left out"]
        return [f"{asked.step_id} is asked to end now; what it has acquired is kept"]
    if asked.verb == "acknowledge":
        return ["noted; nobody is reminded of it any more", *_standing(state, list(state.stations))]
    return _standing(state, [asked.station] if asked.station else list(state.stations))


def _standing(state: State, names: list[str]) -> list[str]:
    lines = []
    for name in names:
        station = state.stations[name]
        match station.phase:
            case StationPhase.FINISHED:
                what = "everything is done"
            case StationPhase.PAUSED:
                what = f"paused, nothing is begun ({station.fault or station.hold})"
            case StationPhase.SAFING:
                what = "what was acquired is kept; the safe state is asked for and waited for"
            case StationPhase.SAFE:
                what = f"safe ({station.fault or station.hold})"
            case StationPhase.UNCONFIRMED:
                what = "the safe state could NOT be read back: go and look"
            case StationPhase.HELD:
                what = f"waits for {station.waits_for}"
            case _ if station.hold:
                what = f"{station.open} goes on to its end, nothing is begun after it ({station.hold})"
            case _:
                what = f"{station.phase.value}{f' {station.open}' if station.open else ''}"
        lines.append(f"{name}: {what}")
    return lines

"""Who looks on while a campaign runs: notifications and the second copy, as the lab file asks for them."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.cli.run_folder import JOURNAL
from labctl.errors import LabctlError

if TYPE_CHECKING:
    from labctl.clock import Clock
    from labctl.notify.notifier import Notifier
    from labctl.notify.policy import Delivery, Rules
    from labctl.protocol.lab import Lab
    from labctl.protocol.notify import Notify
    from labctl.run.options import Bystander
    from labctl.run.second_copy import SecondCopy


@contextmanager
def bystanders(lab: Lab, *, run_dir: Path, simulated: bool, clock: Clock, aloud: bool) -> Iterator[list[Bystander]]:
    """Yield who is told of every event, and let them finish afterwards, however the campaign ends.

    Parameters
    ----------
    simulated : bool
        Nothing is sent and nothing copied; with `aloud`, lines say what would have been sent.

    Raises
    ------
    InputError
        An address is not where the lab file says, or Apprise is missing; before anything is begun.
    """
    watching: list[Any] = []
    copying: SecondCopy | None = None
    if lab.notify is not None:
        if simulated:
            watching += [_rehearsal(lab.notify, clock)] if aloud else []
        else:
            watching.append(notifier_of(lab.notify))
    if lab.second_copy is not None and not simulated:
        copying = _second_copy(run_dir, Path(lab.second_copy).expanduser())
        copying.start()
    for one in watching:
        if not simulated:
            one.start()
    why, code = "", 0
    try:
        yield [*watching, *([copying] if copying is not None else [])]
    except LabctlError as problem:
        why, code = str(problem), problem.exit_code
        raise
    except BaseException as problem:
        why, code = type(problem).__name__, 70
        raise
    finally:
        for one in watching:
            one.close(why=why, code=code)
        if copying is not None and (left := copying.close()):
            print(f"{left} datasets have no second copy; `labctl resume` tries again", file=sys.stderr)
            for alarm in copying.said():
                print(alarm.what, file=sys.stderr)


def notifier_of(wanted: Notify) -> Notifier:
    """Return the notifier of a lab file, with its addresses looked up."""
    from labctl.notify.carriers import AppriseCarrier, Pulse
    from labctl.notify.notifier import Heartbeat, Notifier
    from labctl.notify.outbox import Outbox
    from labctl.notify.policy import Severity
    from labctl.notify.references import resolve

    outboxes = [
        Outbox(
            name=target.url,
            carrier=AppriseCarrier(target.url, resolve(target.url)),
            least=Severity[target.least.upper()],
            after_reminders=target.after_reminders,
        )
        for target in wanted.targets
    ]
    beat = wanted.heartbeat
    heartbeat = None
    if beat is not None:
        heartbeat = Heartbeat(name=beat.url, pulse=Pulse(beat.url, resolve(beat.url)), every_s=beat.every_s)
    return Notifier(rules_of(wanted, _local_offset_s), outboxes, heartbeat)


def rules_of(wanted: Notify, utc_offset_s: Callable[[float], float]) -> Rules:
    """Return what the lab file asks for, in the policy's words."""
    from labctl.notify.policy import QuietHours, Rules, Severity

    quiet = wanted.quiet
    return Rules(
        remind_s=wanted.remind_s,
        summary_s=wanted.summary_s,
        quiet=None
        if quiet is None
        else QuietHours(from_s=quiet.from_s, to_s=quiet.to_s, let_through=Severity[quiet.let_through.upper()]),
        utc_offset_s=utc_offset_s,
    )


def _local_offset_s(at_s: float) -> float:
    from labctl.cli.planning import utc_offset_s

    return utc_offset_s(at_s)


def _rehearsal(wanted: Notify, clock: Clock) -> Any:
    from labctl.notify.notifier import Rehearsal, line_of

    def say(at_s: float, delivery: Delivery) -> None:
        moment = dt.datetime.fromtimestamp(at_s, dt.UTC)
        print(f"{moment:%Y-%m-%d %H:%M:%S}Z would notify {line_of(delivery)}", file=sys.stderr)

    # A dry run means the same on every computer, so its quiet hours are those of UTC.
    return Rehearsal(rules_of(wanted, lambda _at_s: 0.0), now_s=clock.now_s, say=say)


def _second_copy(run_dir: Path, folder: Path) -> SecondCopy:
    from labctl.clock import SystemClock
    from labctl.run.history import datasets_told
    from labctl.run.journal import Journal
    from labctl.run.second_copy import SecondCopy

    before: tuple[Any, ...] = ()
    if (run_dir / JOURNAL).is_file():
        journal = Journal(run_dir / JOURNAL, clock=SystemClock(), read_only=True)
        try:
            before = datasets_told(journal)
        finally:
            journal.close()
    return SecondCopy(run_dir, folder, before=before)

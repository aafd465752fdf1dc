"""``labctl pause``, ``continue``, ``abort``, ``skip``: asking the engine that runs a campaign, from another process."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.cli.run_folder import JOURNAL, thaw
from labctl.errors import InputError, SafetyRefusal

if TYPE_CHECKING:
    from labctl.clock import Clock
    from labctl.run.requests import Reply, Request, Verb

WAIT_S = 30.0
"""How long an engine may take to answer; it hears persons every second, and longer only while its disk is full."""


def operate_command(directory: Path, verb: Verb, reason: str, *, station: str = "", step_id: str = "") -> None:
    """Ask for a verb, and print what the engine did.

    Raises
    ------
    InputError
        No engine runs and the verb needs one, or the engine refused; says why.
    """
    from labctl.run.requests import request
    from labctl.run.standing import open_journal

    thaw(directory)
    asked = request(verb, reason, station=station, step_id=step_id)
    if engine_runs(directory / JOURNAL):
        show(ask(directory, asked))
    elif verb in {"skip", "abort"}:
        at_rest(directory, asked)
    else:
        with open_journal(directory / JOURNAL):  # one of a newer labctl is not resumed by this one
            raise no_engine(directory, verb)


def engine_runs(journal: Path) -> bool:
    """Whether an engine holds the journal, by its lock."""
    from filelock import FileLock, Timeout

    if not journal.is_file():
        raise InputError(f"{journal} does not exist", next_step="Name the folder of a campaign that was begun")
    lock = FileLock(journal.with_name(journal.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a share, or a folder of somebody else's: whoever cannot lock it cannot tell
        return False
    lock.release()
    return False


def no_engine(directory: Path, verb: str) -> InputError:
    """Return what is said where a verb needs an engine and there is none."""
    resume = f"labctl resume {shlex.quote(str(directory))}"
    what = f"no engine runs in {directory}"
    if verb == "pause":
        return InputError(
            f"{what}: nothing new is begun; what the instruments are at goes on, and their own guards watch it",
            next_step=f"`{resume}` asks them; `labctl status` says what was under way",
        )
    return InputError(f"{what}, so nothing can {verb}", next_step=f"Use `{resume}`")


def ask(directory: Path, asked: Request) -> Reply:
    """Leave a request for the engine and return its reply."""
    from labctl.clock import SystemClock
    from labctl.run.requests import Mailbox

    reply = Mailbox(directory).ask(asked, clock=SystemClock(), wait_s=WAIT_S)
    if reply is None:
        raise InputError(
            f"the engine did not take `{asked.verb}` up within {WAIT_S:.0f} s; it is withdrawn, nothing comes of it",
            next_step="Look at the terminal where it runs: is its disk full, or did it hang?",
        )
    return reply


def show(reply: Reply) -> None:
    """Print what the engine did; raise what it refused."""
    if not reply.done:
        raise InputError("refused: " + "\n".join(reply.what))
    for line in reply.what:
        print(line)


def at_rest(directory: Path, asked: Request) -> None:
    """Carry a verb out in the journal of a campaign that no engine holds."""
    from labctl.cli.amending import first_plan, replanner
    from labctl.run.desk import Refused
    from labctl.run.journal import Journal
    from labctl.run.replay import change_at_rest

    try:
        journal = Journal(directory / JOURNAL, clock=_clock_of(directory))
    except SafetyRefusal:  # an engine has just come
        show(ask(directory, asked))
        return
    try:
        plan = first_plan(directory)
        done = change_at_rest(journal, plan, asked, replanner(directory, plan.campaign))
    except Refused as refusal:
        raise InputError(f"refused: {refusal}") from None
    finally:
        journal.close()
    for line in done:
        print(line)
    print(f"no engine runs; `labctl resume {shlex.quote(str(directory))}` goes on from here", file=sys.stderr)


def _clock_of(directory: Path) -> Clock:
    """Return the time a campaign lives in: a rehearsal's stood still when its engine ended.

    Today's date in the journal of a rehearsal would have its next engine let the simulated lab live on until today.
    """
    from labctl.clock import SystemClock, VirtualClock
    from labctl.run.journal import Journal

    start = thaw(directory)
    if not start.simulated:
        return SystemClock()
    journal = Journal(directory / JOURNAL, clock=SystemClock(), read_only=True)
    try:
        return VirtualClock(max([start.start_s, *(row.wall_s for row in journal.rows())]))
    finally:
        journal.close()

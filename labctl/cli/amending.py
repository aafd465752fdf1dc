"""``labctl amend``: another protocol for what has not begun; compared, checked, agreed to, and journaled."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.cli.planning import Checked, checked, checked_text
from labctl.cli.run_folder import JOURNAL, thaw
from labctl.errors import Finding, InputError
from labctl.units import duration_text

if TYPE_CHECKING:
    from labctl.located_yaml import KeyPath, Located
    from labctl.plan.steps import Plan, Step
    from labctl.run.amend import Difference
    from labctl.run.state import State


def latest_protocol(run_dir: Path) -> Path:
    """Return the protocol a campaign follows now: the one it was begun with, or its last amendment.

    Raises
    ------
    InputError
        The file of an amendment is missing or is not what was journaled.
    """
    from labctl.run.standing import amendments

    told = amendments(run_dir / JOURNAL) if (run_dir / JOURNAL).is_file() else []
    if not told:
        return run_dir / "protocol.yaml"
    path = run_dir / Path(told[-1]["file"]).name
    if not path.is_file():
        raise InputError(f"{path} is missing", next_step="Put the frozen file back")
    if hashlib.sha256(path.read_bytes()).hexdigest() != told[-1]["sha256"]:
        raise InputError(
            f"{path} was changed since the amendment",
            next_step="Put the frozen file back; use `labctl amend` for another change",
        )
    return path


def first_plan(run_dir: Path) -> Plan:
    """Return the plan a campaign was begun with, which its journal begins with."""
    return checked(run_dir / "protocol.yaml", run_dir / "lab.yaml").plan


def replanner(run_dir: Path, campaign: str) -> Callable[[str], Plan]:
    """Return what makes a plan of the text of a protocol, checked against the lab of the campaign."""
    lab = run_dir / "lab.yaml"

    def replan(text: str) -> Plan:
        plan = checked_text(text, "the amended protocol", lab).plan
        if plan.campaign != campaign:
            raise InputError(f"the amended protocol is of campaign {plan.campaign!r}", expected=repr(campaign))
        return plan

    return replan


def amend_command(directory: Path, protocol: Path, reason: str, *, yes: bool) -> None:
    """Show what a new protocol changes of what is still to come, ask, and have it journaled.

    Raises
    ------
    InputError
        The protocol is wrong, touches what has begun or is behind (file:line of each such key), or changes
        nothing.
    """
    from labctl.cli.operating import ask, at_rest, engine_runs, show
    from labctl.clock import SystemClock
    from labctl.run.amend import difference, fingerprint, touched
    from labctl.run.journal import Journal
    from labctl.run.replay import replayed
    from labctl.run.requests import request

    thaw(directory)
    lab = directory / "lab.yaml"
    now = checked(latest_protocol(directory), lab)
    if now.protocol.model.commissioning is not None:
        raise InputError("a commissioning stage is run as written", next_step="Abort it, and begin another run")
    wanted = checked(protocol, lab)
    for finding in wanted.findings:
        if finding.severity == "warning":
            print(finding, file=sys.stderr)
    if wanted.plan.campaign != now.plan.campaign:
        raise InputError(
            findings=(
                wanted.protocol.located.finding(
                    ("campaign",), "is another campaign", value=repr(wanted.plan.campaign), expected=now.plan.campaign
                ),
            )
        )
    journal = Journal(directory / JOURNAL, clock=SystemClock(), read_only=True)
    try:
        state = replayed(journal, first_plan(directory))
    finally:
        journal.close()
    if touched(state, wanted.plan):
        raise InputError(findings=blamed(state, now, wanted))
    change = difference(state, wanted.plan)
    steering = steering_lines(now, wanted)
    print("\n".join([*lines_of(change), *steering]))
    if change.is_nothing and state.plan.blackouts == wanted.plan.blackouts and not steering:
        raise InputError("the amended protocol changes no step", next_step="Nothing was done")
    if steering and not _decides_again(state, wanted):
        print(
            "no 2D is to come, so nothing is decided by this unless you add one",
            file=sys.stderr,
        )
    _agree(yes=yes)
    text = wanted.protocol.located.text
    asked = request("amend", reason, protocol=text, base=fingerprint(state.plan))
    if engine_runs(directory / JOURNAL):
        show(ask(directory, asked))
    else:
        at_rest(directory, asked)


def _agree(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("nobody is here to agree", next_step="Say --yes once you have read the difference")
    import typer

    typer.confirm("Change the campaign so?", abort=True)


def lines_of(change: Difference) -> list[str]:
    """Return a difference as people read it: ``-`` dropped, ``+`` added, ``~`` changed and in what."""
    lines = [f"- {_in_words(step)}" for step in change.dropped]
    lines += [f"+ {_in_words(step)}" for step in change.added]
    for old, new in change.changed:
        lines.append(f"~ {new.id}: {'; '.join(_changes(old, new))}")
    lines.append(
        f"{len(change.added)} steps added, {len(change.dropped)} dropped, {len(change.changed)} changed; "
        f"still to come: {change.hours_before:.1f} h before, {change.hours_after:.1f} h after"
    )
    return lines


def steering_lines(now: Checked, wanted: Checked) -> list[str]:
    """Return what a new protocol changes of how adaptive procedures decide, a line for each key of their `adapt`."""
    lines = []
    old, new = now.protocol.located.data, wanted.protocol.located.data
    for place, (was, is_) in enumerate(zip(_adapt_blocks(old), _adapt_blocks(new), strict=False)):
        lines += [
            f"~ procedures[{place}] adapt.{key}: {_short(was.get(key))} -> {_short(is_.get(key))}"
            for key in dict.fromkeys([*was, *is_])
            if was.get(key) != is_.get(key)
        ]
    return lines


def _decides_again(state: State, wanted: Checked) -> bool:
    """Whether a 2D, or the 1D behind one, is still to come or under way: what comes next is decided after those."""
    from labctl.run.state import BEHIND

    records = (state.steps.get(step.id) for step in wanted.plan.steps if step.role in {"exsy", "reference"})
    return any(record is None or record.status not in BEHIND for record in records)


def _adapt_blocks(document: Any) -> list[dict[str, Any]]:
    return [one.get("vt_exsy", {}).get("adapt") or {} for one in document["procedures"]]


def _in_words(step: Step) -> str:
    return f"{step.id} ({step.role}, {duration_text(step.estimate_s)})"


def _changes(old: Step, new: Step) -> list[str]:
    from labctl.plan.steps import task_json

    def flat(step: Step) -> dict[str, Any]:
        data = task_json(step.task)
        data.update(data.pop("experiment", {}))
        if step.recycle is not None:
            data["recycle_delay"] = f"{step.recycle.times_T1:g} T1 of {step.recycle.of}, max {step.recycle.max_s:g} s"
        return data

    before, after = flat(old), flat(new)
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key) and key != "duration_s"]
    return [f"{key} {_short(before.get(key))} -> {_short(after.get(key))}" for key in keys] or ["its parameters"]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."


# ------------------------------------------------------------------------------ which line is to blame


def blamed(state: State, now: Checked, wanted: Checked) -> tuple[Finding, ...]:
    """Return, for each key whose change touches what has begun, its line in the new protocol and what it touches.

    Each changed key is tried alone: the protocol in force with just that key changed is planned and compared. Where no
    change is possible alone, all of them are named.
    """
    from labctl.run.amend import touched

    old, new = now.protocol.located, wanted.protocol.located
    found = []
    paths = list(changed_keys(old.data, new.data))
    for path in paths:
        plan = _planned_with(old, new, path, now)
        faults = touched(state, plan) if plan is not None else ()
        if faults:
            found.append(_finding(new, path, [f"{fault.step_id} {fault.what}" for fault in faults]))
    if not found:
        faults = touched(state, wanted.plan)
        told = [f"{fault.step_id} {fault.what}" for fault in faults]
        found = [_finding(new, path, told) for path in paths or [()]]
    return tuple(found)


def _finding(new: Located, path: KeyPath, told: list[str]) -> Finding:
    more = f", and {len(told) - 3} more" if len(told) > 3 else ""
    return new.finding(
        path,
        f"changes what has begun or is behind: {'; '.join(told[:3])}{more}",
        expected="leave it as it was; end the procedure at what is done, and write another behind it for the rest",
    )


def changed_keys(old: Any, new: Any, path: KeyPath = ()) -> list[KeyPath]:
    """Return the paths at which two documents differ: down to the keys of a procedure, whose values count whole."""
    if old == new:
        return []
    deep = len(path) < 4 and (not path or path[0] in {"procedures", "sample", "on_fault"})
    if deep and isinstance(old, dict) and isinstance(new, dict) and old.keys() & new.keys():
        keys = list(dict.fromkeys([*old, *new]))
        return [found for key in keys for found in changed_keys(old.get(key), new.get(key), (*path, key))]
    if deep and isinstance(old, list) and isinstance(new, list):
        pairs = [
            (old[at] if at < len(old) else None, new[at] if at < len(new) else None)
            for at in range(max(len(old), len(new)))
        ]
        return [found for at, (was, is_) in enumerate(pairs) for found in changed_keys(was, is_, (*path, at))]
    return [path]


def _planned_with(old: Located, new: Located, path: KeyPath, now: Checked) -> Plan | None:
    """Plan the old document with the one key at `path` as in the new one; None where that is no protocol."""
    from labctl.plan.expand import expand
    from labctl.protocol.load import read
    from labctl.protocol.model import Protocol

    data = _with(old.data, new.data, path)
    try:
        return expand(read(Protocol, replace(old, data=data)), now.lab.model)
    except InputError:
        return None


def _with(old: Any, new: Any, path: KeyPath) -> Any:
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(old, dict) and isinstance(new, dict):
        whole = dict(old)
        if head not in new:
            whole.pop(head, None)
        else:
            whole[head] = _with(old.get(head), new[head], rest) if head in old else new[head]
        return whole
    if isinstance(old, list) and isinstance(new, list) and isinstance(head, int):
        items = list(old)
        if head >= len(new):
            return items[:head] + items[head + 1 :]
        if head >= len(items):
            return [*items, new[head]]
        items[head] = _with(items[head], new[head], rest)
        return items
    return new

"""One channel of a Maccor cycler as an `Instrument`: an order becomes a procedure and one start, and never two.

Theory of operation
-------------------
A test runs on the tester by itself, for weeks, whether labctl lives or not; its guards stand in its procedure. What
labctl knows of it comes from the channel: the name of its test (which carries the order's token) and its state. A
start is a message that may be lost on the way there or back, so it is never sent on a guess: before it the channel and
the archive are asked for that name, and after a start without a reply an idle channel is not believed until the tester
had time to act (`start_settle_s`). The tester itself refuses a second test of the same name and a busy channel.

Cycling changes the cell. Nothing here resets a channel, resumes a test unasked, or sends a current of its own; the
safe state is the suspended test, which is open circuit and can be resumed by a person. Only a test whose channel, name
and state match is suspended.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from labctl.clock import Clock
from labctl.errors import ForeignDataError, InstrumentError, InstrumentSilent
from labctl.formats.maccor_lint import ChannelSpan
from labctl.ports import (
    FAULT,
    Check,
    Collected,
    CycleCell,
    Errand,
    Evidence,
    Observation,
    Order,
    Progress,
    Reading,
    Standing,
    StillOurs,
)
from labctl_maccor import _codec as codec
from labctl_maccor._codec import FREE, RUNS, Channel, ChannelStatus, Garbled, Stat
from labctl_maccor._collect import PARTS, about_cell, by_hand, cell_card, exports, put, put_piece, the_text_export
from labctl_maccor._link import Link
from labctl_maccor._preflight import maccor_checks
from labctl_maccor._procedure import GUARDS, Written, finest, guard_of, write
from labctl_maccor._settings import Settings
from labctl_maccor._tester import Tester
from labctl_maccor._watch import CycleWatch

_DOWN = frozenset({Stat.NO_CONTROLLER, Stat.SHUT_DOWN, Stat.BLOCKED, Stat.REMOTE_MAINTENANCE, Stat.NOT_AVAILABLE})
_SAFETY_CURRENT = 1.5
AILING = "Hazard: a shorted, swollen or leaking cell, and sulphides give H2S: do not open it"
"""What to mind where the cell may be the reason."""
RESTING = "Hazard: none known, no current flows"
_CHECKED_KEYS = ("TestName", "ProcName", "Comment", "Crate", "ChamberNum")
_NAME_TAKEN = frozenset({"19", "20"})
"""Results of (6,2) for a test name that the tester knows, active or archived (MacNet specification)."""
_NORMAL_END = 1


class MaccorDriver:
    """One channel of one tester.

    Parameters
    ----------
    limits : mapping
        Hardware limits of the lab file; of them ``voltage_max_V``, ``voltage_min_V`` and ``current_max_A`` count here.
    """

    attention_s = math.inf

    def __init__(
        self, *, station: str, settings: Settings, limits: Mapping[str, float], clock: Clock, link: Link
    ) -> None:
        self._station = station
        self._settings = settings
        self._limits = limits
        self._clock = clock
        self._link = link
        self._channel = Channel(settings.channel)
        self._tester = Tester(link, station=station, settings=settings)
        self._unsure_until_s = -math.inf
        self._watches: dict[str, CycleWatch] = {}
        self._paused_because: dict[str, str] = {}
        self._stopped: set[str] = set()
        self._begun_s: dict[str, float] = {}
        self._had_before: set[str] = set()
        self._stands_since_s: float | None = None
        self._pieces: dict[Path, bytes] = {}

    @property
    def station(self) -> str:
        return self._station

    def fence(self, still_ours: StillOurs) -> None:
        self._tester.still_ours = still_ours

    def open(self, epoch: int) -> None:
        """Find the tester and the channel."""
        del epoch  # MacNet has no place for it: `fence` stands in
        self._be_unsure()
        count = self._tester.channels()
        if not 1 <= self._settings.channel <= count:
            raise InstrumentError(
                f"the tester has {count} channels",
                instrument=self._station,
                expected=f"settings.channel from 1 to {count}, got {self._settings.channel}",
            )
        self._tester.status(self._channel)
        self._be_unsure()

    def close(self) -> None:
        self._tester.close()

    def _be_unsure(self) -> None:
        """A start sent before may still be on its way: an idle channel proves nothing for a while."""
        self._unsure_until_s = self._clock.monotonic_s() + self._settings.start_settle_s

    # ------------------------------------------------------------------------------------------ beginning

    def begin(self, order: Order) -> None:
        task, test = self._task(order), self._test_name(order)
        status, standing = self._standing(test)
        if standing is Standing.FOREIGN:
            raise ForeignDataError(
                f"{self._channel} holds the test {self._tester.test_name(self._channel)!r}: {status.words}",
                instrument=self._station,
                command=order.step_id,
                next_step="Finish and archive it at the tester, or give labctl another channel; nothing was touched",
            )
        if standing is not Standing.NOT_STARTED:
            return
        if self._begun_s.get(test, -math.inf) > self._clock.monotonic_s() - self._settings.start_settle_s:
            raise self._not_yet(test)
        written = self._write(task)
        if status.stat is Stat.COMPLETED:  # an earlier test of ours; its data file goes to Archive
            self._insist(self._tester.archive(self._channel), "(6,6)", "archive the test before")
        self._tester.set_safety(self._channel, self._safety(task))
        keys = self._start_keys(task, test, written)
        check = {name: keys[name] for name in _CHECKED_KEYS}
        self._insist(self._tester.check_start(self._channel, check), "(6,11)", f"start {test}")
        self._begun_s[test] = self._clock.monotonic_s()
        self._be_unsure()
        said = self._tester.start(self._channel, keys)
        if said in _NAME_TAKEN or "not unique" in said.lower():
            self._had_before.add(test)
        self._insist(said, "(6,2)", f"start {test}")

    def preflight(self, errand: Errand) -> tuple[Check, ...]:
        return tuple(
            maccor_checks(
                errand,
                tester=self._tester,
                channel=self._channel,
                link=self._link,
                limits=self._limits,
                now_s=self._clock.now_s(),
            )
        )

    def shadow(self, order: Order) -> tuple[str, ...]:
        """Write the procedure and have the tester check a start (6,11); no limit is set, no test started."""
        task, test = self._task(order), self._test_name(order)
        status, standing = self._standing(test)
        if standing is Standing.FOREIGN:
            raise ForeignDataError(
                f"{self._channel} holds the test {self._tester.test_name(self._channel)!r}: {status.words}",
                instrument=self._station,
                command=order.step_id,
                next_step="Finish and archive it at the tester, or give labctl another channel; nothing was touched",
            )
        if standing is not Standing.NOT_STARTED:
            raise InstrumentError(
                f"{test} has been begun already: {status.words}", instrument=self._station, command=order.step_id
            )
        written = self._write(task)
        keys = self._start_keys(task, test, written)
        check = {name: keys[name] for name in _CHECKED_KEYS}
        said = "an earlier test of labctl would be archived first"
        if status.stat is not Stat.COMPLETED:
            self._insist(self._tester.check_start(self._channel, check), "(6,11)", f"start {test}")
            said = "the tester has nothing against it (6,11)"
        limits = ", ".join(f"{key} {value:g}" for key, value in self._safety(task).items())
        return (
            f"wrote the procedure {written.name}.000 into {self._link.procedures_dir}",
            f"would set the tester's limits of {self._channel}: {limits}",
            f"would start {test}: {task.cycles} cycles at {task.current_A:g} A; {said}",
        )

    def _write(self, task: CycleCell) -> Written:
        """Put the procedure where the tester finds it, after comparing it with channel and lab file."""
        able = self._tester.capability(self._channel)
        span = ChannelSpan(
            voltage_min_V=max(able.voltage_min_V, self._limits.get("voltage_min_V", -math.inf)),
            voltage_max_V=min(able.voltage_max_V, self._limits.get("voltage_max_V", math.inf)),
            ranges_A=able.ranges_A,
        )
        highest_A = min(max(able.ranges_A), max(able.discharge_ranges_A), self._limits.get("current_max_A", math.inf))
        wanted_A = max(task.current_A, task.discharge_current_A)
        if wanted_A > highest_A:
            raise InstrumentError(
                f"refused for safety: {wanted_A:g} A on a channel for {highest_A:g} A",
                instrument=self._station,
                command=task.cell,
            )
        written = write(
            task,
            span,
            form=self._settings.capacity_form,
            current_range=self._settings.current_range,
            margin_V=self._settings.voltage_margin_V,
            station=self._station,
        )
        self._tester.still_ours()
        put(self._link.procedures_dir / f"{written.name}.000", written.text.encode("utf-8"), station=self._station)
        if not self._tester.has_procedure(written.name):
            raise InstrumentError(
                f"the tester does not find the procedure {written.name} in {self._link.procedures_dir}",
                instrument=self._station,
                command="MacNet (1,3)",
                expected="settings.procedures_dir to be the tester's Procedur folder",
            )
        return written

    def _safety(self, task: CycleCell) -> dict[str, float]:
        """Return the tester's own limits: outside the safety ends of the procedure, which lie outside its guards."""
        low_V = min(task.charge_below_V, task.discharge_to_V) - 2.0 * self._settings.voltage_margin_V
        high_V = task.charge_above_V + 2.0 * self._settings.voltage_margin_V
        charge_A, discharge_A = _SAFETY_CURRENT * task.current_A, _SAFETY_CURRENT * task.discharge_current_A
        return {
            "VSafeMax": high_V,
            "VSafeMin": low_V,
            "ISafeChg": charge_A,
            "ISafeDis": discharge_A,
            "PBatSafeChg": charge_A * high_V,
            "PBatSafeDis": discharge_A * high_V,
        }

    @staticmethod
    def _start_keys(task: CycleCell, test: str, written: Written) -> dict[str, Any]:
        return {
            "TestName": test,
            "ProcName": written.name,
            "Comment": f"{task.mass_mg:.4f} mg {task.mass_basis}"[:80],
            "Crate": written.crate_Ah,
            "ChamberNum": 0,
            "StartCycle": 0,
            "TotCycles": 0,
            "Mass": task.mass_mg / 1000.0 if task.mass_mg > 0.0 else 1.0,
            "VGain": 0,
            "AbsTRepAlign": 0,
            "ParallelR": 0,
            "VDivHiR": 0,
            "VDivLoR": 0,
            "CANpos": -1,
            "CANprof": "",
            "RegimeName": "",
        }

    def _insist(self, said: str, command: str, what: str) -> None:
        if said:
            raise InstrumentError(
                f"the tester would not {what}", instrument=self._station, command=f"MacNet {command}", reply=said
            )

    # ------------------------------------------------------------------------------------------ asking

    def _task(self, order: Order) -> CycleCell:
        if not isinstance(order.task, CycleCell):
            raise InstrumentError(
                f"a cycler cannot carry out {type(order.task).__name__}",
                instrument=self._station,
                command=order.step_id,
                expected="CycleCell",
            )
        return order.task

    def _test_name(self, order: Order) -> str:
        try:
            return codec.test_name(self._task(order).cell, order.token)
        except Garbled as problem:
            raise InstrumentError(problem.what, instrument=self._station, command=order.step_id) from None

    def _standing(self, test: str) -> tuple[ChannelStatus, Standing]:
        """Return the channel's state and what it means for a test of this name."""
        status = self._tester.status(self._channel)
        if status.stat in _DOWN:
            raise InstrumentSilent(f"the tester is down: {status.words}", instrument=self._station)
        name = self._tester.test_name(self._channel)
        if name == test and status.stat not in FREE:
            if status.stat is Stat.COMPLETED:
                return status, Standing.FINISHED
            return status, Standing.INTERRUPTED if status.stat is Stat.PROBLEM else Standing.RUNNING
        if name == test or self._tester.is_archived(test):
            return status, Standing.INTERRUPTED  # it ran, and somebody reset or archived it
        if status.stat in FREE or (status.stat is Stat.COMPLETED and codec.is_ours(name)):
            return status, Standing.NOT_STARTED
        return status, Standing.FOREIGN

    def evidence(self, order: Order) -> Evidence:
        test = self._test_name(order)
        status, standing = self._standing(test)
        if standing is Standing.NOT_STARTED and self._clock.monotonic_s() < self._unsure_until_s:
            raise self._not_yet(test)
        if standing is Standing.NOT_STARTED and test in self._had_before:  # names are ours alone: the cell was cycled
            detail = f"{test} was started before and is not on {self._channel}: somebody reset or cleared it"
            return Evidence(standing=Standing.INTERRUPTED, detail=detail)
        if standing is Standing.FOREIGN:
            other = self._tester.test_name(self._channel)
            return Evidence(standing=standing, detail=f"{self._channel} holds the test {other!r}: {status.words}")
        hazard = f". {AILING}. Look at the cell before anything else" if status.stat is Stat.PROBLEM else ""
        return Evidence(standing=standing, detail=f"{test} on {self._channel}: {status.words}{hazard}")

    def _not_yet(self, test: str) -> InstrumentSilent:
        return InstrumentSilent(
            f"{test} is not seen on {self._channel} yet; a start may still be on its way",
            instrument=self._station,
            next_step="The channel is asked again before anything is started",
        )

    def look(self, order: Order) -> Observation:
        task, test = self._task(order), self._test_name(order)
        status, standing = self._standing(test)
        match standing:
            case Standing.FOREIGN:
                raise ForeignDataError(
                    f"another test than {test} is on {self._channel}: {status.words}",
                    instrument=self._station,
                    next_step="Find out at the tester what became of it; nothing was touched",
                )
            case Standing.FINISHED:
                return self._look_at_finished(status)
            case Standing.INTERRUPTED:
                hazard = AILING if status.stat is Stat.PROBLEM else RESTING
                detail = f"{test} was ended early: {status.words}. {hazard}. Look at the cell before anything else"
                return Observation(progress=Progress.FAILED, detail=detail)
            case Standing.NOT_STARTED | Standing.PREPARED:
                if self._clock.monotonic_s() < self._unsure_until_s:
                    wait_s = self._unsure_until_s - self._clock.monotonic_s()
                    return Observation(progress=Progress.WAITING, detail="not seen yet", look_again_s=wait_s)
                detail = (
                    f"{test} is not on {self._channel}: somebody reset or cleared it at the tester. {RESTING}."
                    " Ask who did, and export its data there"
                )
                return Observation(progress=Progress.FAILED, detail=detail)
            case Standing.RUNNING:
                return self._look_at_running(order, task, test, status)

    def _look_at_finished(self, status: ChannelStatus) -> Observation:
        ends, reached = self._tester.end_reached(self._channel)
        if reached <= _NORMAL_END:
            return Observation(progress=Progress.DONE, detail=status.words, fraction=1.0)
        guard = GUARDS[reached - 2] if reached - 2 < len(GUARDS) else "unknown"
        detail = f"a guard ended it ({guard}; End {reached} of {ends}): {status.words}"
        return Observation(progress=Progress.HALTED, detail=detail)

    def _look_at_running(self, order: Order, task: CycleCell, test: str, status: ChannelStatus) -> Observation:
        fraction = min(0.999, status.test_s / task.duration_s) if task.duration_s > 0.0 else None
        person = ""
        if (watch := self._watches.get(test)) is None:
            watch = self._watches[test] = CycleWatch(task)
        if status.stat is Stat.SUSPENDED:
            watch.told()
            if order.token in self._stopped:
                return Observation(progress=Progress.HALTED, detail=f"suspended by labctl: {status.words}")
            guard = guard_of(task, status.step)
            why = self._paused_because.get(test) or (f"guard: {guard}" if guard else "by an operator or by the tester")
            person = (
                f"{test} stands suspended on {self._channel} ({why}). {AILING if guard else RESTING}."
                " Look at the cell, then resume or end it there"
            )
        elif status.stat is Stat.POWER_FAIL:
            person = (
                f"the tester lost power during {test}. {RESTING}. Look at the cell, then resume there (Advanced Start)"
            )
        else:
            why = watch.update(status)
            if why:
                self._paused_because[test] = why
                self._suspend(test)
                watch.told()  # not before: a suspension that got lost is tried again at the next look
                person = f"{test} was paused: {why}. {AILING}. Look at the cell, then resume or end it at the tester"
        stands = status.stat in (Stat.SUSPENDED, Stat.POWER_FAIL)
        return Observation(
            progress=Progress.RUNNING,
            detail=status.words,
            fraction=fraction,
            data_growing=status.stat in RUNS,
            needs_person=person,
            parts=min(status.cycle + stands, task.cycles),  # what a cycle has until somebody comes is a part too
        )

    def readings(self) -> tuple[Reading, ...]:
        status = self._tester.status(self._channel)
        at_s = self._clock.now_s()
        found = {
            "voltage_V": status.voltage_V,
            "current_A": status.current_A,
            "capacity_Ah": status.capacity_Ah,
            "energy_Wh": status.energy_Wh,
            "cycle": float(status.cycle),
            "step": float(status.step),
            "test_s": status.test_s,
        }
        if status.tester_time is not None:  # local time without a zone: only its distance to ours is worth keeping
            found["tester_clock_ahead_s"] = status.tester_time.replace(tzinfo=UTC).timestamp() - at_s
        if self._stands_too_long(status):
            found[f"{FAULT}test_suspended"] = 1.0
        return tuple(Reading(quantity=name, value=value, at_s=at_s) for name, value in found.items())

    def _stands_too_long(self, status: ChannelStatus) -> bool:
        """Whether a suspended test has waited for a person for longer than anybody will wait for one."""
        if status.stat not in (Stat.SUSPENDED, Stat.POWER_FAIL):
            self._stands_since_s = None
            return False
        now_s = self._clock.monotonic_s()
        if self._stands_since_s is None:
            self._stands_since_s = now_s
        return now_s - self._stands_since_s >= self._settings.suspended_give_up_s

    # ---------------------------------------------------------------------------------------- collecting

    def collect(self, order: Order, into: Path) -> Collected:
        task, test = self._task(order), self._test_name(order)
        status, standing = self._standing(test)
        sources = exports(self._link.export_dir, test, self._channel)
        if not sources:
            raise InstrumentSilent(
                f"no export of {test} in {self._link.export_dir}",
                instrument=self._station,
                expected=f"{test}{self._channel.suffix} as text",
                next_step="Export the test with the tester's export program; it is looked for again",
            )
        folder = into / test
        names = []
        for source in sources:
            try:
                data = source.read_bytes()
            except OSError as problem:
                raise InstrumentError(
                    f"{source} cannot be read: {problem.strerror or problem}", instrument=self._station
                ) from None
            put(folder / source.name, data, station=self._station)
            names.append(source.name)
        about = self._about(task)
        put(folder / "cell.json", cell_card(about), station=self._station)
        names.append("cell.json")
        reached = self._tester.end_reached(self._channel)[1] if standing is Standing.FINISHED else 0
        names += self._copy_procedure(folder)
        now_s = self._clock.now_s()
        complete = standing is Standing.FINISHED and reached <= _NORMAL_END
        return Collected(
            files=tuple(f"{test}/{name}" for name in names),
            completeness="complete" if complete else "partial",
            started_s=now_s - status.test_s,
            ended_s=now_s,
            settings={
                "test_name": test,
                "channel": self._channel.number,
                "end_reached": reached,
                "cycles": task.cycles,
                "cycles_done": status.cycle,
                **about,
            },
            remarks=(
                *(() if complete else (f"the test did not come to its normal end: {status.words}",)),
                *by_hand(folder / source.name for source in sources),
            ),
        )

    def collect_part(self, order: Order, part: int, after: int, into: Path) -> Collected:
        """Bring in the rows that the export has gained since part `after`; see `put_piece`."""
        task, test = self._task(order), self._test_name(order)
        status, standing = self._standing(test)
        if standing is not Standing.RUNNING:
            raise InstrumentError(f"{test} does not run: {status.words}", instrument=self._station)
        source = the_text_export(exports(self._link.export_dir, test, self._channel))
        if source is None:
            raise InstrumentError(
                f"no export of {test} in {self._link.export_dir}",
                instrument=self._station,
                expected=f"{test}{self._channel.suffix} as text, added to while the test goes on",
                next_step="It is looked for again; the whole is brought in at the end",
            )
        path, first = put_piece(
            source, into / test / PARTS, part=part, after=after, station=self._station, remembered=self._pieces
        )
        now_s = self._clock.now_s()
        return Collected(
            files=(f"{test}/{PARTS}/{path.name}",),
            completeness="partial",
            started_s=now_s - status.test_s,
            ended_s=now_s,
            settings={
                "test_name": test,
                "channel": self._channel.number,
                "cycles": task.cycles,
                "cycles_done": status.cycle,
                **self._about(task),
            },
            part_from=first,
        )

    def _about(self, task: CycleCell) -> dict[str, float | int | str]:
        """What analysis must know of the cell, with the range that its charges run on."""
        ranges_A = self._tester.capability(self._channel).ranges_A
        span = ChannelSpan(voltage_min_V=-math.inf, voltage_max_V=math.inf, ranges_A=ranges_A)
        number = self._settings.current_range or finest(task.current_A, span)
        full_scale_A = ranges_A[number - 1] if number <= len(ranges_A) else None
        return about_cell(task, full_scale_A=full_scale_A, accuracy=self._settings.current_accuracy)

    def _copy_procedure(self, folder: Path) -> list[str]:
        """Copy the procedure that the channel ran, by the name the tester gives for it."""
        name = f"{self._tester.procedure_name(self._channel)}.000"
        source = self._link.procedures_dir / name
        if not codec.is_file_name(name) or not source.is_file():
            return []
        put(folder / name, source.read_bytes(), station=self._station)
        return [name]

    # ------------------------------------------------------------------------------------------- stopping

    def stop(self, order: Order, reason: str) -> None:
        """Suspend the test: open circuit, its data kept. A person resumes it, or ends it, at the tester."""
        test = self._test_name(order)
        self._suspend(test)
        self._paused_because[test] = reason
        self._stopped.add(order.token)

    def resume(self, order: Order) -> None:
        """Resume a suspended test; for a person who has looked at the cell.

        Raises
        ------
        InstrumentError
            Name or state do not match, or the tester would not.
        """
        test = self._test_name(order)
        status = self._tester.status(self._channel)
        if self._tester.test_name(self._channel) != test or status.stat is not Stat.SUSPENDED:
            raise InstrumentError(
                f"{test} does not stand suspended on {self._channel}: {status.words}", instrument=self._station
            )
        self._insist(self._tester.resume(self._channel), "(6,4)", f"resume {test}")
        self._stopped.discard(order.token)
        self._paused_because.pop(test, None)

    def _suspend(self, test: str) -> None:
        """Suspend only what matches in channel, name and state; anything else is left as it is."""
        status = self._tester.status(self._channel)
        if status.stat in RUNS and self._tester.test_name(self._channel) == test:
            self._insist(self._tester.suspend(self._channel), "(6,3)", f"suspend {test}")

    def _seen_status(self) -> ChannelStatus:
        """The channel's state; a tester that shows another word for all channels hides a test that goes on."""
        status = self._tester.status(self._channel)
        if status.stat in _DOWN:
            raise InstrumentSilent(f"the tester is down: {status.words}", instrument=self._station)
        return status

    def make_safe(self, reason: str) -> None:
        status = self._seen_status()
        name = self._tester.test_name(self._channel)
        if status.stat in RUNS and codec.is_ours(name):
            self._paused_because[name] = reason
            self._insist(self._tester.suspend(self._channel), "(6,3)", f"suspend {name}")

    def is_safe(self) -> bool:
        status = self._seen_status()
        return status.stat not in RUNS or not codec.is_ours(self._tester.test_name(self._channel))

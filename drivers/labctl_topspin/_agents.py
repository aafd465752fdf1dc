"""The two AU programs on the console: installing, configuring, finding and hearing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from labctl.clock import Clock
from labctl.errors import InstrumentError
from labctl_topspin._codec import Heartbeat, Record, Value, integer, number, safe_path
from labctl_topspin._evidence import DatasetView, look_at
from labctl_topspin._job import JobFolder, Step
from labctl_topspin._link import Link
from labctl_topspin._settings import Settings

PROGRAMS = ("labctl_guard", "labctl_executor")
GUARD_VERSION = "labctl_guard 1"

SAFE_SETPOINT_K = 298.15
SAFE_RAMP_K_PER_MIN = 2.0

TRANSFER_S = 300.0
"""How late the audit trail or the last rows may come after the acquisition ended."""

LOG_S = 10
"""Between two lines of the guard's log."""

CLOCK_JUMP_S = 45.0
"""The console's clock was set, when it moves by more than this against ours between two heartbeats."""

_POLLING_REPORT_S = 60.0
_MISSED_REPORTS = 5


@dataclass(slots=True)
class Seen:
    """Something that changes, and when this computer noticed its last change (monotonic)."""

    what: object
    since_s: float


class Agents:
    """What the driver knows of executor and guard. All of it is read from files."""

    def __init__(
        self,
        *,
        station: str,
        settings: Settings,
        limits: Mapping[str, float],
        clock: Clock,
        link: Link,
        job: JobFolder,
    ) -> None:
        self._station = station
        self._settings = settings
        self._limits = limits
        self._clock = clock
        self._link = link
        self._job = job
        self._beat: Seen | None = None
        self._offset_s: float | None = None
        self._known: dict[tuple[int, str, float], Seen] = {}
        self.jumped_s = 0.0
        """By how much the console's clock has been set since this driver hears it; records before that are of the old
        time."""
        self._data = safe_path(
            settings.console_data_dir or link.data_dir.as_posix(), "the data folder", any_letter=link.simulated
        )
        self.folder = safe_path(
            settings.console_job_dir or link.job_dir.as_posix(), "the job folder", any_letter=link.simulated
        )

    # ------------------------------------------------------------------------------------- bringing them up

    def install(self) -> None:
        """Put the AU sources where TopSpin compiles them from, when absent or different."""
        for name in PROGRAMS:
            source = resources.files("labctl_topspin").joinpath("au", f"{name}.c").read_text(encoding="utf-8")
            target = self._link.au_dir / name
            try:
                if target.is_file() and target.read_text(encoding="utf-8") == source:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                unfinished = target.with_name(f"{name}.part")  # TopSpin may compile it at any moment: all or nothing
                unfinished.write_text(source, encoding="utf-8", newline="\n")
                unfinished.replace(target)
            except OSError as problem:
                raise InstrumentError(
                    f"the AU program {target} cannot be installed ({problem.strerror or problem})",
                    instrument=self._station,
                    next_step="Give labctl the right to write to the user AU folder, or copy the file there",
                ) from None

    def configuration(self, epoch: int) -> dict[str, Value]:
        """Return what stands in ``guard.cfg``: limits, intervals, names, and where to go on reading."""
        settings, limits = self._settings, self._limits
        ramp_max_K_per_min = limits["ramp_max_K_per_s"] * 60.0
        return {
            "epoch": epoch,
            "poll_s": settings.guard_poll_s,
            "ramp_poll_s": settings.ramp_poll_s,
            "lease_s": settings.lease_s,
            "log_s": LOG_S,
            "blind_s": round(settings.safe_after_s),
            "sensor_min_K": float(limits["sensor_min_K"]),
            "sensor_max_K": float(limits["sensor_max_K"]),
            "heater_max_percent": float(limits["heater_max_percent"]),
            "gas_min_L_per_h": float(limits["gas_min_L_per_h"]),
            "ramp_max_K_per_min": ramp_max_K_per_min * (1.0 + 1e-9),  # K/s to K/min and back is not exact
            "spinning_min_Hz": float(settings.spinning_min_Hz),
            "spinning_tolerance_Hz": float(limits["spinning_tolerance_Hz"]),
            "safe_setpoint_K": SAFE_SETPOINT_K,
            "safe_ramp_K_per_min": min(SAFE_RAMP_K_PER_MIN, ramp_max_K_per_min),
            "data_dir": self._data,
            "guard_dataset": f"{settings.dataset}-guard",
            "executor_dataset": f"{settings.dataset}-executor",
            "template_dataset": settings.template_dataset,
            "template_expno": settings.templates.get("one_pulse", 1),
            "heater_parameter": settings.heater_parameter,
            "gas_readback": settings.gas_readback,
            "spinning_readback": settings.spinning_readback,
            "halt_command": settings.halt_command,
            "heat_is_ours": int(self._job.heat_is_ours()),
            "expected_spinning_Hz": self._job.expected_spinning_Hz(),
            "step_next": self._job.first_open_step(),
            "control_next": self._job.next_control(),
            "lease_next": self._job.next_lease(),
        }

    def find(self) -> None:
        """Start the agents that are not there, and re-arm a guard that tripped.

        Raises
        ------
        InstrumentError
            On a real console a person has to type that; the message says what. Also: another labctl's agents run,
            or the two computers' clocks disagree.
        """
        beat = self.beat()
        now_s = self._clock.now_s()
        commands = []
        guarded = beat is not None and now_s - beat.time_s <= self.fresh_s
        if beat is None or not guarded:
            commands.append(f"xau labctl_guard {self.folder}")
        elif beat.program != GUARD_VERSION:
            raise InstrumentError(
                f"the guard on the console is {beat.program!r} of another labctl",
                instrument=self._station,
                expected=GUARD_VERSION,
                next_step="Let it end its campaign, or end both AU programs with the TopSpin command kill",
            )
        elif beat.time_s - now_s > self.fresh_s:
            raise InstrumentError(
                f"the console's clock is {beat.time_s - now_s:.0f} s ahead of this computer's",
                instrument=self._station,
                next_step="Set both by a time server",
            )
        elif beat.state == "safe" and beat.needs_person:
            commands.append(f"xau labctl_guard {self.folder} rearm")
        if not self._executor_is_there(guarded=guarded):
            commands.append(f"xau labctl_executor {self.folder}")
        refused: list[InstrumentError] = []
        for command in commands:
            try:
                self._link.launch(command)
            except InstrumentError as error:
                refused.append(error)
        if refused:
            raise InstrumentError(
                "; ".join(error.what for error in refused),
                instrument=self._station,
                next_step=". ".join(error.next_step for error in refused),
            )

    def start_guard(self) -> None:
        """Have the guard started, whoever may be there to do it. Raises as `find`."""
        self._link.launch(f"xau labctl_guard {self.folder}")

    # -------------------------------------------------------------------------------------------- hearing

    @property
    def poll_s(self) -> float:
        """Between two heartbeats [s]."""
        return float(self._settings.guard_poll_s)

    @property
    def fresh_s(self) -> float:
        """A heartbeat older than this means that nobody is there [s]."""
        return max(self._settings.alarm_s, 4.0 * self._settings.guard_poll_s)

    def beat(self) -> Heartbeat | None:
        """Return the guard's newest heartbeat."""
        beat = self._job.heartbeat()
        what = beat.seq if beat is not None else -1
        if self._beat is None or self._beat.what != what:
            known = self._beat is not None  # the first one found may be of yesterday
            if beat is not None and (known or abs(beat.time_s - self._clock.now_s()) <= self.fresh_s):
                self._mind_clock(beat.time_s - self._clock.monotonic_s())
            self._beat = Seen(what, self._clock.monotonic_s())
        return beat

    def _mind_clock(self, offset_s: float) -> None:
        if self._offset_s is not None and abs(offset_s - self._offset_s) > CLOCK_JUMP_S:
            self.jumped_s += offset_s - self._offset_s
            for (_, _, time_s), seen in self._known.items():  # written after the jump, and seen before it showed?
                if abs(time_s - seen.since_s - offset_s) < abs(time_s - seen.since_s - self._offset_s):
                    seen.what = self.jumped_s
        self._offset_s = offset_s

    def silent_s(self) -> float:
        """How long no new heartbeat has come, by this computer's monotonic clock [s]."""
        self.beat()
        return self._clock.monotonic_s() - self._beat.since_s if self._beat is not None else 0.0

    def console_now_s(self) -> float:
        """Wall time of the console as far as known: all records carry its clock, not this computer's."""
        beat = self._job.heartbeat()
        return beat.time_s + self.silent_s() if beat is not None else self._clock.now_s()

    def age_s(self, record: Record) -> float:
        """How long ago the console wrote a record [s], though its clock may have been set since."""
        key = (record.seq, record.phase, record.time_s)
        seen = self._known.setdefault(key, Seen(self.jumped_s, self._clock.monotonic_s()))
        assert isinstance(seen.what, float)
        return self.console_now_s() - record.time_s - (self.jumped_s - seen.what)

    def _executor_is_there(self, *, guarded: bool) -> bool:
        """Idle executors say so; one that is inside a step is believed while its step looks alive.

        Without a guard it is not: both die together when TopSpin is restarted, and a second executor does no harm
        (the older one ends when it comes out of its step, and the step is adopted by its data).
        """
        open_step = self._job.open_step()
        if open_step is not None:
            return guarded and not self.is_lost(open_step)
        idle_s = self._job.executor_beat_s()
        return idle_s is not None and self._clock.now_s() - idle_s <= max(120.0, self.fresh_s)

    def busy_step(self) -> Step | None:
        """Return the step that an executor is at, None if it is at none."""
        step = self._job.open_step()
        return None if step is None or self.is_lost(step) else step

    def is_lost(self, step: Step) -> bool:
        """Whether the executor that began a step will never end it."""
        records = self._job.records(step.seq)
        if not records or records[-1].last:
            return False
        last = records[-1]
        if last.executor < self._job.executor_instance():
            return True
        action = step.pairs.get("action", "")
        if action == "acquire" and last.phase == "acquiring":  # deaf, for as long as it takes
            view = self.dataset_of(step)
            ended_s = view.audit.ended_s if view.audit is not None and view.ended and view.whole else None
            return ended_s is not None and self.console_now_s() - ended_s > TRANSFER_S
        patience_s = _MISSED_REPORTS * _POLLING_REPORT_S
        if action in {"check_spinning", "tune"}:  # these report nothing in between
            patience_s += number(step.pairs, "give_up_s") or 0.0
        return self.age_s(last) > patience_s

    def dataset_of(self, step: Step) -> DatasetView:
        """Return the EXPNO that an acquisition step names, as it stands on disk."""
        return look_at(
            self._link.data_dir / step.pairs.get("dataset", "") / str(integer(step.pairs, "expno")),
        )

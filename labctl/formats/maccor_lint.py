"""What is wrong with a Maccor procedure before a cell sees it, and how many cycles and hours it takes. Pure.

Ends of a step are tested together and the first to fire decides what follows. The *nominal* path takes the first end
that stands in each step; every other end is a guard. `Loop n` with ``Loop Cnt = N`` runs its body N times in all and
then goes on; until then it falls back behind `Do n`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.errors import Finding, Severity
from labctl.formats.maccor_procedure import End, Procedure, ProcedureStep, amount, is_multiple, seconds

LOOP_MAX = 32767
"""The tester counts loops in 16 bits with sign (a real export shows 65501)."""
_CONTROL = ("AdvCycle", "End", "Pause")
_WALK_STEPS = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpan:
    """What a channel can do: voltages it may be set to, and full scale of its current ranges 1 to 4 [A]."""

    voltage_min_V: float
    voltage_max_V: float
    ranges_A: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """The nominal path of a procedure.

    Attributes
    ----------
    cycles : int
        How often the cycle number is advanced.
    charges_Ah : tuple of float
        Capacity ends of the charges in order, loops unrolled.
    charge_s : float
        Time they take at their currents [s].
    nominal_s : float
        Whole time [s], when each discharge gives back what the charge before it took.
    at_most_s : float or None
        Whole time if every step ran to its time end [s]; None if one has none.
    ends : bool
        The nominal path comes to an End step.
    """

    cycles: int
    charges_Ah: tuple[float, ...]
    charge_s: float
    nominal_s: float
    at_most_s: float | None
    ends: bool


def electrical(step: ProcedureStep) -> bool:
    """Whether current flows in a step."""
    return step.kind in {"Charge", "Dischrge", "Chg Func", "Dis Func", "FastWave", "FRA"}


def loop_number(step: ProcedureStep, word: str) -> int | None:
    """Return n of ``Do n`` or ``Loop n``, None for any other step."""
    parts = step.kind.split()
    return int(parts[1]) if len(parts) == 2 and parts[0] == word and parts[1].isdigit() else None


# --------------------------------------------------------------------------------------------- reckoning


def reckon(procedure: Procedure, *, crate_Ah: float | None = None) -> Reckoning:
    """Return cycles and hours of the nominal path; steps whose duration is not said count nothing.

    Parameters
    ----------
    crate_Ah : float or None
        The C-rate number of the start, where values are multiples of it.
    """
    cycles, charge_s, nominal_s, ended = 0, 0.0, 0.0, False
    at_most_s: float | None = 0.0
    charges: list[float] = []
    held_Ah = 0.0
    flows = [_flow(step, crate_Ah) for step in procedure.steps]  # read once: a loop passes here a million times
    for number in _walk(procedure):
        flow = flows[number - 1]
        cycles += flow.kind == "AdvCycle"
        ended = flow.kind == "End"
        if not flow.lasts:
            continue
        moved_Ah = held_Ah if flow.moved_Ah is None else flow.moved_Ah
        duration_s = 3600.0 * moved_Ah / flow.current_A if flow.duration_s is None else flow.duration_s
        nominal_s += duration_s
        if flow.to_capacity:
            charges.append(moved_Ah)
            charge_s += duration_s
        held_Ah = moved_Ah if flow.kind == "Charge" else 0.0 if flow.kind == "Dischrge" else held_Ah
        at_most_s = None if at_most_s is None or flow.longest_s is None else at_most_s + flow.longest_s
    return Reckoning(
        cycles=cycles,
        charges_Ah=tuple(charges),
        charge_s=charge_s,
        nominal_s=nominal_s,
        at_most_s=at_most_s,
        ends=ended,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flow:
    """What one step does on the nominal path; `moved_Ah` None: what the charge before it took."""

    kind: str
    lasts: bool
    to_capacity: bool
    current_A: float
    moved_Ah: float | None
    duration_s: float | None
    longest_s: float | None


def _flow(step: ProcedureStep, crate_Ah: float | None) -> _Flow:
    first = step.ends[0] if step.ends else None
    current_A = (amount(step.value, crate_Ah) or 0.0) if step.mode.strip() == "Current" else 0.0
    moved_Ah: float | None = 0.0
    duration_s: float | None = 0.0
    if first is not None and first.kind == "StepTime":
        duration_s = seconds(first.value) or 0.0
        moved_Ah = duration_s * current_A / 3600.0
    elif first is not None and current_A > 0.0:
        moved_Ah = (amount(first.value, crate_Ah) or 0.0) if first.kind == "Amp Hour" else None
        duration_s = None
    return _Flow(
        kind=step.kind,
        lasts=step.kind == "Rest" or electrical(step),
        to_capacity=step.kind == "Charge" and first is not None and first.kind == "Amp Hour",
        current_A=current_A,
        moved_Ah=moved_Ah,
        duration_s=duration_s,
        longest_s=_time_end_s(step),
    )


def _time_end_s(step: ProcedureStep) -> float | None:
    found = [seconds(end.value) for end in step.ends if end.kind == "StepTime"]
    times = [time_s for time_s in found if time_s is not None]
    return min(times) if times else None


def _walk(procedure: Procedure) -> Iterator[int]:
    """Yield the numbers of the nominal path's steps, loops unrolled; stops where it leads nowhere or never ends."""
    steps = procedure.steps
    nexts = [number if (end := _first_target(step)) is None else end for number, step in enumerate(steps, start=2)]
    loops: dict[int, tuple[int, int] | None] = {}
    for at, step in enumerate(steps, start=1):
        if (loop := loop_number(step, "Loop")) is not None:
            count, begin = loop_count(step), _do_of(procedure, at, loop)
            loops[at] = None if count is None or begin is None else (count, begin)
    ends = {at for at, step in enumerate(steps, start=1) if step.kind == "End"}
    passes = dict.fromkeys(loops, 0)
    been: set[tuple[int, ...]] = set()
    number, before = 1, 0
    for _ in range(_WALK_STEPS):
        if not 1 <= number <= len(steps):
            return
        if number <= before:  # gone back: to where it has been with the same counts is for ever
            state = (number, *passes.values())
            if state in been:
                return
            been.add(state)
        before = number
        yield number
        if number in ends:
            return
        if number in loops:
            here = loops[number]
            if here is None:
                return
            passes[number] += 1
            if passes[number] < here[0]:
                number = here[1] + 1
                continue
            passes[number] = 0
        number = nexts[number - 1]


def _first_target(step: ProcedureStep) -> int | None:
    return step.ends[0].target if step.ends else None


def loop_count(step: ProcedureStep) -> int | None:
    """Return N of a Loop step's ``Loop Cnt = N``, None if it has none."""
    for end in step.ends:
        if end.kind == "Loop Cnt" and end.value.strip().isdigit():
            return int(end.value)
    return None


def _do_of(procedure: Procedure, at: int, loop: int) -> int | None:
    for number in range(at - 1, 0, -1):
        if loop_number(procedure.step(number), "Do") == loop:
            return number
    return None


# ------------------------------------------------------------------------------------------------ lint


def lint(
    procedure: Procedure, *, file: str, channel: ChannelSpan | None = None, crate_Ah: float | None = None
) -> tuple[Finding, ...]:
    """Return what is wrong (errors) or doubtful (warnings) with a procedure, step by step.

    Parameters
    ----------
    channel : ChannelSpan or None
        What the channel can do; None: not compared.
    crate_Ah : float or None
        The C-rate number it will be started with; multiples of it cannot be judged without.
    """
    return tuple(_Linter(procedure, file, channel, crate_Ah).findings())


class _Linter:
    def __init__(self, procedure: Procedure, file: str, channel: ChannelSpan | None, crate_Ah: float | None) -> None:
        self._procedure = procedure
        self._file = file
        self._channel = channel
        self._crate_Ah = crate_Ah
        self._found: list[Finding] = []

    def findings(self) -> list[Finding]:
        for number, step in enumerate(self._procedure.steps, start=1):
            self._leaving(number, step)
            for end in step.ends:
                self._end(number, end)
            if electrical(step):
                self._current(number, step)
                self._guards(number, step)
        self._loops()
        self._reach()
        reckoning = reckon(self._procedure, crate_Ah=self._crate_Ah)
        if not reckoning.ends:
            self._say(0, "the nominal path never comes to an End step", "", "follow the first end of each step")
        if len(reckoning.charges_Ah) > 1 and not reckoning.cycles:
            self._say(
                0, "charges more than once and never advances the cycle number", "", "an AdvCycle step", "warning"
            )
        return self._found

    def _say(self, step: int, what: str, value: str, expected: str, severity: Severity = "error") -> None:
        self._found.append(
            Finding(
                file=self._file,
                key_path=f"step {step} ({self._procedure.step(step).kind})" if step else "",
                what=what,
                value=value,
                expected=expected,
                severity=severity,
            )
        )

    def _leaving(self, number: int, step: ProcedureStep) -> None:
        """Every step is left by an end or by falling through to a next one."""
        last = number == len(self._procedure.steps)
        if step.kind == "End":
            return
        if step.kind == "Rest" or electrical(step):
            if not step.ends:
                self._say(number, "never ends", "", "at least one end")
        elif last:
            self._say(number, "is the last step and is no End", "", "an End step behind it")

    def _end(self, number: int, end: End) -> None:
        count = len(self._procedure.steps)
        if end.target is None or not 1 <= end.target <= count:
            self._say(number, "goes to a step that does not exist", end.step.strip(), f"001 to {count:03d}")
        elif end.target == number:
            self._say(number, "goes to itself", end.step.strip(), "another step", "warning")
        match end.kind:
            case "StepTime":
                time_s = seconds(end.value)
                if time_s is None or time_s < 0.01:
                    self._say(number, "has a time end that is no time", repr(end.value), "such as 00:05:00")
                elif time_s > 3600.0 * 3600.0:
                    self._say(number, "has a time end beyond 3600 h", end.value, "at most 3600::")
            case "Loop Cnt":
                pass
            case _:
                value = amount(end.value, self._crate_Ah)
                if value is None and not (self._crate_Ah is None and is_multiple(end.value)):
                    self._say(number, f"has a {end.kind} end without a number", repr(end.value), "such as 0.5 or 0.5C")
                elif end.kind == "Voltage" and value is not None:
                    self._voltage(number, value)

    def _voltage(self, number: int, volts: float) -> None:
        if self._channel is not None and not self._channel.voltage_min_V <= volts <= self._channel.voltage_max_V:
            span = f"{self._channel.voltage_min_V:g} to {self._channel.voltage_max_V:g} V"
            self._say(number, "wants a voltage the channel does not have", f"{volts:g} V", span)

    def _current(self, number: int, step: ProcedureStep) -> None:
        if step.mode.strip() != "Current":
            return
        if (needs := is_multiple(step.value)) and self._crate_Ah is None:
            return
        current_A = amount(step.value, self._crate_Ah)
        if current_A is None or current_A <= 0.0:
            if step.kind in {"Charge", "Dischrge"}:
                expected = "a C-rate number at the start" if needs else "amperes, or a multiple such as 0.1C"
                self._say(number, "has no usable current", repr(step.value), expected)
            return
        if self._channel is None:
            return
        ranges = self._channel.ranges_A
        chosen = step.current_range.strip()
        full_A = ranges[int(chosen) - 1] if chosen in {"1", "2", "3", "4"} and len(ranges) == 4 else max(ranges)
        if current_A > full_A * (1.0 + 1e-9):
            where = (
                f"range {chosen} ends at {full_A:g} A" if chosen in {"1", "2", "3", "4"} else f"at most {full_A:g} A"
            )
            self._say(number, "wants more current than its range has", f"{current_A:g} A", where)
        elif full_A > 0.0 and current_A < 0.01 * full_A and chosen in {"2", "3", "4"}:
            self._say(number, "uses less than 1 % of its range", f"{current_A:g} A of {full_A:g} A", "", "warning")

    def _guards(self, number: int, step: ProcedureStep) -> None:
        """A charge must not go on for ever, nor hide behind its capacity that it ended otherwise."""
        if step.kind not in {"Charge", "Dischrge"}:
            return
        kinds = {(end.kind, end.oper.strip()) for end in step.ends}
        limited = {name for name, _ in step.limits} | ({"Voltage"} if step.mode.strip() == "Voltage" else set())
        if step.kind == "Charge":
            if ("Voltage", ">=") not in kinds and "Voltage" not in limited:
                self._say(number, "charges without an upper voltage", "", "a Voltage >= end or limit")
            if ("Voltage", "<=") not in kinds:
                what = "would charge a shorted cell: no lower voltage ends it"
                self._say(number, what, "", "a Voltage <= end", "warning")
        elif ("Voltage", "<=") not in kinds and "Voltage" not in limited:
            self._say(number, "discharges without a lower voltage", "", "a Voltage <= end or limit")
        if not any(kind == "StepTime" for kind, _ in kinds):
            self._say(number, "has no time end", "", "a StepTime end", "warning")
        if len(step.ends) > 1 and step.ends[0].kind == "Amp Hour":
            same = [end.kind for end in step.ends[1:] if end.target == step.ends[0].target]
            if same:
                what = "goes on alike whether its capacity was reached or a guard ended it"
                self._say(number, what, ", ".join(same), "guards that go to another step")

    def _loops(self) -> None:
        open_loops: list[tuple[int, int]] = []
        for number, step in enumerate(self._procedure.steps, start=1):
            if (loop := loop_number(step, "Do")) is not None:
                if any(loop == other for other, _ in open_loops):
                    self._say(number, "opens a loop that is open already", step.kind, "another number")
                open_loops.append((loop, number))
            elif (loop := loop_number(step, "Loop")) is not None:
                if not open_loops or open_loops[-1][0] != loop:
                    self._say(number, "closes a loop that is not the innermost open one", step.kind, f"Do {loop}")
                    open_loops = [entry for entry in open_loops if entry[0] != loop]
                else:
                    open_loops.pop()
                count = loop_count(step)
                if count is None:
                    self._say(number, "does not say how often", "", "an end Loop Cnt")
                elif not 1 <= count <= LOOP_MAX:
                    self._say(number, "counts further than the tester does", str(count), f"1 to {LOOP_MAX}")
        for loop, number in open_loops:
            self._say(number, "opens a loop that nothing closes", "", f"Loop {loop}")

    def _reach(self) -> None:
        steps = self._procedure.steps
        seen: set[int] = set()
        todo = [1]
        while todo:
            number = todo.pop()
            if number in seen or not 1 <= number <= len(steps):
                continue
            seen.add(number)
            step = steps[number - 1]
            if step.kind == "End":
                continue
            todo += [end.target for end in step.ends if end.target is not None]
            if not step.ends or step.kind in _CONTROL or loop_number(step, "Loop") is not None:
                todo.append(number + 1)
        for number in sorted(set(range(1, len(steps) + 1)) - seen):
            self._say(number, "is never reached", "", "an end that goes there", "warning")
        if not any(steps[number - 1].kind == "End" for number in seen):
            self._say(0, "no End step can be reached", "", "an End step")

"""How a test goes on: the steps of a procedure on a cell, event by event.

Within a step the current is constant, or, while a voltage is held, constant for a few seconds; the cell then has a
closed form, so that time jumps from record to record and to the very tick (10 ms) at which a step ends. Where a
stretch begins never depends on when somebody looked, so a lab that was killed and taken up writes the same records.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

from labctl_sim_maccor._codes import Doing, Stat, Why
from labctl_sim_maccor._ends import FAR_TICKS, due, reached
from labctl_sim_maccor._procedure import End, Procedure, Reports, Step, TICK_s
from labctl_sim_maccor._progress import Limits, Moment, Test
from labctl_sim_maccor._records import Record
from labctl_sim_maccor._settings import Settings
from labctl_sim_maccor._stretch import sudden_at
from labctl_sim_sample import CellSample, CellState

_STRIDE_TICKS = 60_000  # the longest stretch that is searched for an event at once, and of one chord of the energy
_HOLDING_TICKS = 500  # a voltage is held by a current that is set anew this often
_MOST_JUMPS = 1000
DOING = {"rest": Doing.REST, "charge": Doing.CHARGE, "discharge": Doing.DISCHARGE}
_LETTER = {"rest": "R", "charge": "C", "discharge": "D"}


class Runner:
    """A test on the cell of one channel; `index` counts from 0, as on the wire.

    Parameters
    ----------
    keep : callable
        Takes the index and a record, as records are made.
    """

    def __init__(
        self, index: int, sample: CellSample, settings: Settings, seed: int, born_s: float,
        keep: Callable[[int, Record], None],
    ) -> None:  # fmt: skip
        self.index = index
        self.stat = Stat.AVAILABLE
        self.doing: int = Doing.AVAILABLE
        self.why: int = Why.STEP_BEGAN
        self.cell = sample.fresh()
        self.cell_s = born_s
        """When `cell` was so, while no test runs."""
        self.limits = Limits(
            VSafeMax=settings.most_V, VSafeMin=-settings.most_V, ISafeChg=settings.most_A, ISafeDis=settings.most_A
        )
        self.test: Test | None = None
        self.procedure: Procedure | None = None
        self._sample = sample
        self._settings = settings
        self._seed = seed
        self._keep = keep
        self._foreseen: tuple[tuple[int, int, bool, float], int] | None = None
        self._known: tuple[CellState, float, Callable[[float], float]] | None = None
        self._begun_V = 0.0

    def change_cell(self, sample: CellSample, at_s: float) -> None:
        """Hold a fresh cell in the place of the one before; a cell under test stays."""
        if self.stat != Stat.ACTIVE:
            self._sample, self.cell, self.cell_s = sample, sample.fresh(), at_s

    # ------------------------------------------------------------------------------------------- time

    def advance(self, to_s: float) -> None:
        """Live until `to_s`."""
        test = self.test
        if test is None:
            return
        if self.stat == Stat.STARTING and to_s >= test.base_s:
            self.stat = Stat.ACTIVE
            self._rest_until(test.base_s)
            self._enter(1)
        while self.stat == Stat.ACTIVE and self._on(self._ticks_at(to_s)):
            pass

    def next_event_s(self) -> float | None:
        """Return when the running step ends by itself; None if nothing runs."""
        test = self.test
        if test is None or self.stat not in {Stat.ACTIVE, Stat.STARTING}:
            return None
        if self.stat == Stat.STARTING:
            return test.base_s
        key = (test.step, test.step_began, test.holding, test.current_A)
        if self._foreseen is None or self._foreseen[0] != key or self._foreseen[1] <= test.anchor:
            self._foreseen = (key, self._foresee())
        return test.base_s + (self._foreseen[1] - test.base_ticks) * TICK_s

    def _foresee(self) -> int:
        test = self._tested()
        if test.holding or test.direct:
            return test.anchor + _STRIDE_TICKS
        last = self._due()
        last = min(last, test.anchor + 360_000_000)
        at_last = self._at(last)
        if self._ended(at_last) is None and not self._must_hold(at_last):
            return last

        def over(ticks: int) -> bool:
            moment = self._at(ticks)
            return self._ended(moment) is not None or self._tripped(moment) or self._must_hold(moment)

        return self._first(test.anchor, last, self._swift(Reports()) or over)

    def _on(self, until: int) -> bool:
        """Go to the next event, not beyond `until`; False if there is none before."""
        test = self._tested()
        horizon = test.anchor + (_HOLDING_TICKS if test.holding else _STRIDE_TICKS)
        if not test.begun:
            horizon = min(horizon, max(test.anchor + 1, test.step_began + 1))
        step = self._step()
        if step.reports.every_ticks is not None:
            horizon = min(horizon, max(test.anchor + 1, test.reported_ticks + step.reports.every_ticks))
        horizon = min(horizon, max(test.anchor + 1, self._due()))
        last = min(horizon, until)
        if last <= test.anchor:
            return False
        moment = self._at(last)
        if self._sudden(moment):
            if last > test.anchor + 1:
                swift = self._swift(step.reports if test.begun else Reports())
                moment = self._at(self._first(test.anchor, last, swift or (lambda at: self._sudden(self._at(at)))))
            self._happen(moment)
            return True
        if self._report(moment) is not None:  # in time, and the horizon is no later than that
            self._happen(moment)
            return True
        if last == horizon:
            self._commit(moment)
            return True
        return False

    @staticmethod
    def _first(low: int, high: int, true_at: Callable[[int], bool]) -> int:
        """Return the first tick in (low, high] at which something is so; it is at `high`."""
        while high - low > 1:
            middle = (low + high) // 2
            if true_at(middle):
                high = middle
            else:
                low = middle
        return high

    def _swift(self, reports: Reports) -> Callable[[int], bool] | None:
        """Return `_sudden` as a function of the tick alone, where the stretch that runs is a plain one."""
        test, limit = self._tested(), self._step().limit_V
        hold_V = None if limit is None else limit.at(test.crate_Ah, test.variables)
        return sudden_at(self._course(), test, self._ends(), self.limits, hold_V=hold_V, reports=reports)

    def _at(self, ticks: int) -> Moment:
        """Return the channel at a tick of the stretch that runs."""
        test = self._tested()
        after_s = (ticks - test.anchor) * TICK_s
        volts = self._held(self._course()(after_s))
        passed_Ah = abs(test.current_A) * after_s / 3600.0
        mean_V = 0.5 * (volts + self._held(self._begun_V)) if passed_Ah else 0.0
        return Moment(ticks, volts, test.current_A, test.capacity_Ah + passed_Ah, test.energy_Wh + passed_Ah * mean_V)

    def _cell_at(self, ticks: int) -> CellState:
        """Return the cell at a tick of the stretch that runs."""
        test = self._tested()
        return self._sample.later(self.cell, test.current_A, (ticks - test.anchor) * TICK_s)

    def _course(self) -> Callable[[float], float]:
        """Return the voltage as a function of the time since the stretch began; worked out once for each."""
        current_A = self._tested().current_A
        if self._known is None or self._known[0] is not self.cell or self._known[1] != current_A:
            self._known = (self.cell, current_A, self._sample.course(self.cell, current_A))
            self._begun_V = self._sample.voltage_V(self.cell, current_A)
        return self._known[2]

    def _held(self, volts: float) -> float:
        if self._tested().holding:
            held_V = self._held_V()
            return min(volts, held_V) if self._sign() > 0 else max(volts, held_V)
        return volts

    # ----------------------------------------------------------------------------------------- events

    def _sudden(self, moment: Moment) -> bool:
        """Whether something has happened whose time is not known beforehand."""
        return (
            self._tripped(moment)
            or self._ended(moment) is not None
            or self._must_hold(moment)
            or self._changed(moment) is not None  # also where a report by time is due: it may have come before that
        )

    def _happen(self, moment: Moment) -> None:
        ended = self._ended(moment)  # in one tick the step's own ends come before the channel's safety, the backstop
        if ended is not None:
            self._leave(moment, ended.why, ended.target)
            return
        if self._tripped(moment):
            self._halt(moment, Stat.PROBLEM, Doing.PROBLEM, Why.SAFETY_VOLTAGE, "P")
            return
        report = self._report(moment)
        self._commit(moment)
        if report is not None:
            self._tested().begun = True
            self._note(moment, _LETTER[self._step().kind] if not self._tested().direct else self._letter(), report)
        if self._must_hold(moment):
            self._tested().holding = True
            self._drive()

    def _letter(self) -> str:
        return {1: "C", -1: "D", 0: "R"}[self._tested().direction]

    def _report(self, moment: Moment) -> int | None:
        test, reports = self._tested(), self._step().reports
        if not test.begun:
            due = test.step_began + (1 if test.records else 0)
            return Why.STEP_BEGAN if moment.ticks >= due else None
        if reports.every_ticks is not None and moment.ticks - test.reported_ticks >= reports.every_ticks:
            return Why.STEP_TIME_REPORT
        return self._changed(moment)

    def _changed(self, moment: Moment) -> int | None:
        """Return the report that a change since the last one makes due."""
        test, reports = self._tested(), self._step().reports
        if not test.begun:
            return None
        if reports.volts is not None and abs(moment.volts - test.reported_V) >= reports.volts:
            return Why.VOLTAGE_REPORT
        if reports.amps is not None and abs(moment.amps - test.reported_A) >= reports.amps:
            return Why.CURRENT_REPORT
        return None

    def _tripped(self, moment: Moment) -> bool:
        limits = self.limits
        over_A = moment.amps > limits.ISafeChg or -moment.amps > abs(limits.ISafeDis)
        most_W = limits.PBatSafeChg if moment.amps > 0.0 else limits.PBatSafeDis
        over_W = 0.0 < abs(most_W) < abs(moment.amps * moment.volts)
        return over_A or over_W or not limits.VSafeMin <= moment.volts <= limits.VSafeMax

    def _ends(self) -> tuple[End, ...]:
        if self._tested().direct:
            return ()
        assert self.procedure is not None
        step = self._step()
        return step.ends if step.number == 1 else (*step.ends, *self.procedure.safety)

    def _due(self) -> int:
        """Return the tick of the first end that only depends on time or charge."""
        return min((due(end, self._tested()) for end in self._ends()), default=FAR_TICKS)

    def _ended(self, moment: Moment) -> End | None:
        """Return the first of the step's ends that is reached."""
        return next((end for end in self._ends() if reached(end, self._tested(), moment)), None)

    def _leave(self, moment: Moment, why: int, target: int) -> None:
        step = self._step()
        self._commit(moment)
        self._note(moment, _LETTER[step.kind], why)
        test = self._tested()
        for variable, value in step.sets:
            test.variables[variable - 1] = value
        self._enter(target)

    def _enter(self, number: int) -> None:
        """Go to a step, through Do, Loop and AdvCycle, until one takes time or the test stands still."""
        test, procedure = self._tested(), self.procedure
        assert procedure is not None
        for _ in range(_MOST_JUMPS):
            if number > len(procedure.steps):
                break
            step = procedure.step(number)
            test.step = number
            match step.kind:
                case "do":
                    test.loops[step.loop - 1] = 0
                    number += 1
                case "advance":
                    test.cycle += 1
                    number += 1
                case "loop":
                    number = self._loop(step)
                case "pause":
                    self._stand(Stat.SUSPENDED, Doing.PAUSE, Why.SUSPENDED, "S")
                    return
                case "end":
                    stops = [other.number for other in procedure.steps if other.kind == "end"]
                    test.ends, test.end_reached = len(stops), stops.index(number) + 1
                    self._stand(Stat.COMPLETED, Doing.COMPLETE, Why.NORMAL_END, "O")
                    return
                case _:
                    self._begin(step)
                    return
        self._stand(Stat.PROBLEM, Doing.PROBLEM, Why.NONE, "P")

    def _loop(self, step: Step) -> int:
        test = self._tested()
        end = next(end for end in step.ends if end.quantity == "loop")
        passes = test.loops[step.loop - 1] + 1
        if passes >= end.level.at(test.crate_Ah, test.variables):
            test.loops[step.loop - 1] = 0
            return end.target
        test.loops[step.loop - 1] = passes
        assert self.procedure is not None
        return self.procedure.after_do(step.loop, step.number)

    def _begin(self, step: Step) -> None:
        test = self._tested()
        self.doing = DOING[step.kind]
        way = {"charge": 1, "discharge": -1}.get(step.kind, 0)
        if way and test.direction and way != test.direction and way > 0:
            test.half_cycle += 1
        turned = way not in {0, test.direction}
        if self._settings.capacity_reset == "step" or turned:
            test.capacity_Ah = test.energy_Wh = 0.0
        if way:
            test.direction = way
        test.step_began = test.reported_ticks = test.anchor
        test.begun = False
        test.holding = step.mode == "voltage"
        self._foreseen = None
        self.cell = self._sample.turned(self.cell, float(way))
        self._drive()

    # ----------------------------------------------------------------------------------------- output

    def _sign(self) -> int:
        return {"charge": 1, "discharge": -1}.get(self._step().kind, 0)

    def _held_V(self) -> float:
        test, step = self._tested(), self._step()
        level = step.level if step.mode == "voltage" else step.limit_V
        assert level is not None
        return level.at(test.crate_Ah, test.variables)

    def _must_hold(self, moment: Moment) -> bool:
        test, step = self._tested(), self._step()
        if test.holding or test.direct or step.limit_V is None or not self._sign():
            return False
        limit_V = step.limit_V.at(test.crate_Ah, test.variables)
        return moment.volts >= limit_V if self._sign() > 0 else moment.volts <= limit_V

    def _drive(self) -> None:
        """Set the current for the stretch that begins."""
        test, step = self._tested(), self._step()
        if test.direct:
            return
        sign = self._sign()
        if sign == 0:
            test.current_A = 0.0
            return
        most = step.level if step.mode == "current" else step.limit_A
        most_A = self._settings.most_A if most is None else abs(most.at(test.crate_Ah, test.variables))
        if not test.holding:
            test.current_A = sign * most_A
            return
        wanted_A = self._sample.current_A(self.cell, self._held_V(), max(most_A, 1e-12))
        test.current_A = sign * min(most_A, max(0.0, sign * wanted_A))

    def _commit(self, moment: Moment) -> None:
        """Begin a new stretch here."""
        test = self._tested()
        self.cell = self._cell_at(moment.ticks)
        test.anchor = moment.ticks
        test.capacity_Ah, test.energy_Wh = moment.capacity_Ah, moment.energy_Wh
        if test.holding:
            self._drive()

    def _stand(self, stat: Stat, doing: int, why: int, letter: str) -> None:
        """Stop at a control step; its record tells so."""
        test = self._tested()
        test.holding = False  # a step before this one may have; control steps have no voltage
        self._halt(self._at(test.anchor), stat, doing, why, letter)

    def _halt(self, moment: Moment, stat: Stat, doing: int, why: int, letter: str) -> None:
        self._commit(moment)
        test = self._tested()
        test.current_A, test.holding = 0.0, False
        self.cell_s = self._wall_s(moment.ticks)
        self.stat, self.doing = stat, doing
        self._note(self._at(moment.ticks), letter, why)

    def _note(self, moment: Moment, state: str, why: int) -> None:
        test, step = self._tested(), self._step()
        self.why = why
        test.records += 1
        test.reported_V, test.reported_A = moment.volts, moment.amps
        if why == Why.STEP_TIME_REPORT:
            test.reported_ticks = moment.ticks
        resting = state == "R"
        self._keep(
            self.index,
            Record(
                number=test.records,
                cycle=test.cycle,
                half_cycle=test.half_cycle,
                step=test.step,
                test_ticks=moment.ticks,
                step_ticks=moment.ticks - test.step_began,
                capacity_Ah=0.0 if resting else moment.capacity_Ah,
                energy_Wh=0.0 if resting else moment.energy_Wh,
                amps=moment.amps,
                volts=moment.volts + self._noise_V(test.records),
                state=state,
                why=int(why),
                wall_s=self._wall_s(moment.ticks),
                loops=tuple(test.loops),
                variables=tuple(test.variables),
                range=step.range or 4,
            ),
        )

    def _noise_V(self, record: int) -> float:
        """Return noise of this record of this test alone: near-Gaussian, by (seed, test name, record)."""
        test = self._tested()
        mixed = zlib.crc32(f"{self._seed}/{self.index}/{test.test_name}/{record}".encode())
        parts = ((mixed & 0xFF) + (mixed >> 8 & 0xFF) + (mixed >> 16 & 0xFF) + (mixed >> 24)) / 255.0
        return (parts - 2.0) * math.sqrt(3.0) * self._sample.truth.noise_V

    # ------------------------------------------------------------------------------------------ small

    def _tested(self) -> Test:
        assert self.test is not None
        return self.test

    def _step(self) -> Step:
        assert self.procedure is not None
        return self.procedure.step(self._tested().step)

    def _ticks_at(self, at_s: float) -> int:
        test = self._tested()
        return test.base_ticks + math.floor((at_s - test.base_s) / TICK_s + 1e-4)

    def _wall_s(self, ticks: int) -> float:
        test = self._tested()
        return test.base_s + (ticks - test.base_ticks) * TICK_s

    def _rest_until(self, at_s: float) -> None:
        self.cell = self._sample.later(self.cell, 0.0, max(0.0, at_s - self.cell_s))
        self.cell_s = at_s

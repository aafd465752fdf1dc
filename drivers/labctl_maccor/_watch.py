"""Guards over many cycles, which a procedure cannot state with the words public procedures use. Pure.

What was charged and never came back (97.8 % efficiency at a fixed charge passes theory by cycle 43), and an
efficiency that is low twice in a row (a soft short, a dying cell).

What one look can know
----------------------
The reckoning rests on what the channel itself counts, not on how often somebody looked. Its place in the procedure
(step and cycle) says which charges are over, and a charge is left towards its rest only by having reached its capacity:
every other way out leads to a Pause. So each charge that is over is known. Charges and rests last as long as the
procedure says, and the test's own time stands still while a test is suspended; what is left of it, between the last
place and this one, is the time spent discharging, at the current of the procedure. A discharge that was looked at while
it ran adds the capacity the channel had counted by then.

* One discharge between two looks (or within sight of one): its charge is known, and so is its efficiency.
* Several discharges between two looks: their sum is known, and none of them alone. They count as two low ones in a row
  only if no way to share the sum out avoids that.
* The very first look at a test that has run for weeks knows the sum over all of it.

Everything is reckoned as an interval: the current is known to `CURRENT_ACCURACY`, a step's end to `STEP_s`, the test's
time to the rounding of a single. A cell is paused only if the favourable end of the interval breaks the guard, so rare
looks can delay a verdict but never make one up. A stretch that cannot have gone as the procedure says (somebody
forced a step) is taken to have given back all that it might, up to its charge: it accuses nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from labctl.ports import CycleCell
from labctl_maccor._codec import ChannelStatus
from labctl_maccor._procedure import Part, places

CURRENT_ACCURACY = 1e-3
"""Share by which a channel's mean current may differ from the one of the procedure (a range has about 0.02 %)."""

STEP_s = 0.5
"""How far the time of a step's begin or end may be off: ticks, and the turn to the next step."""

_SINGLE = 2.0**-23
_SAME_COUNT = 0.01


@dataclass(frozen=True, slots=True)
class Span:
    """A number known to lie between two."""

    low: float
    high: float

    def __add__(self, other: Span | float) -> Span:
        more = other if isinstance(other, Span) else Span(other, other)
        return Span(self.low + more.low, self.high + more.high)

    def __sub__(self, other: Span | float) -> Span:
        less = other if isinstance(other, Span) else Span(other, other)
        return Span(self.low - less.high, self.high - less.low)


class CycleWatch:
    """What is known of the cycles of one test; a new engine's first look knows the sums, but not each cycle before.

    Attributes
    ----------
    cycles : int
        How many are over.
    unreturned_Ah : Span
        Sum of charge minus discharge over them; since a person was last told, if one was.
    """

    def __init__(self, task: CycleCell) -> None:
        self._task = task
        self._charges_Ah = (*task.charges_Ah, *(task.then_charge_Ah for _ in range(task.then_cycles)))
        self._places = places(task)
        self._count_from = 0  # what the tester's cycle counter shows in the first cycle: the start asks for 0
        self._next_begins_s = Span(task.first_rest_s, task.first_rest_s) + self._charge_s(0) + task.rest_s
        self._seen_Ah = Span(0.0, 0.0)  # of the discharge that runs, at the last look into it
        self._seen_s = 0.0
        self._may_be_low = {False}  # whether the last discharge was low, as far as that is open
        self._complaint = ""
        self.cycles = 0
        self.unreturned_Ah = Span(0.0, 0.0)

    def update(self, status: ChannelStatus) -> str:
        """Take one look; returns why the cell should be paused, empty if it need not, until `told` is called."""
        place = self._places.get(status.step)
        if place is None:  # a control step, a Pause, an End
            return self._complaint
        if place.cycle is not None:
            cycle, self._count_from = place.cycle, status.cycle - place.cycle
        else:
            cycle = status.cycle - self._count_from
        over = cycle + (place.part is Part.REST_AFTER_DISCHARGE)
        if not 0 <= cycle < len(self._charges_Ah) or over < self.cycles:
            return self._complaint
        uncertain_s = STEP_s + status.test_s * _SINGLE
        began_s = status.test_s - status.step_s
        begun_s = Span(began_s - uncertain_s, began_s + uncertain_s)
        if over > self.cycles:
            self._close(over, begun_s - self._since_discharge_s(place.part, cycle))
        if over < len(self._charges_Ah):
            self._next_begins_s = begun_s + self._until_discharge_s(place.part, over)
        if place.part is Part.DISCHARGE and status.step_s >= self._seen_s:
            self._seen_Ah, self._seen_s = self._counted_Ah(status), status.step_s
        return self._complaint

    def told(self) -> None:
        """The cell was paused and a person told: sums and rows begin anew, so that going on is theirs to decide."""
        if self._complaint:
            self._complaint = ""
            self.unreturned_Ah = Span(0.0, 0.0)
            self._may_be_low = {False}

    # ------------------------------------------------------------------------------------ the time table

    def _charge_s(self, cycle: int) -> Span:
        nominal_s = 3600.0 * self._charges_Ah[cycle] / self._task.current_A
        return Span(nominal_s * (1.0 - CURRENT_ACCURACY) - STEP_s, nominal_s * (1.0 + CURRENT_ACCURACY) + STEP_s)

    def _until_discharge_s(self, part: Part, cycle: int) -> Span:
        """From the begin of a part to that of the next discharge, which is the one of `cycle`."""
        rest_s = self._task.rest_s
        match part:
            case Part.DISCHARGE:
                return Span(0.0, 0.0)
            case Part.REST_AFTER_CHARGE:
                return Span(rest_s, rest_s + STEP_s)
            case Part.CHARGE:
                return self._charge_s(cycle) + Span(rest_s, rest_s + STEP_s)
            case Part.FIRST_REST:
                return self._charge_s(cycle) + Span(rest_s, rest_s + STEP_s) + self._task.first_rest_s
            case Part.REST_AFTER_DISCHARGE:
                return self._charge_s(cycle) + Span(2.0 * rest_s, 2.0 * (rest_s + STEP_s))

    def _since_discharge_s(self, part: Part, cycle: int) -> Span:
        """From the end of the last discharge to the begin of a part of `cycle`."""
        rest_s = self._task.rest_s
        match part:
            case Part.REST_AFTER_DISCHARGE:
                return Span(0.0, 0.0)
            case Part.CHARGE:
                return Span(rest_s, rest_s + STEP_s)
            case Part.REST_AFTER_CHARGE:
                return Span(rest_s, rest_s + STEP_s) + self._charge_s(cycle)
            case _:
                return Span(2.0 * rest_s, 2.0 * (rest_s + STEP_s)) + self._charge_s(cycle)

    # ---------------------------------------------------------------------------------------- discharges

    def _counted_Ah(self, status: ChannelStatus) -> Span:
        """Return what a running discharge has given so far.

        The channel's own count, if it is the count of this step. Testers may be set up to count otherwise; the current
        times the time then has to do.
        """
        passed_Ah = self._task.discharge_current_A * status.step_s / 3600.0
        counted_Ah = abs(status.capacity_Ah)
        if abs(counted_Ah - passed_Ah) <= _SAME_COUNT * passed_Ah:
            return Span(counted_Ah, counted_Ah)
        return Span(passed_Ah * (1.0 - CURRENT_ACCURACY), passed_Ah * (1.0 + CURRENT_ACCURACY))

    def _close(self, over: int, ended_s: Span) -> None:
        """Reckon the discharges from the first open one up to `over`, the last of which ended at `ended_s`."""
        task = self._task
        lasted_s = ended_s - self._next_begins_s
        for cycle in range(self.cycles + 1, over):
            lasted_s = lasted_s - self._charge_s(cycle) - Span(2.0 * task.rest_s, 2.0 * (task.rest_s + STEP_s))
        count = over - self.cycles
        current_Ah_per_s = task.discharge_current_A / 3600.0
        longest_s = count * (task.discharge_limit_s + STEP_s)
        rest_s = Span(max(0.0, lasted_s.low - self._seen_s), lasted_s.high - self._seen_s)
        given_Ah = self._seen_Ah + Span(
            rest_s.low * current_Ah_per_s * (1.0 - CURRENT_ACCURACY),
            rest_s.high * current_Ah_per_s * (1.0 + CURRENT_ACCURACY),
        )
        charges_Ah = self._charges_Ah[self.cycles : over]
        if rest_s.high < 0.0 or lasted_s.low > longest_s:  # not the way the procedure goes
            given_Ah = Span(self._seen_Ah.low, max(self._seen_Ah.high, sum(charges_Ah)))
        self.unreturned_Ah = Span(sum(charges_Ah), sum(charges_Ah)) - given_Ah + self.unreturned_Ah
        self.cycles = over
        self._seen_Ah, self._seen_s = Span(0.0, 0.0), 0.0
        self._judge(charges_Ah, given_Ah)

    def _judge(self, charges_Ah: tuple[float, ...], given_Ah: Span) -> None:
        task = self._task
        if self._low_twice(charges_Ah, given_Ah.high):
            which = "the last one" if len(charges_Ah) == 1 else f"the last {len(charges_Ah)} together"
            self._complaint = (
                f"two cycles in a row gave back less than {100 * task.efficiency_min:g} % "
                f"({which} {100 * given_Ah.high / sum(charges_Ah):.1f} %)"
            )
        elif self.unreturned_Ah.low > task.unreturned_max_Ah:
            self._complaint = (
                f"{1000 * self.unreturned_Ah.low:.4g} mAh were charged and not discharged again by cycle "
                f"{self.cycles}, more than {1000 * task.unreturned_max_Ah:.4g} mAh"
            )

    def _low_twice(self, charges_Ah: tuple[float, ...], given_most_Ah: float) -> bool:
        """Whether two low ones in a row are certain: without any, more would have been given than was."""
        least_Ah = dict.fromkeys(self._may_be_low, 0.0)  # by whether the last one was low
        for charge_Ah in charges_Ah:
            after_high_Ah = least_Ah.get(False)
            least_Ah = {False: min(least_Ah.values()) + self._task.efficiency_min * charge_Ah}
            if after_high_Ah is not None:
                least_Ah[True] = after_high_Ah
        self._may_be_low = {low for low, Ah in least_Ah.items() if Ah <= given_most_Ah} or {False}
        return min(least_Ah.values()) > given_most_Ah

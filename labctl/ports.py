"""What hardware can do, as labctl asks for it: tasks, orders, and the `Instrument` every driver is.

A *task* says what to do, in the field's words and in SI; an *order* is one attempt at a task, with the
token that the instrument's own records will carry. `begin` returns at once; `look` asks how it goes;
`evidence` asks, after labctl or the machine died, what the instrument itself knows of an order. Nothing
here blocks for longer than one exchange on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from labctl.dataset.model import Completeness, DatasetKind


class Effect(Enum):
    """How freely a side effect may be repeated on resume."""

    ABSOLUTE_SET = "absolute set"
    """A set point; may be sent again when the loop it belongs to is verifiably running."""
    REPEATABLE = "repeatable measurement"
    """Minutes of measurement; a broken one is discarded and done again as the next attempt."""
    EXPENSIVE = "expensive, evidence readable"
    """Hours to days; never begun before the instrument was asked what it has."""
    IRREVERSIBLE = "irreversible"
    """Changes the sample; never repeated, adopted or a person is asked."""


# --------------------------------------------------------------------------------------------- tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTemperature:
    """Ramp the set point of the gas [K] at `ramp_K_per_s`; done when the set point has arrived.

    `sample_K` is what the sample is meant to have there. Never starts spinning, never re-arms a heater
    that tripped.
    """

    setpoint_K: float
    sample_K: float
    ramp_K_per_s: float
    give_up_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitStable:
    """Done when the sensor stayed within `within_K` of `setpoint_K` for `hold_s` on end; fails at `give_up_s`."""

    setpoint_K: float
    sample_K: float
    within_K: float
    hold_s: float
    give_up_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpinning:
    """Done when the rotor spins within `tolerance_Hz` of `rate_Hz`; fails at `give_up_s`. Never spins it up."""

    rate_Hz: float
    tolerance_Hz: float
    give_up_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tune:
    """Tune the probe: ``atma`` lets the console do it, ``operator`` asks a person and fails at `give_up_s`."""

    mode: Literal["operator", "atma"]
    give_up_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePulse:
    """A 1D; `purpose` says why (``line`` while settling, ``reference`` around each 2D)."""

    purpose: Literal["line", "reference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nutation:
    """Pulse check: one row per pulse length [s], each after a saturation comb and the same recovery."""

    pulses_s: tuple[float, ...]
    recovery_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SaturationRecovery:
    """Comb, recovery delay [s], read pulse; one row per delay."""

    delays_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exsy:
    """2D-EXSY (`noesyph`, States-TPPI): `rows` is TD of F1 (two per complex increment)."""

    mixing_time_s: float
    rows: int
    increment_s: float


Experiment = OnePulse | Nutation | SaturationRecovery | Exsy


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquire:
    """One acquisition into one EXPNO.

    Attributes
    ----------
    expno_slot : int
        EXPNO = `expno_slot` + attempt (1-9): the map keeps its last digit for the attempt.
    template : str
        Name of the lab's template for this kind of experiment; the lab file maps it to an EXPNO.
    recycle_delay_s : float
        D1 [s]; what plan reckons with until a measured T1 replaces it.
    points : int
        TD of F2 (real + imaginary).
    spectral_width_Hz, carrier_ppm : float
        F2 window, and F1 carrier alike.
    pulse_s : float
        90 degree pulse [s].
    receiver_gain : float or None
        Frozen for the campaign; ``None`` leaves the template's.
    presaturation_pulses : int
        Pulses of the saturation comb before the recycle delay of a 2D-EXSY, so that every scan starts alike; 0: none.
    spinning_Hz : float
        MAS rate written to MASR and CNST 31, and compared before the acquisition starts.
    duration_s : float
        What plan expects [s]; the driver's deadline is a generous multiple.
    """

    experiment: Experiment
    expno_slot: int
    template: str
    nucleus: str
    scans: int
    dummy_scans: int
    recycle_delay_s: float
    points: int
    spectral_width_Hz: float
    carrier_ppm: float
    pulse_s: float
    receiver_gain: float | None
    spinning_Hz: float
    spinning_tolerance_Hz: float
    setpoint_K: float
    sample_K: float
    duration_s: float
    presaturation_pulses: int = 0

    @property
    def kind(self) -> DatasetKind:
        """The kind of dataset this leaves."""
        match self.experiment:
            case OnePulse():
                return "one_pulse"
            case Nutation():
                return "nutation"
            case SaturationRecovery():
                return "saturation_recovery"
            case Exsy():
                return "exsy"


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepImpedance:
    """One impedance spectrum under a sine voltage, one frequency after the other.

    Attributes
    ----------
    name : str
        Short name of the spectrum for files and titles (letters, digits, ``_ . -``).
    frequencies_Hz : tuple of float
        In the order of measurement.
    amplitude_V_rms : float
        Of the sine; drivers convert where an instrument wants its peak.
    bias_V : float or None
        DC potential; ``None``: the open-circuit potential read just before. A real cell is never put on 0 V.
    integration_s, cycles : float, int
        Each point is integrated for at least so long and over at least so many periods.
    settle_s : float
        From a new frequency (or range) to the start of its integration.
    moved_K : float
        The spectrum is flagged when the temperature changed by more than this while it was measured.
    sample : str
        What is between the electrodes; with the four lengths below it is written beside the data, and says nothing of
        how they are measured.
    """

    name: str
    frequencies_Hz: tuple[float, ...]
    amplitude_V_rms: float
    bias_V: float | None
    integration_s: float
    cycles: int
    settle_s: float
    moved_K: float
    setpoint_K: float
    sample_K: float
    duration_s: float
    sample: str = ""
    thickness_mm: float | None = None
    diameter_mm: float | None = None
    thickness_se_mm: float | None = None
    diameter_se_mm: float | None = None

    @property
    def kind(self) -> DatasetKind:
        """The kind of dataset this leaves."""
        return "impedance"


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleCell:
    """Charge a cell to fixed capacities and discharge it to a voltage, cycle after cycle.

    It changes the cell and is never repeated (`Effect.IRREVERSIBLE`). The cycler carries it out by itself, also when
    labctl is gone; the guards end a charge or discharge somewhere else than its capacity or voltage does.

    Attributes
    ----------
    cell : str
        Short name for test names and files (letters, digits, ``_``).
    current_A, discharge_current_A : float
        Magnitudes.
    charges_Ah : tuple of float
        Charge of each of the first cycles, one cycle each.
    then_cycles, then_charge_Ah : int, float
        Further cycles, all with the same charge; 0: none.
    discharge_to_V : float
        Against the counter electrode.
    charge_above_V, charge_below_V : float
        Guards while charging: the electrolyte oxidises; the cell is shorted (a fixed capacity happily "charges" that).
    charge_limit_s, discharge_limit_s : float
        Longest charge and discharge.
    unreturned_max_Ah : float
        Guard: largest sum of what was charged and not discharged again, over all cycles.
    efficiency_min : float
        Guard: the cell is paused after two cycles in a row that gave back less than this share.
    rest_s, first_rest_s : float
        At open circuit after each charge and discharge, and before the first.
    record_s, record_V : float
        A record is kept at least so often, and on each such change.
    mass_mg, mass_basis : float, str
        What specific capacities are reckoned with, and whose gram it is (``Li2S``, ``composite``...).
    area_cm2 : float
        Of the electrode.
    setpoint_K, sample_K : float
        What the room or chamber is meant to hold; nothing is set.
    sample : str
        What is in the holder; with the five below it is written beside the data, and says nothing of what is done.
    mass_se_mg : float or None
        Standard error of the mass: one and the same for all cycles of the cell.
    theoretical_mAh_per_g : float or None
        Per gram of `mass_basis`.
    reference, reference_offset_V, equilibrium_V : str, float or None
        What voltages stand against; its offset from Li/Li+; the equilibrium potential against it.
    """

    cell: str
    current_A: float
    discharge_current_A: float
    charges_Ah: tuple[float, ...]
    then_cycles: int
    then_charge_Ah: float
    discharge_to_V: float
    charge_above_V: float
    charge_below_V: float
    charge_limit_s: float
    discharge_limit_s: float
    unreturned_max_Ah: float
    efficiency_min: float
    rest_s: float
    first_rest_s: float
    record_s: float
    record_V: float
    mass_mg: float
    mass_basis: str
    area_cm2: float
    setpoint_K: float
    sample_K: float
    duration_s: float
    sample: str = ""
    mass_se_mg: float | None = None
    theoretical_mAh_per_g: float | None = None
    reference: str = ""
    reference_offset_V: float | None = None
    equilibrium_V: float | None = None

    @property
    def kind(self) -> DatasetKind:
        """The kind of dataset this leaves."""
        return "cycling"

    @property
    def cycles(self) -> int:
        """Number of cycles."""
        return len(self.charges_Ah) + self.then_cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class CoolDown:
    """End of heat: set point to `setpoint_K` at `ramp_K_per_s`, then heater off; gas and spinning stay on."""

    setpoint_K: float
    ramp_K_per_s: float
    give_up_s: float


Measurement = Acquire | SweepImpedance | CycleCell
"""Tasks that leave a dataset."""

Task = SetTemperature | AwaitStable | CheckSpinning | Tune | Measurement | CoolDown


# ------------------------------------------------------------------------------------ orders and answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One attempt at one task.

    `token` (``<first 8 hex of key>-<attempt>``) and `title` (one ASCII line: campaign, step id, token) stand
    in the instrument's own records, so that evidence can be found again. `epoch` rises with every engine
    that takes the station; agents refuse lower ones.
    """

    token: str
    title: str
    step_id: str
    attempt: int
    epoch: int
    task: Task


class Progress(Enum):
    """How an order stands, by the instrument's own account."""

    WAITING = "waiting"
    """Handed over, not yet taken up."""
    RUNNING = "running"
    DONE = "done"
    """Finished; for an acquisition only when audit trail, size and quiet period agree."""
    HALTED = "halted"
    """Ended early with usable data (rows acquired < rows asked)."""
    FAILED = "failed"
    SILENT = "silent"
    """The instrument's agents have not been heard; what it does is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Answer to `Instrument.look`.

    Attributes
    ----------
    fraction : float or None
        0 to 1, of an acquisition or ramp. The engine looks again when an acquisition's end is due by it, and from 0.999
        on ever and again until the end is seen: no more than that before.
    data_growing : bool
        Raw data grew since the last look, or by all that can be seen the acquisition is under way: it lives even if
        its agents are silent.
    needs_person : str
        What a person is asked to do, empty if nothing.
    look_again_s : float or None
        In so many seconds a look will tell more (a quiet period will be over), whatever else is due.
    parts : int
        Parts of the data (cycles) that are complete so far and can be brought in before the end (`DeliversParts`);
        0 where data come in one piece.
    """

    progress: Progress
    detail: str = ""
    fraction: float | None = None
    data_growing: bool = False
    needs_person: str = ""
    look_again_s: float | None = None
    parts: int = 0


class Standing(Enum):
    """Answer to `Instrument.evidence`."""

    NOT_STARTED = "not started"
    PREPARED = "prepared, no data"
    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted, partial data"
    FOREIGN = "foreign data in our place"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the instrument itself knows of an order, and where that was read."""

    standing: Standing
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One monitored value: `quantity` carries its unit (``sensor_K``, ``heater_percent``, ``spinning_Hz``).

    `at_s` is the wall time at which the *instrument* read it; its age is what silence is judged by.
    """

    quantity: str
    value: float
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Raw data brought into the run folder, and what the instrument's files say of them.

    `files` are paths below the folder given to `collect`, posix. `settings` as `Dataset.settings`;
    always with ``sensor_K`` (mean sensor temperature) when the instrument has a temperature. `part_from` is the first
    part that the files of a `collect_part` hold; 0 of a `collect`.
    """

    files: tuple[str, ...]
    completeness: Completeness
    started_s: float
    ended_s: float
    settings: Mapping[str, float | int | str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    part_from: int = 0


class Instrument(Protocol):
    """What every driver offers the engine. All times in seconds, all temperatures in kelvin.

    Every method may raise `InstrumentError`; none waits for physics.
    """

    @property
    def station(self) -> str:
        """Name of the station in the lab file."""
        ...

    @property
    def attention_s(self) -> float:
        """How long the instrument may be left without a look before its agents act by themselves [s]; inf: for ever."""
        ...

    def open(self, epoch: int) -> None:
        """Take the instrument for this engine's `epoch`; start or find its agents."""
        ...

    def begin(self, order: Order) -> None:
        """Start an order and return at once. Beginning the same token twice does it once."""
        ...

    def look(self, order: Order) -> Observation:
        """How the order stands now."""
        ...

    def evidence(self, order: Order) -> Evidence:
        """What the instrument's own records say of an order that an engine may have begun before it died."""
        ...

    def collect(self, order: Order, into: Path) -> Collected:
        """Copy the raw data of a finished or halted order to `into` (hard links where the lab is simulated).

        Existing equal files are kept; an existing *different* file raises, it is never overwritten.
        """
        ...

    def readings(self) -> tuple[Reading, ...]:
        """The latest monitored values, from agents that read them whatever else goes on."""
        ...

    def stop(self, order: Order, reason: str) -> None:
        """End an order early, keeping what was acquired (`halt`, not `stop` or `kill`)."""
        ...

    def make_safe(self, reason: str) -> None:
        """Bring the instrument to its declared safe state; idempotent, bounded in time, returns at once."""
        ...

    def is_safe(self) -> bool:
        """Whether the safe state has been reached, by read-back."""
        ...

    def close(self) -> None:
        """Let go; what runs on the instrument goes on running."""
        ...


StillOurs = Callable[[], None]
"""Returns while no later engine has taken the station; raises `labctl.errors.Superseded` from then on."""


@runtime_checkable
class Fenced(Protocol):
    """An `Instrument`, or a `TemperatureController`, whose wire carries no epoch, and that asks before each write.

    Agents of our own refuse an older engine; a vendor's controller obeys whoever writes to it. So an engine that slept
    while a later one took its station has to be stopped on this side of the wire, also in the middle of a call.
    """

    def fence(self, still_ours: StillOurs) -> None:
        """From now on call `still_ours` right before anything is sent, and at least before each write.

        Called before `open`. What it raises comes out of the call that wanted to write. Nothing is made safe then: the
        station is another's.
        """
        ...


@runtime_checkable
class DeliversParts(Protocol):
    """An instrument whose data can be brought in part by part while an order goes on, such as cycle by cycle."""

    def collect_part(self, order: Order, part: int, after: int, into: Path) -> Collected:
        """Bring in what there is when `part` parts are complete and `after` of them (0: none) were brought in before.

        New files only: what an earlier call left is never rewritten, and the same call again gives the same files.
        They hold the parts from `Collected.part_from`, which is `after` + 1, or 1 where the instrument wrote its data
        anew meanwhile. The whole is collected at the end all the same.
        """
        ...


# ---------------------------------------------------------------------------------------- temperature

FAULT = "fault/"
"""A quantity that begins so says that something is wrong, by being there: heat must not go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopState:
    """What a temperature controller says of its loop, read back at once.

    Attributes
    ----------
    heating_allowed : bool
        The loop is closed and may draw power. False: the heater is off, whatever the set point says.
    setpoint_K : float
        Where the set point stands now; while it ramps, where it has come to.
    ramping : bool
        The set point is on its way.
    """

    heating_allowed: bool
    setpoint_K: float
    ramping: bool


class TemperatureController(Protocol):
    """One heated loop behind one controller: an oven of its own, or the oven of another instrument's station.

    Every write is confirmed by read-back before the call returns; nothing waits for physics. Every method may raise
    `InstrumentError` (`InstrumentSilent` where no usable answer came in time).
    """

    @property
    def station(self) -> str:
        """Name of the station it belongs to, for messages."""
        ...

    def open(self) -> None:
        """Find the controller, see that it is the one expected, and set its own guards (limits, no heat after a dip).

        Never switches a heater on, never moves a set point.
        """
        ...

    def read(self) -> tuple[Reading, ...]:
        """The monitored values, read now; a value whose sensor is not healthy is left out.

        ``sensor_K``, ``setpoint_K``, ``heater_percent``, ``sample_K`` where the cell has a sensor of its own, and
        ``fault/<name>`` = 1 for each fault of `health`.
        """
        ...

    def loop(self) -> LoopState:
        """What the loop does now."""
        ...

    def ramp_to(self, setpoint_K: float, ramp_K_per_s: float) -> None:
        """Let the set point go to `setpoint_K` at `ramp_K_per_s`.

        It starts from where it is, or from the sensor's temperature if the loop was parked. Never re-arms a heater
        that went off unasked: raises, and says what a person does.
        """
        ...

    def at_setpoint(self, setpoint_K: float) -> bool:
        """Whether the loop is closed, its set point reads back as `setpoint_K`, and no ramp is under way."""
        ...

    def hold(self) -> None:
        """Stop a ramp where the set point is now; the loop goes on regulating there."""
        ...

    def heater_off(self) -> None:
        """Heater off at once, then the set point to 25 °C (*parked*); idempotent."""
        ...

    def health(self) -> tuple[str, ...]:
        """What is wrong, as ``<name>: <what was seen>``, by the last `read`; empty when all is well.

        Names both drivers use: ``sensor``, ``heater``, ``heater_off_unasked``, ``heater_welded`` (off, and yet it
        heats), ``heater_not_heating`` (full power, and it does not), ``sensor_frozen``, ``over_temperature``,
        ``power_failed``, ``setpoint_changed``, ``controller``. With any of them heat must not go on unattended.
        """
        ...

    def close(self) -> None:
        """Let go of the line; the loop goes on as it is."""
        ...


# --------------------------------------------------------------------------------- looking before anything is begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at before a campaign: how it stands, and what to do about it.

    Attributes
    ----------
    verdict : str
        ``ok``; ``warning``: it may run, and somebody should know; ``refuse``: it must not run like this.
    what : str
        What was looked at and found.
    value, expected, next_step : str
        What was seen, what would be right, and what a person does now.
    """

    verdict: Literal["ok", "warning", "refuse"]
    what: str
    value: str = ""
    expected: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What a campaign still wants of one station: tasks not begun yet, in order, and the raw data they leave."""

    tasks: tuple[Task, ...]
    disk_bytes: int = 0


@runtime_checkable
class Preflight(Protocol):
    """An `Instrument` that can be looked at before it is taken; also one that an engine has open."""

    def preflight(self, errand: Errand) -> tuple[Check, ...]:
        """Say whether the errand can be carried out. Reads only: nothing is set, written or taken over.

        May raise `InstrumentError`: the station cannot be looked at.
        """
        ...


@runtime_checkable
class Shadow(Protocol):
    """An `Instrument` that can go through an order with heat, pulses and current off."""

    def shadow(self, order: Order) -> tuple[str, ...]:
        """Prepare and check an order as `begin` would, and say in lines what it would have done.

        Sends no set point, starts no acquisition, switches no cell on and starts no test; what is written is named
        in the lines. The instrument need not have been opened. May raise as `Instrument.begin`.
        """
        ...

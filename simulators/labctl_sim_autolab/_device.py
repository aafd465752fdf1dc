"""The potentiostat itself: relays, converter, generator, analyser, a cell at its terminals, and time.

Calls of a real SDK block until the instrument has done its work. On a clock that runs by itself this one blocks too. On
a virtual clock a call returns at once and the instrument is *busy*: everything after it happens at `busy_until_s`, and
whoever drives it looks again then.

Noise depends on (seed, title of the sweep, what is measured, how often that was measured under this title), never on
the order of calls.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from labctl.clock import Clock, VirtualClock
from labctl_sim_autolab._commands import live_through
from labctl_sim_autolab._net import SdkError
from labctl_sim_autolab._ranges import FULL_SCALE_A, zero_offset_A
from labctl_sim_autolab._settings import Settings
from labctl_sim_autolab._signals import OVERLOAD, Excitation, Point, measure, periods_of
from labctl_sim_autolab._state import StateFile
from labctl_sim_autolab.faults import Fault
from labctl_sim_sample import EisSample

SAMPLE_s = 0.025
FLAG_s = 0.005
CONNECT_s = 4.0
POTENTIAL_OFFSET_V = 1.2e-4
POTENTIAL_STEP_V = 3.05e-5
POTENTIAL_NOISE_V = 2e-5
_DC_Hz = 1e-3
_GONE = ("usb_gone", "mains_gone")


@dataclass(slots=True)
class _Course:
    """How far one fault has come: armed, active or done, and when that changes."""

    phase: str
    at_s: float | None


@dataclass(slots=True, kw_only=True)
class Front:
    """Everything of the instrument that outlives a process."""

    connected: bool = False
    cell_on: bool = False
    dsg_on: bool = False
    fra_on: bool = False
    mode: str = "Potentiostatic"
    bandwidth: str = "High_Stability"
    range: str = "CR10_1mA"
    setpoint_V: float = 0.0
    amplitude: float = 0.01
    frequency_Hz: float = 1000.0
    integration_s: float = 0.125
    cycles: int = 1
    point: tuple[float, float] | None = None
    point_s: float = 0.0
    potential_V: float = 0.0
    current_A: float = 0.0
    potential_overload: bool = False
    current_overload: bool = False
    title: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    run: dict[str, Any] | None = None


_FRONT = tuple(item.name for item in fields(Front))


class Potentiostat:
    """One instrument with its cell.

    Parameters
    ----------
    temperature_K : callable
        Sample temperature now.
    state_dir : Path
        Where it is kept.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sample: EisSample,
        temperature_K: Callable[[], float],
        faults: tuple[Fault, ...],
        clock: Clock,
        seed: int,
        state_dir: Path,
    ) -> None:
        self.settings = settings
        self.front = Front()
        self._sample = sample
        self._temperature_K = temperature_K
        self._faults = faults
        self._clock = clock
        self._seed = seed
        self._file = StateFile(state_dir)
        saved = self._file.load()
        self.born_s = clock.now_s() if saved is None else float(saved["born_s"])
        self.busy_until_s = self.born_s if saved is None else float(saved["now_s"])
        self._courses = [_Course("armed", None if fault.at_s is None else self.born_s + fault.at_s) for fault in faults]
        if saved is not None:
            self.front = Front(**saved["front"])
            if self.front.point is not None:
                self.front.point = (self.front.point[0], self.front.point[1])
            for course, kept in zip(self._courses, saved["courses"], strict=False):
                course.phase, course.at_s = kept
        else:
            self.save()

    def change_sample(self, sample: EisSample) -> None:
        """Hold another cell between the leads."""
        self._sample = sample

    # ----------------------------------------------------------------------------------------- time

    def now_s(self) -> float:
        """The instrument's own time: the clock's, or when the last call will be over."""
        return max(self._clock.now_s(), self.busy_until_s)

    def free_at_s(self) -> float:
        """When the last call will be over, in the clock's monotonic time."""
        return self._clock.monotonic_s() + max(0.0, self.busy_until_s - self._clock.now_s())

    def spend(self, seconds: float) -> None:
        """Let a call take its time."""
        until_s = self.now_s() + seconds
        if not isinstance(self._clock, VirtualClock):
            while (left_s := until_s - self._clock.now_s()) > 0.0:
                self._clock.wait_until(self._clock.monotonic_s() + left_s)
        self.busy_until_s = max(self.busy_until_s, until_s)
        self.live()

    def live(self) -> None:
        """Let faults strike and a procedure go on, up to now."""
        now_s = self.now_s()
        for at_s, index in iter(lambda: min(self._due(), default=(math.inf, -1)), None):
            if at_s > now_s:
                break
            fault, course = self._faults[index], self._courses[index]
            if course.phase == "armed":
                course.phase, course.at_s = "active", None if fault.for_s is None else at_s + fault.for_s
                if fault.kind == "usb_gone":
                    self.front.connected = self.front.connected and not self.settings.notices_unplugging
                elif fault.kind == "mains_gone":
                    self.front = Front(title=self.front.title, counts=self.front.counts)  # its relays fall open
            else:
                course.phase, course.at_s = "done", None
                if fault.kind in _GONE:
                    self.front.connected = False
            self.save()
        live_through(self, now_s)

    def _due(self) -> Iterator[tuple[float, int]]:
        for index, course in enumerate(self._courses):
            if course.at_s is not None:
                yield course.at_s, index

    def next_event_s(self) -> float | None:
        """Wall time of the next thing that somebody who watches would want to see."""
        now_s = self._clock.now_s()
        due = [at_s for at_s, _ in self._due()]
        if self.busy_until_s > now_s:
            due.append(self.busy_until_s)
        if self.front.run is not None and not self.front.run["ended"]:
            due.extend(at_s for at_s, _, _ in self.front.run["todo"][:1])
        return min((at_s for at_s in due if at_s > now_s), default=None)

    def fault(self, kind: str) -> Fault | None:
        """Return the active fault of a kind."""
        pairs = zip(self._faults, self._courses, strict=True)
        return next((fault for fault, course in pairs if fault.kind == kind and course.phase == "active"), None)

    def announce(self, title: str) -> None:
        """A sweep of this title follows: its noise, and faults that wait for it."""
        self.live()
        if title != self.front.title:
            self.front.title, self.front.counts = title, {}
        for fault, course in zip(self._faults, self._courses, strict=True):
            if course.phase == "armed" and fault.title and fault.title in title and course.at_s is None:
                course.at_s = self.now_s() + fault.after_s
        self.save()

    # ------------------------------------------------------------------------------------ calls of the SDK

    def touch(self) -> None:
        """Every call of the SDK that reaches the instrument begins here.

        Raises
        ------
        SdkError
            The cable is out, or nobody has connected.
        """
        self.live()
        if any(self.fault(kind) is not None for kind in _GONE):
            raise SdkError("Exception has been thrown by the target of an invocation: device I/O error (USB)")
        if not self.front.connected:
            raise SdkError("Object reference not set to an instance of an object: no instrument is connected")

    def connect(self) -> None:
        """Take the instrument over USB, for oneself alone."""
        self.spend(CONNECT_s)
        if any(self.fault(kind) is not None for kind in _GONE):
            raise SdkError("No Autolab found")
        if self.fault("nova_holds") is not None:
            raise SdkError("Access is denied: the instrument is in use by another process")
        self.front.connected = True
        self.front.run = None  # a procedure lives in the process that began it
        self.save()

    def is_connected(self) -> bool:
        """What IsConnected says."""
        self.live()
        return self.front.connected

    def switch_cell(self, on: bool) -> None:
        """Close or open the cell relay."""
        self.touch()
        self.front.cell_on = on
        self.save()

    def sample(self) -> None:
        """Take one sample of 25 ms; Current, Potential and the overload flags hold it until the next."""
        self.touch()
        self.spend(SAMPLE_s)
        if self.fault("latched") is not None:
            return
        front, noise = self.front, self.settings.noise
        rng = self.random("sample")
        rest_V, full_A = self.rest_V(), FULL_SCALE_A[front.range]
        ac_V, Y = self._ac_V(), self._admittance_S(front.frequency_Hz)
        turn = 2.0 * math.pi * rng.random()
        smooth = float(np.sinc(front.frequency_Hz * SAMPLE_s)) * math.sqrt(2.0)
        direct_A = (front.setpoint_V - rest_V) * self._admittance_S(_DC_Hz).real if front.cell_on else 0.0
        stray = self.fault("overload")
        stray_A = stray.by if stray is not None else 0.0
        peak_A = abs(direct_A) + math.sqrt(2.0) * (abs(Y) * ac_V + stray_A)
        front.current_overload = peak_A > OVERLOAD * full_A
        front.potential_overload = abs(front.setpoint_V if front.cell_on else rest_V) > 10.0
        current_A = direct_A + smooth * ac_V * (Y * complex(math.cos(turn), math.sin(turn))).real
        current_A += zero_offset_A(full_A) + noise.sample_A * float(rng.standard_normal())
        step_A = 3.05e-6 * full_A * (1 if abs(current_A) < 0.09 * full_A else 10 if abs(current_A) < full_A else 100)
        front.current_A = round(current_A / step_A) * step_A
        potential_V = (front.setpoint_V if front.cell_on else rest_V) * (0.97 if front.current_overload else 1.0)
        potential_V += smooth * ac_V * math.cos(turn) + POTENTIAL_OFFSET_V
        potential_V += POTENTIAL_NOISE_V * float(rng.standard_normal())
        front.potential_V = round(potential_V / POTENTIAL_STEP_V) * POTENTIAL_STEP_V

    def start_fra(self) -> None:
        """Measure one point at the frequency that is set.

        Raises
        ------
        SdkError
            The rig's FRA raises on overload, and it was one.
        """
        self.touch()
        front = self.front
        periods = periods_of(front.frequency_Hz, at_least_s=front.integration_s, at_least=front.cycles)
        self.spend(periods / front.frequency_Hz)
        point = self.measure_point(front.frequency_Hz, periods, front.range)
        if point.overload and self.settings.overload == "raises":
            self.save()
            raise SdkError("FRA measurement failed: signal out of range")
        if not (point.overload and self.settings.overload == "stale"):
            front.point = (point.Z_ohm.real, point.Z_ohm.imag)
            front.point_s = self.now_s()
        self.save()

    def measure_point(self, frequency_Hz: float, periods: int, name: str) -> Point:
        """Return what the analyser makes of the cell as it is now, on a range."""
        full_A = FULL_SCALE_A[name]
        sine = Excitation(frequency_Hz=frequency_Hz, amplitude_V_rms=self._ac_V(), full_A=full_A, periods=periods)
        left = self.settings.bandwidth_left * float(self._generator("corner", name).standard_normal())
        stray = self.fault("overload")
        return measure(
            self._admittance_S(frequency_Hz) if self._ac_V() else 0j,
            sine,
            self.settings.noise,
            self.random(f"{frequency_Hz:.6g}"),
            calibration_error=left,
            stray_A=stray.by if stray is not None else 0.0,
        )

    def expected_peak_A(self, frequency_Hz: float) -> float:
        """Return the highest current a sine of the present amplitude drives."""
        stray = self.fault("overload")
        stray_A = stray.by if stray is not None else 0.0
        return math.sqrt(2.0) * (abs(self._admittance_S(frequency_Hz)) * self._ac_V() + stray_A)

    # --------------------------------------------------------------------------------------- the cell

    def rest_V(self) -> float:
        """Return the cell's voltage without current."""
        jump = self.fault("bias_jump")
        return self._sample.truth.open_circuit_V + (jump.by if jump is not None else 0.0)

    def _ac_V(self) -> float:
        """Return the sine at the cell (rms): none without generator relay, analyser and cell relay."""
        front = self.front
        if not (front.cell_on and front.dsg_on and front.fra_on):
            return 0.0
        return front.amplitude / (math.sqrt(2.0) if self.settings.amplitude_kind == "peak" else 1.0)

    def _admittance_S(self, frequency_Hz: float) -> complex:
        if self.fault("open_cell") is not None:
            return complex(self._sample.open_S(frequency_Hz))
        Y = complex(self._sample.admittance_S(frequency_Hz, self._temperature_K()))
        short = self.fault("short_cell")
        return Y if short is None else Y + 1.0 / max(short.by, 1e-3)

    # ---------------------------------------------------------------------------------- noise, state

    def random(self, what: str) -> np.random.Generator:
        """Return the noise of the next measurement of this kind under the present title."""
        key = f"{self.front.title}|{what}"
        number = self.front.counts.get(key, 0)
        self.front.counts[key] = number + 1
        return self._generator(key, number)

    def _generator(self, *key: object) -> np.random.Generator:
        digest = hashlib.blake2b("\x1f".join(map(str, (self._seed, *key))).encode("utf-8"), digest_size=16).digest()
        return np.random.default_rng(int.from_bytes(digest, "big"))

    def save(self) -> None:
        """Write the state to disk; from here a killed process is taken up."""
        self._file.save(
            {
                "born_s": self.born_s,
                "now_s": self.now_s(),
                "front": {name: getattr(self.front, name) for name in _FRONT},  # not asdict: its deep copies cost most
                "courses": [[course.phase, course.at_s] for course in self._courses],
            }
        )

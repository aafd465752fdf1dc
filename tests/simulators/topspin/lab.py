"""A small simulated lab for tests: one console, a virtual clock, and AU programs as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from labctl.clock import VirtualClock
from labctl_sim_topspin import SimulatedTopspin, open_simulator

START_S = 1_790_000_000.0

SAMPLE = """\
version: 1
name: three lines
nmr:
  nucleus: 6Li
  sites:
    A: {shift: 12 ppm, width: 25 Hz}
    B: {shift: 3 ppm, width: 20 Hz}
    C: {shift: -9 ppm, width: 30 Hz}
  relaxation:
    A: {T1: 2 s}
    B: {T1: 2 s}
    C: {T1: 2 s}
  exchange:
    discrete:
      populations: {A: 0.5, B: 0.3, C: 0.2}
      rates: [{from: A, to: B, rate: 0.5 1/s, Ea: 0.1 eV}]
  probe: {p90: 4.9 us}
  drift: {field: 0 Hz/h}
  noise_per_scan: 0.001
"""

SHIFTS_ppm = {"A": 12.0, "B": 3.0, "C": -9.0}


class Lab:
    """A console in a folder; `again` opens it as a fresh process would."""

    def __init__(
        self, folder: Path, *, faults: str = "", seed: int = 1, sample: str = SAMPLE, **simulator: Any
    ) -> None:
        self.folder = folder
        self.simulator_settings: Mapping[str, Any] = {"layout": "4.0.8", **simulator}
        self.seed = seed
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sample.yaml").write_text(sample, encoding="utf-8")
        self.faults: Path | None = None
        if faults:
            self.faults = folder / "faults.yaml"
            self.faults.write_text(f"version: 1\nfaults:\n{faults}", encoding="utf-8")
        self.again(START_S)

    def again(self, at_s: float = 0.0) -> None:
        """Open the lab that is kept in the folder; the clock starts where the lab is."""
        self.clock = VirtualClock(at_s)
        self.simulator: SimulatedTopspin = open_simulator(
            station="nmr",
            state_dir=self.folder / "lab",
            clock=self.clock,
            seed=self.seed,
            sample=self.folder / "sample.yaml",
            settings={"simulator": self.simulator_settings},
            faults=self.faults,
        )
        self.console = self.simulator.console
        self.clock.wait_until(self.simulator.now_s())
        self.clock.add_source(self.simulator.next_event_s)
        self.link = self.simulator.link()

    @property
    def now_s(self) -> float:
        """Time since the lab was made."""
        return self.clock.now_s() - START_S

    def wait(self, seconds: float) -> None:
        """Let time pass, looking whenever something happens."""
        until_s = self.clock.now_s() + seconds
        while self.clock.now_s() < until_s:
            self.clock.wait_until(until_s)
            self.link.refresh()

    def jump(self, seconds: float) -> None:
        """Let time pass without a look in between."""
        clock = VirtualClock(self.clock.now_s() + seconds)
        clock.add_source(self.simulator.next_event_s)
        self.clock = clock
        self.simulator._clock = clock
        self.link = self.simulator.link()
        self.link.refresh()

    def start(self, name: str, body: str, *args: str) -> None:
        """Install an AU program (statements; QUIT and what it says to the outside are added) and start it."""
        (self.link.au_dir / name).write_text(f"{body}\nQUIT\n", encoding="utf-8")
        self.link.launch(" ".join(["xau", name, *args]))

    def run(self, body: str, *, name: str = "program", within_s: float = 1e7) -> None:
        """Run an AU program to its end."""
        self.start(name, body)
        deadline_s = self.clock.now_s() + within_s
        while any(item.machine.name == name for item in self.console.programs.running.values()):
            self.clock.wait_until(deadline_s)
            self.link.refresh()
            assert self.clock.now_s() < deadline_s, self.console.messages
        assert not any("broke" in message for message in self.console.messages), self.console.messages

    def dataset(self, expno: int, template: int, *statements: str, name: str = "t") -> str:
        """AU statements that make an EXPNO from a template, title it, and set parameters."""
        data = self.link.data_dir.as_posix()
        return "\n".join(
            [
                "{ FILE *f; char path[600];",
                f'DATASET("labctl-templates", {template}, 1, "{data}", user)',
                f'DATASET("{name}", {expno}, 1, "{data}", user)',
                'strcpy(path, PROCPATH("title"));',
                f'f = fopen(path, "w"); fprintf(f, "{name} {expno}\\n"); fclose(f);',
                *statements,
                "}",
            ]
        )

    def expno(self, expno: int, name: str = "t") -> Path:
        """The folder of an EXPNO."""
        return self.link.data_dir / name / str(expno)

    def acquire_exsy(
        self,
        expno: int = 41,
        *,
        rows: int = 48,
        fnmode: int = 5,
        scans: int = 2,
        mixing_s: float = 1.0,
        points: int = 1024,
    ) -> Path:
        """Acquire a 2D and let its data arrive; returns its folder."""
        body = self.exsy(expno, rows=rows, fnmode=fnmode, scans=scans, mixing_s=mixing_s, points=points)
        self.run(f"{body}\nZG")
        self.wait(60.0)
        return self.expno(expno)

    def exsy(
        self,
        expno: int = 41,
        *,
        rows: int = 48,
        fnmode: int = 5,
        scans: int = 2,
        mixing_s: float = 1.0,
        points: int = 1024,
    ) -> str:
        """AU statements that prepare a 2D; 400 us increments."""
        return self.dataset(
            expno,
            4,
            f'STOREPARN(1, "TD", {rows}) STOREPARN(1, "FnMODE", {fnmode})',
            f'STOREPAR("INF 1", 400.0) STOREPAR("TD", {points}) STOREPAR("NS", {scans}) STOREPAR("DS", 0)',
            f'STOREPAR("D 1", 10.0) STOREPAR("D 8", {mixing_s})',
        )


def ppm_axis(points: int, width_Hz: float, larmor_MHz: float) -> npt.NDArray[np.float64]:
    """Axis of a spectrum after fftshift and reversal, carrier at 0 ppm: the left end is high."""
    return np.fft.fftshift(np.fft.fftfreq(points, 1.0 / width_Hz))[::-1] / larmor_MHz

"""Campaigns that are designed or decide for themselves, on samples drawn from what is believed beforehand.

The two-phase sample that design figures are quoted for: a sphere in a shell of equal volume, one D, Ea about 0.12 eV,
T1 16.7 s at 20 degC; five temperatures by seven mixing times of 320 rows are the grid they are compared with. The truth
stands in sample files alone.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.matrices import ExchangeMatrix
from labctl.cli.designing import design_command
from labctl.cli.planning import checked
from labctl.design.ask import Question, question
from labctl.design.belief import BOLTZMANN_EV_PER_K
from labctl.design.follow import what_follows
from labctl.design.model import information_of, standard_errors
from labctl.design.written import yaml_text
from labctl.plan.estimate import estimate
from labctl.ports import Acquire, Exsy
from labctl.protocol.load import load_protocol
from labctl_sim_sample import NmrSample, load_sample
from tests.whole.campaigns import run_without_report

FloatArray = NDArray[np.float64]

LAB = Path(__file__).parents[2] / "protocols" / "labs" / "simulated.yaml"
LARMOR_MHZ = 73.578
GOAL_EV = 0.010
KD_PER_S, KD_WITHIN = 0.003, 3.3
EA_EV, EA_WITHIN_EV = 0.12, 0.05
T1_S, T1_EA_EV = 16.7, 0.09
GRID_TEMPERATURES_C = (20, 40, 60, 80, 100)
GRID_TMIX_S = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
NOISE_PER_SCAN = 0.327
NOISE_PERCENT = 0.655
"""Of 320 rows of 8 scans; the grid then knows Ea to 10 meV at kD 0.003 /s and Ea 0.107 eV."""


def T1_at(celsius: float) -> float:
    """Return T1 [s]."""
    lever = 1 / (celsius + 273.15) - 1 / 293.15
    return float(T1_S * np.exp(T1_EA_EV / BOLTZMANN_EV_PER_K * lever))


@dataclass(frozen=True)
class Truth:
    """kD at 20 degC, Ea, volume of the shell over that of the core."""

    kD_per_s: float
    Ea_eV: float
    shell: float

    def sample(
        self,
        *,
        inhomogeneous: float = 0.0,
        drift: str = "{field: 0 Hz/h}",
        geometry: str = "sphere",
        T1_times: float = 1.0,
        hidden: float = 0.0,
    ) -> str:
        """Return the sample file; a part `hidden` of LPSC has a line that the protocol does not name."""
        rate = f"density: 20 1/nm^3, kD: {self.kD_per_s!r} 1/s, Ea: {self.Ea_eV!r} eV"
        outer = float(np.cbrt(1 + self.shell)) if geometry == "sphere" else 1 + self.shell
        line = f"inhomogeneous: {inhomogeneous}"
        both = f"width: 15 Hz, {line}, phase: LPSC"
        LPSC = f"{{shift: 1.29 ppm, {both}, fraction: {1 - hidden}}}"
        more = f", unnamed: {{shift: -1 ppm, {both}, fraction: {hidden}}}" if hidden else ""
        T1 = f"{{T1: {T1_S * T1_times} s, Ea: {T1_EA_EV} eV}}"
        return f"""\
version: 1
name: sphere in a shell
nmr:
  nucleus: 6Li
  reference_temperature: 293.15 K
  sites: {{Li2S: {{shift: 2.31 ppm, width: 30 Hz, {line}}}, LPSC: {LPSC}{more}}}
  relaxation: {{Li2S: {T1}, LPSC: {T1}}}
  exchange:
    layered:
      geometry: {geometry}
      layers: [{{phase: Li2S, outer: 1, {rate}}}, {{phase: LPSC, outer: {outer!r}, {rate}}}]
  probe: {{p90: 4.9 us, rf_spread: 3 %, comb_leaves: 0.5 %}}
  noise_per_scan: {NOISE_PER_SCAN}
  drift: {drift}
"""


def truths(count: int, seed: int = 20210503) -> list[Truth]:
    """Return samples drawn from the belief that the protocols state."""
    random = np.random.default_rng(seed)
    found: list[Truth] = []
    while len(found) < count:
        one = Truth(
            kD_per_s=float(KD_PER_S * KD_WITHIN ** random.normal()),
            Ea_eV=float(EA_EV + EA_WITHIN_EV * random.normal()),
            shell=float(np.exp(np.sqrt(2) * 0.02 * random.normal())),
        )
        if one.Ea_eV > 0:  # all but one in a hundred
            found.append(one)
    return found


COMMON = """\
      station: nmr500
      ramp: 2 K/min
      settle: {within: 0.5 K, for: 30 min, give_up: 90 min, shift: none}
      spinning: 10 kHz
      tune: operator
      p90: {each_temperature: false}
      increment: 0.8 ms
      points: 512
      spectral_width: 5000 Hz
      order: as_written
      analysis: {layers: [Li2S, LPSC], geometry: sphere, diffusivity: one, contact_fraction: full}
"""

BELIEVED = f"""\
        goal: {{Ea: {1e3 * GOAL_EV:g} meV}}
        budget: 400 h
        populations: {{Li2S: 1, LPSC: 1}}
        kD: {KD_PER_S} /s
        kD_within: {KD_WITHIN}
        Ea: {1e3 * EA_EV:g} meV
        Ea_within: {1e3 * EA_WITHIN_EV:g} meV
        T1_Ea: {1e3 * T1_EA_EV:g} meV
        widths: {{Li2S: 30 Hz, LPSC: 15 Hz}}
        noise: {NOISE_PERCENT} %
"""


def protocol(temperatures_C: Sequence[float], tmix_s: Sequence[float], rows: int, times_T1: float, rest: str) -> str:
    """Return a protocol for these samples."""
    expected = ", ".join(f"{T1_at(one):.4g} s" for one in temperatures_C)
    return (
        "version: 1\ncampaign: study\nsample: {name: sphere in a shell, nucleus: 6Li, "
        "sites: {Li2S: 2.31 ppm, LPSC: 1.29 ppm}}\nprocedures:\n  - vt_exsy:\n"
        f"      temperatures: [{', '.join(f'{one} degC' for one in temperatures_C)}]\n"
        f"{COMMON}      t1: {{expect: [{expected}], delays: {{from: 50 ms, to: 60 s, points: 10, spacing: log}}}}\n"
        f"      recycle_delay: {{times_T1: {times_T1}, of: slowest, max: 60 s}}\n"
        f"      mixing_times: [{', '.join(f'{one} s' for one in tmix_s)}]\n"
        f"      increments: {rows}\n      scans: 8\n{rest}on_fault: {{nmr500: safe}}\n"
    )


GRID = protocol(GRID_TEMPERATURES_C, GRID_TMIX_S, 320, 3.0, f"      design:\n{BELIEVED}        rows: [32, 48]\n")
ADAPTIVE = protocol(
    (20,), (0.01, 2.0), 32, 1.5,
    "      return_to_first_temperature: true\n      adapt:\n"
    f"        temperatures: [{', '.join(f'{one} degC' for one in GRID_TEMPERATURES_C)}]\n{BELIEVED}",
)  # fmt: skip


def asked(path: Path) -> Question:
    """Return what a protocol asks, with overheads as its plan has them."""
    done = checked(path, LAB)
    model = done.protocol.model
    procedure = model.procedures[0]
    return question(procedure.vt_exsy, model.sample_of(procedure), LARMOR_MHZ, done.plan.steps)


def hours(path: Path) -> float:
    """Return what `labctl plan` reckons with."""
    return estimate(checked(path, LAB).plan).expected_s / 3600


@dataclass(frozen=True)
class Study:
    """Protocols written into a folder: the grid, what is designed from the same prior, the adaptive one."""

    folder: Path
    grid: Question

    @classmethod
    def prepare(cls, folder: Path) -> Study:
        """Write the protocols and a lab whose polls are as far apart as a lab's may be."""
        (folder / "grid.yaml").write_text(GRID, encoding="utf-8")
        (folder / "adaptive.yaml").write_text(ADAPTIVE, encoding="utf-8")
        seldom = LAB.read_text(encoding="utf-8").replace("guard_poll: 5 s", "guard_poll: 60 s")
        (folder / "lab.yaml").write_text(seldom, encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()):
            design_command(folder / "grid.yaml", LAB, folder / "designed.yaml")
        return cls(folder=folder, grid=asked(folder / "grid.yaml"))

    def grid_se_eV(self, truth: Truth) -> float:
        """Return the error of Ea that the grid would have of a sample, by its Fisher information at the truth."""
        model = self.grid.model
        lever = -(1 / model.reference_K - 1 / 293.15) / BOLTZMANN_EV_PER_K
        theta = np.array([np.log(truth.kD_per_s) + truth.Ea_eV * lever, truth.Ea_eV, 0.0, -np.log(truth.shell)])
        free = [model.names.index(name) for name in model.names if name != "ln contact"]
        told = information_of(model, theta[None], self.grid.author)[0][np.ix_(free, free)]
        return float(standard_errors(told)[free.index(model.names.index("Ea_eV"))])

    def grid_hours(self, truth: Truth, se_eV: float) -> float:
        """Return the hours of the grid if its scans were so many that Ea had an error of `se_eV`."""
        acquired_h = sum(map(self.grid.costs.dataset_s, self.grid.author)) / 3600
        overhead_h = self.grid.costs.total_s(self.grid.author) / 3600 - acquired_h
        return overhead_h + acquired_h * (self.grid_se_eV(truth) / se_eV) ** 2

    def simulate(self, kind: str, truth: Truth, seed: int, sample: str = "") -> Ended:
        """Go through a campaign with the sample's spins alone: no console, no engine, hours as planned.

        Amplitudes come from the simulators' finite volumes, with the noise of the estimator; Ea is the posterior's.
        """
        at = self.folder / f"{kind}{seed}.spins.yaml"
        at.write_text(sample or truth.sample(), encoding="utf-8")
        spins, random = load_sample(at).nmr, np.random.default_rng(seed)
        path = self.folder / f"{kind}.yaml"
        document: Mapping[str, Any] = load_protocol(path).located.data
        adaptive = asked(self.folder / "adaptive.yaml") if kind == "adaptive" else self.grid
        found: list[ExchangeMatrix] = []
        stop = ""
        while True:
            done = checked(path, LAB)
            steps = [one.task for one in done.plan.steps if one.role == "exsy" and isinstance(one.task, Acquire)]
            found += [_measured(adaptive, spins, task, random, len(found)) for task in steps[len(found) :]]
            spent_s = estimate(done.plan).expected_s
            follows = what_follows(adaptive, document, 0, found, {}, spent_s=spent_s)
            if follows.document is None or kind != "adaptive":
                stop = follows.decision.stop
                break
            document, path = follows.document, self.folder / f"{kind}{seed}.amended.yaml"
            path.write_text(yaml_text(document), encoding="utf-8")
        Ea = adaptive.model.names.index("Ea_eV")
        return Ended(
            kind=kind,
            truth=truth,
            hours=spent_s / 3600,
            Ea_eV=float(follows.belief.mean[Ea]),
            se_eV=float(np.sqrt(follows.belief.covariance[Ea, Ea])),
            datasets=len(found),
            stop=stop,
            warnings=(),
        )

    def run(self, kind: str, truth: Truth, seed: int, sample: str = "") -> Ended:
        """Rehearse a campaign (`designed` or `adaptive`) on a sample and return what it ended with."""
        name = f"{kind}{seed}"
        at, run_dir = self.folder / f"{name}.sample.yaml", self.folder / name
        at.write_text(sample or truth.sample(), encoding="utf-8")
        command = ["run", str(self.folder / f"{kind}.yaml"), "--lab", str(self.folder / "lab.yaml")]
        assert run_without_report([*command, "--simulate", str(at), "--dir", str(run_dir), "--seed", str(seed)]) == 0
        document = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
        fit = next(one for one in document["exsy"]["fits"] if one.get("scope") == "campaign")
        phase, ran = fit["phases"][0], document["provenance"]
        messages = [
            json.loads(one.read_text(encoding="utf-8"))["verdict"]["message"]
            for one in sorted((run_dir / "datasets").rglob("*.json"))
        ]
        return Ended(
            kind=kind,
            truth=truth,
            hours=(ran["ended_s"] - ran["begun_s"]) / 3600,
            Ea_eV=phase["Ea_eV"] if phase["Ea_eV"] is not None else np.nan,
            se_eV=phase["Ea_se_eV"] if phase["Ea_eV"] is not None else np.inf,
            datasets=len(document["exsy"]["matrices"]),
            stop=next((one.split("nothing more is measured: ")[1] for one in messages if "nothing more" in one), ""),
            warnings=tuple(sorted({one["code"] for one in document["warnings"]})),
        )


@dataclass(frozen=True)
class Ended:
    """What a campaign ended with, by the analysis that knows nothing of the design."""

    kind: str
    truth: Truth
    hours: float
    Ea_eV: float
    se_eV: float
    datasets: int
    stop: str
    warnings: tuple[str, ...]

    @property
    def z(self) -> float:
        """Error of Ea over what is stated."""
        return (self.Ea_eV - self.truth.Ea_eV) / self.se_eV


def summary(study: Study, ended: Sequence[Ended]) -> str:
    """Return one line of figures for campaigns of a kind."""
    gains = [study.grid_hours(one.truth, one.se_eV) / one.hours for one in ended]
    z = np.array([one.z for one in ended])
    errors = 1e3 * np.array([one.se_eV for one in ended])
    spent = np.array([one.hours for one in ended])
    whole_h = study.grid.costs.total_s(study.grid.author) / 3600
    return (
        f"{len(ended)} {ended[0].kind}: hours {np.median(spent):.1f} ({spent.min():.1f} to {spent.max():.1f}), "
        f"se {np.median(errors):.1f} meV ({errors.min():.1f} to {errors.max():.1f}), "
        f"grid {whole_h:.0f} h ({whole_h / np.median(spent):.1f} x), at equal se {np.median(gains):.1f} x "
        f"({min(gains):.1f} to {max(gains):.1f}); rms z {np.sqrt(np.mean(z**2)):.2f}, "
        f"|z| > 2 in {np.sum(np.abs(z) > 2)}"
    )


def _measured(
    asked: Question, spins: NmrSample, task: Acquire, random: np.random.Generator, number: int
) -> ExchangeMatrix:
    """One 2D of a sample as the estimator would read it."""
    assert isinstance(task.experiment, Exsy)
    T_K, rows = task.sample_K, task.experiment.rows
    A = spins.recycled_mixing_matrix(
        T_K, task.experiment.mixing_time_s, pulse_s=spins.p90_s(T_K), recycle_s=task.recycle_delay_s
    )
    covariance = asked.model.covariance(rows) / task.scans
    noise = np.linalg.cholesky(covariance) @ random.normal(size=len(covariance))
    return ExchangeMatrix(
        step_id=f"{number}",
        T_K=T_K,
        tmix_s=task.experiment.mixing_time_s,
        recycle_delay_s=task.recycle_delay_s,
        rows=rows,
        scans=task.scans,
        A=A + noise.reshape(A.shape),
        covariance=covariance,
    )

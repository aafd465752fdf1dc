"""Pilot data in the place of what an author believes: the protocol they give, and the belief they leave.

Data win over what was typed: whoever points to them asks for that. What is typed stands where they are silent, and is
the prior that they correct where they say something of it. A contradiction is said, and then the typed value hardly
counts any more.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.pilot import Pilot
from labctl.design.ask import LINES_FOUND_TOO, Question
from labctl.design.belief import BOLTZMANN_EV_PER_K, Belief
from labctl.design.encoding import Lines
from labctl.design.follow import as_noisy_as, relaxing_as_measured
from labctl.design.learn import Seen, learn
from labctl.design.model import Block, Model
from labctl.design.written import time_text
from labctl.protocol.design import Design, of_phase
from labctl.protocol.vt_exsy import VtExsy

FloatArray = NDArray[np.float64]

RESOLVED = 0.3
"""A T1 with a larger relative error is not taken."""
SAME = 1.3
"""Widths, populations and T1 that differ by no more than this factor agree for the purpose of a plan."""
FAR = 3.0
"""A rate or an Ea that lies so many standard errors of the prior away contradicts it."""
_ANY_RATE = 30.0
"""Factor, one standard error, by which a rate that nobody typed may be off."""
_STARTS = (3e-3, 0.1, 3.0)
"""kD x mean Tmix from which the fit of an untyped rate begins."""
MISFIT = 1.5
"""A larger chi2 per degree of freedom is said, and widens the belief."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a design takes from pilot data: lines for people, and the contradictions among them."""

    told: tuple[str, ...]
    contradictions: tuple[str, ...] = ()

    def __add__(self, other: Taken) -> Taken:
        return Taken(told=self.told + other.told, contradictions=self.contradictions + other.contradictions)


def filled(document: Mapping[str, Any], place: int, wanted: VtExsy, pilot: Pilot) -> tuple[dict[str, Any], Taken]:
    """Return the protocol with what the pilot's spectra say, and something plausible for each key that is missing.

    Parameters
    ----------
    document : mapping
        The protocol, plain data; the `vt_exsy` at `place` (counted from 0) has a `design` block.
    """
    assert wanted.design is not None
    assert wanted.analysis is not None
    new = copy.deepcopy(dict(document))
    block = new["procedures"][place]["vt_exsy"]
    design, phases = block["design"], wanted.analysis.layers
    notes = _Notes(pilot.source)
    widths = {one: float(np.mean([lines[one].fwhm_Hz for _, lines in pilot.lines])) for one in phases}
    notes.compare("widths", "Hz", widths, {one: of_phase(wanted.design.widths_Hz, one) for one in phases})
    design["widths"] = {one: f"{value:.4g} Hz" for one, value in widths.items()}
    T1 = {one: [fit.T1_s for fit in _resolved(pilot) if fit.site == one] for one in phases}
    if wanted.t1 is not None and wanted.t1.expect_s is None and any(T1.values()):
        every = [value for values in T1.values() for value in values]
        block["t1"]["expect"] = {one: time_text(float(np.median(T1[one] or every))) for one in phases}
    populations = _populations(pilot, T1)
    typed = wanted.design.populations
    whole = sum(typed.values())
    shares = {one: typed[one] / whole if whole and one in typed else None for one in phases}
    found = dict(zip(phases, populations, strict=True))
    notes.compare("populations", "", found, shares)
    design["populations"] = {one: float(f"{value:.4g}") for one, value in found.items()}
    if not wanted.design.kD_per_s:
        design["kD"] = f"{0.1 / float(np.mean([one.tmix_s for one in pilot.matrices])):.3g} /s"
    if wanted.design.noise is None:
        design["noise"] = "1 %"
    return new, notes.taken()


def relaxed(document: Mapping[str, Any], place: int, wanted: VtExsy, asked: Question, pilot: Pilot) -> dict[str, Any]:
    """Return the protocol with T1 as measured, for each of its temperatures."""
    return with_expected_T1(
        document, place, replace(asked, model=_model_with_T1(asked, pilot)), [*wanted.temperatures_K]
    )


def with_expected_T1(
    document: Mapping[str, Any], place: int, asked: Question, temperatures_K: Sequence[float]
) -> dict[str, Any]:
    """Return the protocol that expects the T1 of the question at temperatures [K], which are those of the procedure."""
    new = copy.deepcopy(dict(document))
    block = new["procedures"][place]["vt_exsy"]
    values = np.array([asked.model.relaxing.at(T_K) for T_K in temperatures_K])
    block["t1"]["expect"] = {
        phase: [time_text(float(f"{one:.3g}")) for one in values[:, place_]]
        for place_, phase in enumerate(asked.model.phases)
    }
    return new


def learnt(asked: Question, pilot: Pilot, design: Design) -> tuple[Question, Taken]:
    """Return the question with lines, noise, T1 and the belief as the pilot leaves them.

    What the pilot knows of a wanted Ea is not counted towards the goal: the proposed 2Ds reach it by themselves. So a
    wanted Ea is believed no better than `design.Ea_within`, while rates stay known where they were measured.
    """
    notes = _Notes(pilot.source)
    phases = asked.model.phases
    before_s = {one: float(asked.model.T1_s(T_K)) for one, T_K in _extremes(asked)}
    model = _with_lines(_model_with_T1(asked, pilot), pilot)
    resolved = _resolved(pilot)
    if resolved:
        values = {
            f"{phase} at {T_K - 273.15:.0f} °C": float(model.relaxing.at(T_K)[place])
            for place, phase in enumerate(phases)
            for T_K in asked.choices.temperatures_K[:: max(1, len(asked.choices.temperatures_K) - 1)]
        }
        notes.say("T1", ", ".join(f"{name} {value:.3g} s" for name, value in values.items()))
        for name, T_K in _extremes(asked):
            if not _alike(before_s[name], model.T1_s(T_K)):
                notes.contradict(
                    f"the slowest T1 at {T_K - 273.15:.0f} °C was expected to be {before_s[name]:.3g} s; measured, it "
                    f"is {model.T1_s(T_K):.3g} s, which is taken"
                )
    else:
        notes.say("T1", "as expected in the protocol (the pilot has none that is resolved)")
    seen = _seen(pilot)
    freedom = max(1, sum(one.values.size - 1 for one in seen) - len(asked.belief.names))
    prior = asked.belief if design.kD_per_s else _of_any_rate(model, asked.belief, seen, contradicted=False)
    belief = _learnt(model, prior, seen)
    chi2 = _chi2(model, belief.mean, seen)
    if design.kD_per_s and (chi2 / freedom > MISFIT or _far(prior, belief)):  # what was typed may be in the way
        wide = _of_any_rate(model, asked.belief, seen, contradicted=True)
        freely = _learnt(model, wide, seen)
        if _chi2(model, freely.mean, seen) < chi2 - FAR**2 or _far(prior, freely):
            prior, belief, chi2 = wide, freely, _chi2(model, freely.mean, seen)
            notes.contradictions += [
                f"{name} was believed to be {_shown(name, was)} ± {_spread(name, sd)}; the pilot moves it to "
                f"{_shown(name, is_)}, which is taken"
                for name, was, sd, is_ in _far(asked.belief, belief)
            ]
    if chi2 / freedom > MISFIT:
        belief = _learnt(model, prior, [replace(one, covariance=one.covariance * chi2 / freedom) for one in seen])
        notes.contradict(
            f"layered diffusion as stated fits the pilot badly (chi2 per degree of freedom: {chi2 / freedom:.1f}); its "
            "errors are widened by the root of that, and the forecast rests on a model that the data doubt"
        )
    noisy = as_noisy_as(replace(asked, model=model, belief=belief), seen)
    noise = noisy.noise / LINES_FOUND_TOO  # as a protocol states it, of lines that are known
    rows, scans = asked.model.encoding.noise_rows, asked.model.encoding.noise_scans
    notes.say("noise", f"{100 * noise:.3g} % of an amplitude in {rows} rows of {scans} scans")
    if design.noise is not None and not _alike(design.noise.amplitude_percent / 100, noise):
        typed = design.noise.amplitude_percent
        notes.contradict(f"noise was typed as {typed:.3g} %; the pilot has {100 * noise:.3g} %, which is taken")
    mean_K = float(np.mean([one.block.T_K for one in seen]))
    rates, energies = _indices(belief)
    for rate, energy in zip(rates, energies, strict=True):
        notes.say(belief.names[rate].removeprefix("ln "), _rate(model, belief, rate, energy, mean_K))
        known = float(np.sqrt(belief.covariance[energy, energy]))
        said = f"{1e3 * belief.mean[energy]:.0f} ± {1e3 * known:.0f} meV"
        notes.say(belief.names[energy].replace("Ea_eV", "Ea"), said)
    belief = _goal_by_itself(belief, asked, design.Ea_within_eV, mean_K)
    return replace(asked, model=replace(model, encoding=noisy), belief=belief), notes.taken()


# ------------------------------------------------------------------------------------------------ spectra


def _resolved(pilot: Pilot) -> list[Any]:
    return [one for one in pilot.recoveries if one.T1_se_s < RESOLVED * one.T1_s]


def _populations(pilot: Pilot, T1: Mapping[str, Sequence[float]]) -> FloatArray:
    """Share of each phase: rows of the shortest mixing times, what did not recover in the recycle delay given back."""
    shortest = min(one.tmix_s for one in pilot.matrices)
    shares = []
    for one in pilot.matrices:
        if one.tmix_s > 2 * shortest:
            continue
        rows = one.A.sum(axis=1)
        known = [float(np.median(values)) if values else np.nan for values in T1.values()]
        if not np.isnan(known).any():
            rows = rows * np.exp(one.tmix_s / np.array(known)) / -np.expm1(-one.recycle_delay_s / np.array(known))
        shares.append(np.clip(rows / rows.sum(), 1e-3, None))
    mean = np.mean(shares, axis=0)
    return np.asarray(mean / mean.sum())


def _model_with_T1(asked: Question, pilot: Pilot) -> Any:
    measured: dict[float, dict[str, float]] = {}
    for one in _resolved(pilot):
        measured.setdefault(float(one.T_K or 0.0), {})[one.site] = one.T1_s
    return replace(asked.model, relaxing=relaxing_as_measured(asked, measured))


def _with_lines(model: Any, pilot: Pilot) -> Any:
    """Lines as wide as in the pilot, at its distances: the carrier stays where the protocol puts it."""
    fitted = [[lines[phase] for phase in model.phases] for _, lines in pilot.lines]
    offsets = np.mean([[one.offset_Hz for one in lines] for lines in fitted], axis=0)
    typed = np.array(model.encoding.lines.offset_Hz)
    moved = offsets - offsets.mean() + typed.mean()
    widths = np.mean([[one.fwhm_Hz for one in lines] for lines in fitted], axis=0)
    return replace(model, encoding=replace(model.encoding, lines=Lines(offset_Hz=tuple(moved), fwhm_Hz=tuple(widths))))


def _seen(pilot: Pilot) -> list[Seen]:
    return [
        Seen(
            block=Block(
                T_K=one.T_K, tmix_s=one.tmix_s, recycle_delay_s=one.recycle_delay_s, rows=one.rows, scans=one.scans
            ),
            values=one.A.ravel(),
            covariance=one.covariance,
        )
        for one in pilot.matrices
    ]


# ------------------------------------------------------------------------------------------------- belief


def _of_any_rate(model: Model, prior: Belief, seen: Sequence[Seen], *, contradicted: bool) -> Belief:
    """A wide prior of rates that nobody typed, about the one of several beginnings from which the data are met.

    Where typed ones are contradicted, the energies typed with them are believed half as much too.
    """
    own, energies = _indices(prior)
    tmix_s = float(np.mean([one.block.tmix_s for one in seen]))
    covariance = prior.covariance.copy()
    covariance[own, own] += np.log(_ANY_RATE) ** 2
    if contradicted:
        covariance[energies, energies] *= 4.0
    tried = []
    for start in _STARTS:
        mean = prior.mean.copy()
        mean[own] = np.log(start / tmix_s)
        wide = replace(prior, mean=mean, covariance=covariance)
        tried.append((_chi2(model, _learnt(model, wide, seen).mean, seen), wide))
    return min(tried, key=lambda pair: pair[0])[1]


def _learnt(model: Model, prior: Belief, seen: Sequence[Seen]) -> Belief:
    """The posterior; steps from a wide prior may try rates that no number holds, which are then not taken."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return learn(model, prior, seen)


def _chi2(model: Model, theta: FloatArray, seen: Sequence[Seen]) -> float:
    """Misfit of the amplitudes, each 2D with a gain of its own where the model leaves it free."""
    total = 0.0
    for one in seen:
        at = one.block
        told = model.sensitivity(theta[None], at.T_K, np.array([at.tmix_s]), np.array([at.recycle_delay_s]))
        W, value = np.linalg.inv(one.covariance), told.values[0, 0, 0]
        gain = float(value @ W @ one.values) / float(value @ W @ value) if model.free_gain else 1.0
        left = one.values - gain * value
        total += float(left @ W @ left)
    return total


def _far(prior: Belief, after: Belief) -> list[tuple[str, float, float, float]]:
    """Rates and energies that moved far: name, mean before, its standard error, mean after."""
    found = []
    for index in (one for both in _indices(prior) for one in both):
        name = prior.names[index]
        sd = float(np.sqrt(prior.covariance[index, index]))
        if abs(after.mean[index] - prior.mean[index]) > FAR * sd:
            found.append((name, float(prior.mean[index]), sd, float(after.mean[index])))
    return found


def _goal_by_itself(belief: Belief, asked: Question, Ea_within_eV: float, mean_K: float) -> Belief:
    """Forget what the pilot knows of the wanted energies, but not of the rates where it was measured."""
    covariance = belief.covariance.copy()
    rates, energies = _indices(belief)
    lever = -(1 / mean_K - 1 / asked.model.reference_K) / BOLTZMANN_EV_PER_K
    for name in asked.goal.se:
        energy = belief.names.index(name)
        missing = Ea_within_eV**2 - covariance[energy, energy]
        if missing > 0:
            along = np.zeros(len(belief.names))
            along[energy], along[rates[energies.index(energy)]] = 1.0, -lever
            covariance += missing * np.outer(along, along)
    return replace(belief, covariance=covariance)


def _indices(belief: Belief) -> tuple[list[int], list[int]]:
    """Places of ln kD and of Ea among the parameters, in the same order."""
    rates = [index for index, name in enumerate(belief.names) if name.startswith("ln kD")]
    return rates, [index for index, name in enumerate(belief.names) if name.startswith("Ea_eV")]


def _rate(model: Any, belief: Belief, rate: int, energy: int, T_K: float) -> str:
    lever = -(1 / T_K - 1 / model.reference_K) / BOLTZMANN_EV_PER_K
    along = np.zeros(len(belief.names))
    along[rate], along[energy] = 1.0, lever
    sd = float(np.sqrt(along @ belief.covariance @ along))
    value = float(np.exp(along @ belief.mean))
    return f"{value:.3g} /s within a factor of {np.exp(sd):.3g}, at {T_K - 273.15:.0f} °C"


def _shown(name: str, value: float) -> str:
    return f"{np.exp(value):.3g} /s" if name.startswith("ln ") else f"{1e3 * value:.0f} meV"


def _spread(name: str, sd: float) -> str:
    return f"a factor of {np.exp(sd):.3g}" if name.startswith("ln ") else f"{1e3 * sd:.0f} meV"


# -------------------------------------------------------------------------------------------------- words


def _extremes(asked: Question) -> list[tuple[str, float]]:
    ends = (asked.choices.temperatures_K[0], asked.choices.temperatures_K[-1])
    return [(f"{T_K:.2f}", T_K) for T_K in dict.fromkeys(ends)]


def _alike(one: float, other: float) -> bool:
    return max(one, other) <= SAME * min(one, other)


class _Notes:
    def __init__(self, source: str) -> None:
        self._source = source
        self.told: list[str] = []
        self.contradictions: list[str] = []

    def say(self, what: str, value: str) -> None:
        self.told.append(f"{what}: {value}")

    def contradict(self, text: str) -> None:
        self.contradictions.append(text)

    def compare(self, key: str, unit: str, found: Mapping[str, float], typed: Mapping[str, float | None]) -> None:
        """Tell what was found, and where it is not what was typed."""
        unit = f" {unit}" if unit else ""
        self.say(key, ", ".join(f"{name} {value:.3g}{unit}" for name, value in found.items()))
        for name, value in found.items():
            was = typed.get(name)
            if was is not None and not _alike(was, value):
                self.contradict(
                    f"{key} of {name}: typed {was:.3g}{unit}, the pilot has {value:.3g}{unit}, which is taken"
                )

    def taken(self) -> Taken:
        return Taken(told=tuple(self.told), contradictions=tuple(self.contradictions))

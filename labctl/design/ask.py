"""From a protocol with a `design` or `adapt` block to its question: model, belief, goal, choices, costs, own plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labctl.design.belief import BOLTZMANN_EV_PER_K, Belief, Relaxing
from labctl.design.costs import Costs
from labctl.design.encoding import Encoding, Lines
from labctl.design.layered import Layered
from labctl.design.model import Block
from labctl.design.proposal import Choices, Goal
from labctl.errors import InputError
from labctl.plan.cost import SCAN_OVERHEAD_S, acquisition_time_s
from labctl.plan.series import carrier_ppm
from labctl.plan.steps import Step
from labctl.ports import Acquire, Exsy
from labctl.protocol.design import Adapt, Design, Wish, of_phase
from labctl.protocol.sample import Sample
from labctl.protocol.vt_exsy import VtExsy

LINES_FOUND_TOO = 1.15
"""By how much errors grow where positions and widths come from the same 2Ds, over those of known lines.

Seen on rehearsed campaigns: 1.13 and 1.15 with grids of 320 rows, 1.10 to 1.22 with designed ones of 32.
"""

MIXING_TIMES_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0)
"""Offered besides the author's own; longer than twice the slowest T1 nothing is left."""
RECYCLE_FACTORS = (1.26, 1.5, 2.0)
MOST_T1 = 2.0
SURE_POPULATION = 0.02
"""Standard error of ln(population) that 1Ds and short mixing times leave."""
SURE_CONTACT = 1e-4
"""Standard error of ln(part in contact) where the protocol says that all is."""
REFERENCE_TMIX_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything a proposal needs.

    `author` are the 2Ds of the protocol as it stands; `fitted` the parameters that the analysis of the campaign fits,
    knowing no prior.
    """

    model: Layered
    belief: Belief
    goal: Goal
    choices: Choices
    costs: Costs
    author: tuple[Block, ...]
    fitted: tuple[str, ...]


def question(wanted: VtExsy, sample: Sample, larmor_MHz: float, steps: Sequence[Step]) -> Question:
    """Return what the `design` or `adapt` block of a `vt_exsy` asks.

    Parameters
    ----------
    larmor_MHz : float
        Of the nucleus, to place the lines.
    steps : sequence of Step
        Of this procedure, as planned from the protocol as it stands: overheads are read from them.

    Raises
    ------
    InputError
        There is no such block, or no T1 is expected.
    """
    wish, analysis = wanted.adapt or wanted.design, wanted.analysis
    if wish is None or analysis is None:
        raise InputError("this vt_exsy has no design block", expected="design: {goal: {Ea: 10 meV}, ...}")
    layers, densities = analysis.layers, analysis.densities_per_nm3
    if missing := wish.missing(layers):
        raise InputError(
            f"the design cannot be answered: {'; '.join(missing.values())}",
            expected=f"a value for each of {', '.join(layers)}",
            next_step="Write what you believe, or give pilot data that tell it: --from DIR",
        )
    temperatures_K = wish.temperatures_K if isinstance(wish, Adapt) else wanted.temperatures_K
    model = Layered(
        phases=layers,
        relaxing=_relaxing(wanted, wish, layers),
        encoding=_encoding(wanted, wish, layers, sample, larmor_MHz),
        geometry=analysis.geometry or "sphere",
        equal_D=analysis.diffusivity == "one",
        densities=tuple(densities[one] for one in layers) if densities else None,
        reference_K=float(np.mean(temperatures_K)),
    )
    slowest_s = max(model.T1_s(T_K) for T_K in temperatures_K)
    own = wish.mixing_times_s if isinstance(wish, Adapt) else wanted.mixing_times_s
    offered = own if isinstance(wish, Adapt) and own else (*MIXING_TIMES_S, *own)
    times_T1 = wanted.recycle_delay.times_T1
    fixed = isinstance(wish, Adapt) and times_T1 is not None
    return Question(
        model=model,
        belief=_belief(model, wish, contact_known=analysis.contact_fraction == "full"),
        goal=Goal(se=dict.fromkeys(model.energies(wish.goal.of or layers), wish.goal.Ea_se_eV)),
        choices=Choices(
            temperatures_K=tuple(sorted(temperatures_K)),
            mixing_times_s=tuple(sorted({t for t in offered if t <= MOST_T1 * slowest_s})),
            recycle_factors=(times_T1,) if fixed and times_T1 is not None else RECYCLE_FACTORS,
            rows=wish.rows if isinstance(wish, Design) else (wanted.increments,),
            reference_tmix_s=min(REFERENCE_TMIX_S, *wanted.mixing_times_s),
            longest_delay_s=wanted.recycle_delay.max_s,
            longest_dataset_s=wanted.max_dataset_s if isinstance(wish, Adapt) else np.inf,
            budget_s=wish.budget_s,
        ),
        costs=_costs(wanted, steps, temperatures_K),
        author=tuple(_blocks(steps)),
        fitted=tuple(one for one in model.names if one != "ln contact" or analysis.contact_fraction == "free"),
    )


def _relaxing(wanted: VtExsy, wish: Wish, layers: Sequence[str]) -> Relaxing:
    """T1 of the layers: the expected values, with the activation that several of them show."""
    if wanted.t1 is None or wanted.t1.expect_s is None:
        raise InputError(
            "a design needs to know about what T1 is", expected="t1: {expect: 17 s}, or one value for each site"
        )
    first = [wanted.t1.expected_s(phase, 0) for phase in layers]
    if None in first:
        raise InputError(
            "t1.expect gives no T1 for one of the design's layers", expected="one for each, or one for all"
        )
    T_K = wanted.temperatures_K
    slopes = []
    for phase in layers:
        listed = [wanted.t1.expected_s(phase, index) for index in range(len(T_K))]
        values = np.array([one for one in listed if one is not None])
        if len(values) == len(T_K) > 1 and np.ptp(values) > 0:
            slopes.append(float(np.polyfit(1 / (BOLTZMANN_EV_PER_K * np.array(T_K)), np.log(values), 1)[0]))
    return Relaxing(
        T1_s=tuple(float(one) for one in first if one is not None),
        reference_K=T_K[0],
        Ea_eV=float(np.mean(slopes)) if slopes else wish.T1_Ea_eV,
    )


def _encoding(wanted: VtExsy, wish: Wish, layers: Sequence[str], sample: Sample, larmor_MHz: float) -> Encoding:
    carrier = carrier_ppm(wanted, list(sample.sites.values()))
    assert wish.noise is not None  # asked for above
    return Encoding(
        lines=Lines(
            offset_Hz=tuple((sample.sites[one] - carrier) * larmor_MHz for one in layers),
            fwhm_Hz=tuple(of_phase(wish.widths_Hz, one) or 0.0 for one in layers),
        ),
        increment_s=wanted.increment_s,
        first_t1_s=0.5 * wanted.increment_s,
        noise=LINES_FOUND_TOO * wish.noise.amplitude_percent / 100,
        noise_rows=wish.noise.rows,
        noise_scans=wish.noise.scans,
        points=wanted.points,
        spectral_width_Hz=wanted.spectral_width_Hz,
    )


def _belief(model: Layered, wish: Wish, *, contact_known: bool) -> Belief:
    lever = -(1 / model.reference_K - 1 / wish.kD_at_K) / BOLTZMANN_EV_PER_K
    diffusing = model.phases[:1] if model.equal_D else model.phases
    Ea = [of_phase(wish.Ea_eV, one) or 0.0 for one in diffusing]
    kD = [of_phase(wish.kD_per_s, one) or 0.0 for one in diffusing]
    p = np.array([wish.populations[one] for one in model.phases])
    mean = [
        *(float(np.log(k) + E * lever) for k, E in zip(kD, Ea, strict=True)),
        *Ea,
        0.0 if contact_known else float(np.log(wish.contact / 100)),
        *np.log(p[:-1] / p[-1]),
    ]
    count = len(diffusing)
    # kD is believed at its own temperature: away from there, the doubt about Ea adds to that about kD
    names = model.names
    covariance = np.zeros((len(names), len(names)))
    for i in range(count):
        a, b = np.log(wish.kD_within) ** 2, wish.Ea_within_eV**2
        covariance[i, i] = a + lever**2 * b
        covariance[i, count + i] = covariance[count + i, i] = lever * b
        covariance[count + i, count + i] = b
    covariance[2 * count, 2 * count] = (SURE_CONTACT if contact_known else wish.contact_within / wish.contact) ** 2
    for i in range(2 * count + 1, len(names)):
        covariance[i, i] = 2 * SURE_POPULATION**2
    return Belief(names=names, mean=np.array(mean), covariance=covariance)


def _blocks(steps: Sequence[Step]) -> list[Block]:
    """The 2Ds among steps."""
    return [
        Block(
            T_K=step.task.sample_K,
            tmix_s=step.task.experiment.mixing_time_s,
            recycle_delay_s=step.task.recycle_delay_s,
            rows=step.task.experiment.rows,
            scans=step.task.scans,
        )
        for step in steps
        if isinstance(step.task, Acquire) and isinstance(step.task.experiment, Exsy)
    ]


def _costs(wanted: VtExsy, steps: Sequence[Step], temperatures_K: Sequence[float]) -> Costs:
    """Overheads as the plan has them: what a visit takes beside its 2Ds, and what stands around each 2D."""
    visits: dict[float, float] = {}
    around_s, number = 0.0, 0
    once_s = 0.0
    at_K: float | None = None
    two_d = next(
        step.task for step in steps if isinstance(step.task, Acquire) and isinstance(step.task.experiment, Exsy)
    )
    for step in steps:
        if step.skip_when:
            continue
        at_K = getattr(step.task, "sample_K", at_K)
        if step.role == "exsy":
            number += 1
        elif ".return" in step.id or step.temperature_index is None or at_K is None:
            once_s += step.estimate_s
        elif step.role == "reference" and not step.id.endswith("ref00"):
            around_s += step.estimate_s
        else:
            visits[at_K] = visits.get(at_K, 0.0) + step.estimate_s
    usual_s = sum(visits.values()) / len(visits) if visits else 0.0  # where the plan has not been yet
    return Costs(
        increment_s=wanted.increment_s,
        per_scan_s=acquisition_time_s(two_d) + SCAN_OVERHEAD_S,
        dummy_scans=wanted.dummy_scans,
        per_dataset_s=around_s / max(number, 1),
        per_temperature_s={T_K: visits.get(T_K, usual_s) for T_K in (*temperatures_K, *visits)},
        once_s=once_s,
    )

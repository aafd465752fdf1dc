"""Activation energies of everything that was fitted at more than one temperature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from labctl.analysis.arrhenius import Convention, fit_arrhenius
from labctl.analysis.entries import RESOLVED
from labctl.analysis.exchange import pairs
from labctl.analysis.layered_results import LayeredFit
from labctl.analysis.results import Arrhenius, ResultWarning
from labctl.analysis.temperature import TemperatureFits

Line = tuple[str, str, Convention, Callable[[TemperatureFits], tuple[float, float] | None]]


def arrhenius_entries(groups: Sequence[TemperatureFits]) -> tuple[list[Arrhenius], list[ResultWarning]]:
    """Return an Arrhenius line for every rate and every kD, and warnings where there cannot be one."""
    entries, warnings = [], []
    known = [group for group in groups if group.data.T_K is not None]
    if len(known) < 2:
        advice = "measure at two temperatures at least, three to test the straight line"
        said = f"exchange at {len(known)} known temperature(s): no activation energy"
        return [], [ResultWarning(code="no_arrhenius", message=said, advice=advice, value=float(len(known)))]
    for quantity, model, convention, value_of in _lines(known):
        points = [(group, value) for group in known if (value := value_of(group)) is not None]
        weak = [group.where for group, (value, se) in points if value < RESOLVED * se]
        points = [(group, (value, se)) for group, (value, se) in points if value >= RESOLVED * se]
        entry = _arrhenius_entry(quantity, model, convention, points)
        left_out = f"{quantity}: not resolved at {', '.join(weak)}, left out of the Arrhenius line" if weak else ""
        if entry is None:
            warnings.append(
                ResultWarning(
                    code="no_arrhenius",
                    message=f"{quantity} ({model}): no activation energy from {len(points)} temperature(s). "
                    f"{left_out}".strip(),
                    advice="measure at two temperatures at least, three to test the straight line",
                    value=float(len(points)),
                )
            )
            continue
        if left_out:
            entry.warnings.append(left_out)
        entries.append(entry)
    return entries, warnings


def _lines(groups: Sequence[TemperatureFits]) -> list[Line]:
    lines: list[Line] = []
    sites = groups[0].data.sites if groups else ()

    def rate(i: int, j: int) -> Callable[[TemperatureFits], tuple[float, float] | None]:
        def of(group: TemperatureFits) -> tuple[float, float] | None:
            if group.exchange is None:
                return None
            k, se = group.exchange.rates()
            return float(k[i, j]), float(se[i, j])

        return of

    def layered(column: int) -> Callable[[TemperatureFits], tuple[float, float] | None]:
        def of(group: TemperatureFits) -> tuple[float, float] | None:
            if group.layered is None or group.layered.fit.names[column] in group.layered.fit.at_bound:
                return None
            return float(group.layered.fit.value[column]), float(group.layered.fit.se[column])

        return of

    def paper(pair: tuple[int, int]) -> Callable[[TemperatureFits], tuple[float, float] | None]:
        def of(group: TemperatureFits) -> tuple[float, float] | None:
            fit = group.product.get(pair)
            return None if fit is None or fit.at_bound else (float(fit.value[0]), float(fit.se[0]))

        return of

    for i in range(len(sites)):
        lines += [(f"k {sites[i]}->{sites[j]}", "exchange", "ln k", rate(i, j)) for j in range(len(sites)) if j != i]
    shape = next((group.shape for group in groups if group.shape), None)
    if shape is not None and shape.contact == "two D":
        lines.append((f"kD {sites[shape.core]}", "layered", "ln D", layered(0)))
        lines.append((f"kD {sites[1 - shape.core]}", "layered", "ln D", layered(1)))
    elif shape is not None:
        lines.append((f"kD {sites[0]}-{sites[1]}", "layered", "ln D", layered(0)))
    if any(group.product for group in groups):
        lines += [(f"kD {sites[i]}-{sites[j]}", "product", "ln D", paper((i, j))) for i, j in pairs(len(sites))]
    return lines


def _arrhenius_entry(
    quantity: str, model: str, convention: Convention, points: Sequence[tuple[TemperatureFits, tuple[float, float]]]
) -> Arrhenius | None:
    T_K = [group.data.T_K or 0.0 for group, _ in points]
    value, se = [one[0] for _, one in points], [one[1] for _, one in points]
    fit = fit_arrhenius(T_K, value, se, convention=convention)
    if fit is None:
        return None
    # The calibration is one for the whole campaign: were it wrong, all temperatures would be wrong together.
    shift_K = max((group.T_se_K or 0.0 for group, _ in points), default=0.0)
    shifted = fit_arrhenius([T + shift_K for T in T_K], value, se, convention=convention)
    return Arrhenius(
        quantity=quantity,
        model=model,
        convention=convention,
        Ea_eV=fit.Ea_eV,
        Ea_se_eV=fit.Ea_se_eV,
        Ea_ci95_eV=list(fit.Ea_ci95_eV),
        Ea_se_calibration_eV=abs(shifted.Ea_eV - fit.Ea_eV) if shifted is not None and shift_K > 0.0 else None,
        ln_value_at_ref=fit.ln_value_at_ref,
        ln_value_at_ref_se=fit.ln_value_at_ref_se,
        T_ref_K=fit.T_ref_K,
        T_K=T_K,
        value=value,
        value_se=se,
        chi2_red=fit.chi2_red,
        warnings=list(fit.warnings),
    )


def with_energies(entry: LayeredFit, arrhenius: Sequence[Arrhenius]) -> LayeredFit:
    """Return a layered fit with each phase's activation energy filled in."""
    energies: Mapping[str, Arrhenius] = {one.quantity: one for one in arrhenius if one.model == "layered"}
    shared = next((one for name, one in energies.items() if "-" in name and len(energies) == 1), None)
    phases = []
    for phase in entry.phases:
        line = energies.get(f"kD {phase.phase}", shared)
        update = {"Ea_eV": line.Ea_eV, "Ea_se_eV": line.Ea_se_eV} if line and phase.kD_se is not None else {}
        phases.append(phase.model_copy(update=update))
    return entry.model_copy(update={"phases": phases})

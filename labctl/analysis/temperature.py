"""All fits of every temperature: exchange, layered diffusion, product form; one that fails spares the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from labctl.analysis import product
from labctl.analysis.buildup import Buildup
from labctl.analysis.exchange import pairs
from labctl.analysis.fit import Fit
from labctl.analysis.kinetics import DECISIVE_AICC, KineticFit, LayeredShape, fit_exchange, fit_layered
from labctl.analysis.results import ResultWarning


@dataclass(slots=True, kw_only=True)
class TemperatureFits:
    """All fits of one temperature."""

    data: Buildup
    T_se_K: float | None = None
    exchange: KineticFit | None = None
    layered: KineticFit | None = None
    shape: LayeredShape | None = None
    product: dict[tuple[int, int], Fit] = field(default_factory=dict)
    warnings: list[ResultWarning] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The temperature in words."""
        return "T unknown" if self.data.T_K is None else f"{self.data.T_K:.1f} K"

    @property
    def datasets(self) -> list[str]:
        """Names of the 2Ds."""
        return [point.dataset for point in self.data.points]

    def doubt(self, code: str, message: str, advice: str = "", value: float | None = None) -> str:
        """Record a warning and return its text for the fit's own list."""
        self.warnings.append(ResultWarning(code=code, message=message, advice=advice, where=self.where, value=value))
        return message


def fit_temperatures(groups: Sequence[TemperatureFits], *, attempt: Callable[[str, Callable[[], None]], None]) -> None:
    """Fill in every fit of every temperature; `attempt` runs one piece and keeps its failure from the others."""
    for group in groups:

        def exchange(group: TemperatureFits = group) -> None:
            group.exchange = fit_exchange(group.data)

        def pairwise(group: TemperatureFits = group) -> None:
            if group.exchange is not None and len(set(group.data.tmix_s)) >= 2:
                p = group.exchange.state.populations
                group.product = {(i, j): product.fit_pair(group.data, i, j, p) for i, j in pairs(len(p))}

        attempt(f"exchange fit at {group.where}", exchange)
        attempt(f"product fit at {group.where}", pairwise)
    two_phase = [
        group
        for group in groups
        if group.exchange is not None and len(group.data.sites) == 2 and len(set(group.data.tmix_s)) >= 3
    ]
    if two_phase:
        attempt("layered fits", lambda: _fit_layered_together(two_phase))


def _fit_layered_together(groups: Sequence[TemperatureFits]) -> None:
    """Choose one hypothesis for all temperatures by the sum of AICc, the simple ones first.

    Two diffusivities or a resisting contact are tried only where one diffusivity misfits.
    """

    def run(shape: LayeredShape) -> list[KineticFit]:
        return [fit_layered(group.data, shape, group.exchange) for group in groups if group.exchange is not None]

    def score(fits: Sequence[KineticFit]) -> float:
        return sum(one.fit.aicc for one in fits)

    candidates = {shape: run(shape) for shape in (LayeredShape(core=0), LayeredShape(core=1))}
    best = min(candidates, key=lambda shape: score(candidates[shape]))
    if any(one.fit.inflated for one in candidates[best]):
        for contact in ("two D", "equal D, finite contact"):
            shape = LayeredShape(core=best.core, contact=contact)
            candidates[shape] = run(shape)
    for shape, fits in candidates.items():
        if score(fits) < score(candidates[best]) - DECISIVE_AICC:
            best = shape
    for group, fit in zip(groups, candidates[best], strict=True):
        group.layered, group.shape = fit, best

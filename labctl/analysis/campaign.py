"""From finished data to `Results`: what belongs to one temperature, its lines, T1s and matrices, fits, energies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.activation import arrhenius_entries, with_energies
from labctl.analysis.context import AnalysisContext
from labctl.analysis.cycling.gather import MeasuredCell, gather_cells
from labctl.analysis.cycling.series import analyse_cells
from labctl.analysis.cycling.series import dataset_entry as cycling_entry
from labctl.analysis.eis.entries import dataset_entry as impedance_entry
from labctl.analysis.eis.gather import MeasuredSpectrum, gather_impedance
from labctl.analysis.eis.series import analyse_series
from labctl.analysis.entries import buildup_entries, comparison_entry, exchange_entry, layered_entry, product_entry
from labctl.analysis.examine import doubts_around_2ds, doubts_of_energies, doubts_of_fits, doubts_of_series
from labctl.analysis.gather import Measured, gather
from labctl.analysis.global_doubts import doubts
from labctl.analysis.global_entries import add_curves, campaign_entry, global_arrhenius, separate_entries
from labctl.analysis.global_fit import fit_campaign
from labctl.analysis.grouping import AtTemperature, by_temperature, fit_for_use, start_s
from labctl.analysis.layered_results import LayeredFit
from labctl.analysis.measured_entries import buildup, dataset_entry, matrix_entry, mixing_point, t1_entry
from labctl.analysis.memory import Memory, same
from labctl.analysis.nmr.doubt import Doubt
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.inhomogeneous import separable_bias, with_lasting_offsets
from labctl.analysis.nmr.line_shift import measure_lines
from labctl.analysis.nmr.lines import LineSet, find_lines, refine_lines
from labctl.analysis.nmr.nutation import fit_nutation
from labctl.analysis.nmr.relaxation import fit_recovery
from labctl.analysis.paper_entries import Processed, paper_mode
from labctl.analysis.referee import (
    doubts_of_acquisition,
    doubts_of_references,
    doubts_of_T1,
)
from labctl.analysis.results import OtherSample, Results, ResultWarning, Site
from labctl.analysis.temperature import TemperatureFits, fit_temperatures
from labctl.analysis.vetting import SEEN, doubts_of_grouping, strength
from labctl.formats.impedance_file import impedance_dialect
from labctl.formats.maccor_head import is_maccor

FloatArray = NDArray[np.float64]


def analyze_paths(
    paths: Sequence[Path], *, sites: Mapping[str, float] | None = None, temperature_K: float | None = None
) -> Results:
    """Analyse any finished data: EXPNO folders, impedance files, Maccor exports, folders of them, or run folders.

    Parameters
    ----------
    paths : sequence of Path
    sites : mapping of name to ppm, optional
        Known lines; looked for, and named by falling population, if not given.
    temperature_K : float, optional
        Sample temperature of data whose console knew none, or knew it wrongly; replaces TE, not a calibration.

    Raises
    ------
    InputError
        A path does not exist, or nothing below the paths can be read.
    """
    spectra, unread_spectra = gather_impedance(paths)
    cells, unread_cells = gather_cells(paths)
    nmr = [path for path in paths if not (path.is_file() and (impedance_dialect(path) or is_maccor(path)))]
    others = [*unread_spectra, *unread_cells]
    measured, unread = gather(nmr, others=bool(spectra or cells), complaints=others)
    if temperature_K is not None:
        measured = [one if one.manifest else replace(one, T_K=temperature_K) for one in measured]
        spectra = [one if one.manifest else replace(one, T_K=temperature_K) for one in spectra]
    return Pass(AnalysisContext(sites=sites or {})).run(measured, [*unread, *others], spectra, cells)


def analyze_campaign(
    run_dir: Path,
    context: AnalysisContext,
    apart: Mapping[str, tuple[str, AnalysisContext]] | None = None,
    *,
    lines: dict[str, LineSet] | None = None,
    memory: Memory | None = None,
) -> Results:
    """Analyse everything a run folder holds so far.

    Parameters
    ----------
    apart : mapping, optional
        Spectrometer procedures (``station/name``) that measured another sample than the campaign's first, its name and
        context: they share no site, population or rate with the others, and stand under ``other_samples``.
    lines : dict, optional
        Gets the fitted lines of each 2D and reference 1D by the name of its dataset, for whoever draws it.
    memory : Memory, optional
        Of an earlier pass over this folder; the results are the same without.

    Raises
    ------
    InputError
        The folder holds no readable dataset.
    """
    memory = memory or Memory()
    spectra, unread_spectra = gather_impedance([run_dir], memory)
    cells, unread_cells = gather_cells([run_dir], memory)
    others = [*unread_spectra, *unread_cells]
    measured, unread = gather([run_dir], others=bool(spectra or cells), complaints=others, memory=memory)
    first, mine = by_sample(measured, apart or {})
    results = Pass(context, lines, memory).run(first, [*unread, *others], spectra, cells)
    for prefix, (sample, own_context) in (apart or {}).items():
        if not mine[prefix]:
            continue
        own = Pass(own_context, lines, memory, of=prefix).run(mine[prefix], [])
        results.datasets += own.datasets
        results.warnings += own.warnings
        results.other_samples.append(OtherSample(sample=sample, procedure=prefix, t1=own.t1, exsy=own.exsy))
    return results


def by_sample(measured: Sequence[Measured], apart: Collection[str]) -> tuple[list[Measured], dict[str, list[Measured]]]:
    """Return what is of the campaign's first sample, and by procedure what is of another."""
    mine = {prefix: [one for one in measured if procedure_of(one) == prefix] for prefix in apart}
    return [one for one in measured if procedure_of(one) not in mine], mine


def procedure_of(one: Measured | MeasuredSpectrum | MeasuredCell) -> str:
    """Return ``station/name`` of the procedure that measured it; empty where nobody wrote that down."""
    return "/".join(one.manifest.step_id.split("/")[:2]) if one.manifest is not None else ""


class Pass:
    """One pass over one set of acquisitions; every piece that fails leaves a warning and spares the rest."""

    def __init__(
        self,
        context: AnalysisContext,
        lines: dict[str, LineSet] | None = None,
        memory: Memory | None = None,
        *,
        of: str = "",
    ) -> None:
        self.context = context
        self._memory = memory or Memory()
        self._of = of
        self.lines = {} if lines is None else lines
        self.results = Results(campaign=context.campaign, provenance=dict(context.provenance))
        self.sites: dict[str, float] = dict(context.sites)
        self.numbered = not self.sites

    def run(
        self,
        measured: Sequence[Measured],
        unread: Sequence[str],
        spectra: Sequence[MeasuredSpectrum] = (),
        cells: Sequence[MeasuredCell] = (),
    ) -> Results:
        self.results.warnings += [
            ResultWarning(code="unreadable", message=one, advice="the rest was analysed without it") for one in unread
        ]
        self.spectrometer(measured)
        self.impedance(spectra)
        self.cycling(cells)
        return self.results

    def spectrometer(self, measured: Sequence[Measured]) -> None:
        """Enter all that the spectrometer saw of one sample."""

        def worked_out() -> Pass:
            alone = self._alone()
            alone.spectrometer_anew(measured)
            return alone

        known = self._memory.recall(f"spectrometer {self._of}", (self._told(), same(measured)), worked_out)
        self._enter(known.results)
        self.results.t1, self.results.exsy = known.results.t1, known.results.exsy
        self.lines.update(known.lines)

    def impedance(self, spectra: Sequence[MeasuredSpectrum]) -> None:
        """Enter all impedance spectra."""

        def worked_out() -> Results:
            alone = self._alone()
            alone.impedance_anew(spectra)
            return alone.results

        by_manifest = [(one.name, one.manifest) for one in spectra if one.manifest is not None]
        arguments = by_manifest if len(by_manifest) == len(spectra) else same(spectra)
        found = self._memory.recall("impedance", arguments, worked_out)
        self._enter(found)
        self.results.eis = found.eis

    def _enter(self, found: Results) -> None:
        """Enter copies of what whoever gets the results may write other paths into."""
        self.results.datasets += [one.model_copy() for one in found.datasets]
        self.results.warnings += [one.model_copy() for one in found.warnings]

    def _alone(self) -> Pass:
        """Return the same for one piece, whose results the memory may keep."""
        return Pass(self._told(), memory=self._memory, of=self._of)

    def _told(self) -> AnalysisContext:
        """Return what pieces depend on: numbers do not follow from where they come from."""
        return replace(self.context, provenance={})

    def spectrometer_anew(self, measured: Sequence[Measured]) -> None:
        for one in measured:
            self.results.datasets.append(dataset_entry(one))
            self.results.warnings += doubts_of_acquisition(one)
        usable, left_out = fit_for_use(measured)
        self.results.warnings += left_out
        temperatures = by_temperature(usable)
        self._find_sites(temperatures)
        self._all_spectra(temperatures)
        if self.numbered and any(one.matrices for one in temperatures):
            self._number_by_population(temperatures)
        self._enter_spectra(temperatures)
        self._kinetics(temperatures)

    def impedance_anew(self, spectra: Sequence[MeasuredSpectrum]) -> None:
        self.results.datasets += [impedance_entry(one) for one in spectra]
        self.results.eis, warnings = analyse_series(spectra, attempt=self.attempt)
        self.results.warnings += warnings

    def cycling(self, cells: Sequence[MeasuredCell]) -> None:
        """Enter all cycled cells."""
        self.results.datasets += [cycling_entry(one) for one in cells]
        self.results.cycling, warnings = analyse_cells(cells, attempt=self.attempt, memory=self._memory)
        self.results.warnings += warnings

    # ------------------------------------------------------------------------------------ what belongs together

    def attempt(self, what: str, action: Callable[[], None]) -> None:
        """Run one piece; whatever goes wrong in it becomes a warning, because a fit must never kill a campaign."""
        try:
            action()
        except Exception as problem:  # noqa: BLE001 - the raw data are safe, and the other pieces deserve their turn
            self.results.warnings.append(
                ResultWarning(
                    code="not_analysed",
                    message=f"{what} failed: {type(problem).__name__}: {problem}",
                    advice="look at the spectrum; the raw data are untouched",
                    where=what,
                )
            )

    def _find_sites(self, temperatures: Sequence[AtTemperature]) -> None:
        """Look for lines once, in all 2Ds together, so that a site has one name at every temperature."""
        exsy = [one.raw for temperature in temperatures for one in temperature.of_kind("exsy")]

        def find() -> None:
            found = find_lines(exsy)
            self.sites = {f"site {index + 1}": ppm for index, ppm in enumerate(found)}

        if self.numbered and exsy:
            self.attempt("looking for lines", find)

    # ------------------------------------------------------------------------------------------------- spectra

    def _all_spectra(self, temperatures: Sequence[AtTemperature]) -> None:
        """Read lines, amplitudes and recoveries; once more without the sites that are nowhere seen."""
        before = list(self.results.warnings)
        for at in temperatures:
            self._spectra(at)
        best = np.zeros(len(self.sites))
        for at in temperatures:
            if at.lines is not None and at.matrices:
                best = np.maximum(best, strength(at.matrices, at.lines))
        unseen = {name: float(z) for name, z in zip(self.sites, best, strict=True) if z < SEEN}
        if unseen and any(at.matrices for at in temperatures):
            widths = [line.fwhm_Hz for at in temperatures if at.lines is not None for line in at.lines.lines]
            per_ppm = next(one.raw.larmor_MHz for at in temperatures for one in at.of_kind("exsy"))
            told = [self._not_seen(name, z, max(widths) / per_ppm) for name, z in unseen.items()]
            self.results.warnings = [*before, *told]
            self.sites = {name: ppm for name, ppm in self.sites.items() if name not in unseen}
            for at in temperatures:
                at.lines, at.recoveries, at.matrices = None, [], []
                self._spectra(at)
        for at in temperatures:
            self._one_dimensional(at)

    def _not_seen(self, name: str, z: float, width_ppm: float) -> ResultWarning:
        """Say that a site is left out: it is not there, or another line lies on it."""
        said = f"{name} ({self.sites[name]:.2f} ppm) stands nowhere above the noise"
        advice = "more scans, a longer recycle delay, or take it off the list of sites"
        others = {other: abs(ppm - self.sites[name]) for other, ppm in self.sites.items() if other != name}
        nearest = min(others, key=lambda other: others[other], default="")
        if nearest and others[nearest] < 0.5 * width_ppm:
            said = f"{name} lies {others[nearest]:.3f} ppm from {nearest}, within the width: they cannot be told apart"
            advice = "treat them as one site, or measure where they differ"
        return ResultWarning(
            code="not_seen",
            message=f"{said} (diagonal {max(0.0, z):.1f} standard errors at best): left out, and nothing is said of "
            "its exchange",
            advice=advice,
            where=name,
            value=z,
        )

    def one_temperature(self, at: AtTemperature) -> None:
        """Work out ahead what the spectra of one temperature give, where the sites need not be looked for."""
        if self.sites:
            self._spectra(at)
            for one in at.of_kind("one_pulse"):
                if one.role == "reference":
                    self._reference_lines(one)

    def _spectra(self, at: AtTemperature) -> None:
        """Read lines, amplitudes and recoveries of one temperature."""

        def worked_out() -> tuple[AtTemperature, list[ResultWarning]]:
            alone = self._alone()
            alone.sites, alone.numbered = self.sites, self.numbered
            own = replace(at, lines=None, recoveries=[], matrices=[])
            alone.spectra_anew(own)
            return own, alone.results.warnings

        known, warnings = self._memory.recall(
            f"spectra {self._of} {_words(at.T_K)} {', '.join(self.sites)}",
            (self._told(), dict(self.sites), self.numbered, at.T_K, at.T_se_K, same(at.members)),
            worked_out,
        )
        at.lines, at.recoveries, at.matrices = known.lines, list(known.recoveries), list(known.matrices)
        self.results.warnings += [one.model_copy() for one in warnings]

    def _reference_lines(self, one: Measured) -> LineSet:
        return self._memory.recall(
            f"reference {one.name}",
            (dict(self.sites), same([one])),
            lambda: refine_lines([one.raw], sites=self.sites or None),
        )

    def spectra_anew(self, at: AtTemperature) -> None:
        exsy = at.of_kind("exsy")
        where = _words(at.T_K)
        if exsy and self.sites:

            def refine() -> None:
                at.lines = refine_lines([one.raw for one in exsy], sites=self.sites)

            self.attempt(f"lines at {where}", refine)
            if at.lines is not None:
                self.attempt(f"lasting offsets at {where}", partial(self._allow_for_lasting, at, exsy))
        for one in exsy:

            def amplitudes(one: Measured = one) -> None:
                assert at.lines is not None
                at.matrices.append(estimate_amplitudes(one.raw, at.lines, T_K=at.T_K, name=one.name))

            if at.lines is not None:
                self.attempt(f"amplitudes of {one.name}", amplitudes)
        for one in at.of_kind("saturation_recovery"):

            def recovery(one: Measured = one) -> None:
                same = at.lines is not None and exsy[0].raw.nucleus == one.raw.nucleus
                sites = self.sites if same or not self.numbered else {}
                at.recoveries += fit_recovery(
                    one.raw, sites=sites or None, lines=at.lines if same else None, T_K=at.T_K, name=one.name
                )

            self.attempt(f"recovery of {one.name}", recovery)

    def _allow_for_lasting(self, at: AtTemperature, exsy: Sequence[Measured]) -> None:
        """Where t1 and t2 share a part of the widths, use lines that allow for it, and tell what it changes."""
        assert at.lines is not None
        separable = at.lines
        at.lines = with_lasting_offsets([one.raw for one in exsy], separable)
        if at.lines.lasting is None:
            return
        shortest = min(exsy, key=lambda one: one.raw.mixing_time_s or 0.0)
        before, after = (
            estimate_amplitudes(shortest.raw, lines, name=shortest.name) for lines in (separable, at.lines)
        )
        self.results.warnings.append(
            ResultWarning(
                code="inhomogeneous",
                message=separable_bias(before, after, at.lines),
                advice="nothing to do; a program that fits or integrates separable lines will disagree by as much",
                where=shortest.name,
                value=float(np.max(np.abs(np.diag(before.A) / np.diag(after.A) - 1))),
            )
        )

    def _one_dimensional(self, at: AtTemperature) -> None:
        """Pulse lengths, and the reference 1Ds against the first of this temperature."""
        for one in at.of_kind("nutation"):

            def pulse(one: Measured = one) -> None:
                found = fit_nutation(one.raw, sites=self.sites or None, name=one.name)
                entry = next(entry for entry in self.results.datasets if entry.dataset == one.name)
                entry.parameters |= {"p90_us": 1e6 * found.p90_s, "p90_se_us": 1e6 * found.p90_se_s}
                entry.remarks += found.warnings

            self.attempt(f"nutation of {one.name}", pulse)

        def references() -> None:
            ones = sorted((one for one in at.of_kind("one_pulse") if one.role == "reference"), key=start_s)
            for one in ones:
                self.lines[one.name] = self._reference_lines(one)
            lines = [(one.name, start_s(one), measure_lines(one.raw, lines=self.lines[one.name])) for one in ones]
            if lines:
                limits = self.context.thresholds
                self.results.warnings += doubts_of_references([(name, found) for name, _, found in lines], limits)
                exsy = [(one.name, start_s(one)) for one in at.of_kind("exsy")]
                self.results.warnings += doubts_around_2ds(exsy, lines, limits)

        self.attempt(f"reference 1Ds at {_words(at.T_K)}", references)

    def _number_by_population(self, temperatures: Sequence[AtTemperature]) -> None:
        """Give found lines their final names: ``site 1`` is the most populated (by the shortest mixing times)."""
        share = np.zeros(len(self.sites))
        for at in temperatures:
            if at.matrices:
                first = min(at.matrices, key=lambda one: one.mixing_time_s)
                share += (first.A.sum(axis=0) + first.A.sum(axis=1)) / (2 * first.A.sum())
        old = list(self.sites)
        order = [int(index) for index in np.argsort(-share, kind="stable")]
        new = {old[index]: f"site {rank + 1}" for rank, index in enumerate(order)}
        self.sites = {new[old[index]]: self.sites[old[index]] for index in order}
        for at in temperatures:
            at.matrices = [one.reordered(order, tuple(self.sites)) for one in at.matrices]
            at.recoveries = [replace(one, site=new.get(one.site, one.site)) for one in at.recoveries]
            if at.lines is not None:
                at.lines = at.lines.reordered(order, tuple(self.sites))

    def _enter_spectra(self, temperatures: Iterable[AtTemperature]) -> None:
        for at in temperatures:
            for recovery in at.recoveries:
                entry = t1_entry(recovery)
                self.results.t1.append(entry)
                self.results.warnings += doubts_of_T1(entry)
            if at.lines is None:
                continue
            self._warn("lines", at.lines.warnings, _words(at.T_K))
            for matrix in at.matrices:
                self.lines[matrix.dataset] = at.lines
                point = mixing_point(matrix, at.lines)
                self.results.exsy.matrices.append(matrix_entry(matrix, point))
                self._warn("amplitudes", matrix.warnings, matrix.dataset)

            together = [one.T_K for one in at.of_kind("exsy") if one.T_K is not None]
            if (doubt := doubts_of_grouping(together, _words(at.T_K))) is not None:
                self.results.warnings.append(doubt)

            def series(at: AtTemperature = at) -> None:
                assert at.lines is not None
                found = doubts_of_series(at.of_kind("exsy"), at.matrices, at.lines, where=_words(at.T_K))
                self.results.warnings += found

            self.attempt(f"quality of the 2Ds at {_words(at.T_K)}", series)

    def _warn(self, code: str, texts: Iterable[str], where: str) -> None:
        """Enter doubts of the spectra, with the number and the advice they carry."""
        for text in texts:
            value, advice = (text.value, text.advice) if isinstance(text, Doubt) else (None, "")
            self.results.warnings.append(
                ResultWarning(code=code, message=str(text), advice=advice, where=where, value=value)
            )

    # ------------------------------------------------------------------------------------------------ kinetics

    def _kinetics(self, temperatures: Sequence[AtTemperature]) -> None:
        groups = [
            TemperatureFits(
                data=buildup(at.T_K, tuple(self.sites), at.lines, at.matrices, at.recoveries), T_se_K=at.T_se_K
            )
            for at in temperatures
            if at.matrices and at.lines is not None and len(self.sites) > 1 and self._two_are_seen(at)
        ]
        if len(self.sites) == 1 and any(at.matrices for at in temperatures):
            self.results.warnings.append(
                ResultWarning(
                    code="one_site",
                    message=f"one line only ({next(iter(self.sites))}): there is nothing to exchange with, and no rate "
                    "or bound is given",
                    advice="name the sites in ppm, if there are more",
                    value=1.0,
                )
            )
        fit_temperatures(groups, attempt=self.attempt)
        exsy = self.results.exsy

        def lines() -> None:
            entries, warnings = arrhenius_entries(groups)
            exsy.arrhenius += entries
            self.results.warnings += warnings

        for group in groups:
            self.attempt(f"results at {group.where}", lambda group=group: self._enter_fits(group))  # type: ignore[misc]  # mypy cannot type a lambda's default
        if groups:
            self.attempt("Arrhenius lines", lines)
        exsy.fits = [with_energies(one, exsy.arrhenius) if isinstance(one, LayeredFit) else one for one in exsy.fits]
        self.attempt("sites", partial(self._enter_sites, groups, temperatures))
        self.attempt("global fit", partial(self._campaign_fit, groups))
        self.attempt("paper mode", partial(self._paper, groups, temperatures))
        self.results.warnings += [one for group in groups for one in group.warnings]
        self._examine(groups, temperatures)

    def _two_are_seen(self, at: AtTemperature) -> bool:
        """Whether exchange could show at a temperature; where not, that is said."""
        assert at.lines is not None
        seen = dict(zip(at.lines.names, strength(at.matrices, at.lines), strict=True))
        if sum(z >= SEEN for z in seen.values()) > 1:
            return True
        told = ", ".join(f"{name} {max(0.0, float(z)):.1f}" for name, z in seen.items())
        self.results.warnings.append(
            ResultWarning(
                code="not_seen",
                message=f"diagonal peaks stand {told} standard errors above the noise: no rate and no bound is given",
                advice="more scans, or a recycle delay of this temperature's T1",
                where=_words(at.T_K),
                value=float(sorted(seen.values())[-2]),
            )
        )
        return False

    def _campaign_fit(self, groups: Sequence[TemperatureFits]) -> None:
        """Fit all temperatures together; this is the fit to quote, so it comes first."""
        fitted = fit_campaign(groups, self.context.structure)
        if fitted is None:
            return
        exsy = self.results.exsy
        # pairs of phases have fits of single temperatures of their own
        separate = separate_entries(fitted) if len(fitted.sites) > 2 else []
        exsy.fits[:0] = [campaign_entry(fitted), *separate]
        exsy.arrhenius += global_arrhenius(fitted)
        add_curves(fitted, exsy.buildup)
        self.results.warnings += [
            ResultWarning(code=code, message=message, advice=advice, where="global fit", value=value)
            for code, message, advice, value in doubts(fitted)
        ]

    def _paper(self, groups: Sequence[TemperatureFits], temperatures: Sequence[AtTemperature]) -> None:
        """Repeat the published kind of analysis beside ours, for comparison."""
        fitted = {one.data.T_K: one for one in groups}
        processed = [
            Processed(
                T_K=at.T_K,
                raw={one.name: one.raw for one in at.of_kind("exsy")},
                lines=at.lines,
                matrices=at.matrices,
                data=fitted[at.T_K].data,
                exchange=found,
            )
            for at in temperatures
            if at.lines is not None and at.T_K in fitted and (found := fitted[at.T_K].exchange) is not None
        ]
        self.results.exsy.paper = paper_mode(processed, self.results.exsy.arrhenius)

    def _examine(self, groups: Sequence[TemperatureFits], temperatures: Sequence[AtTemperature]) -> None:
        """Ask what a referee would ask of fits and energies."""
        exsy, raw = self.results.exsy, [one.raw for at in temperatures for one in at.of_kind("exsy")]
        favoured = {one.T_K: one.favoured for one in exsy.comparisons if one.decisive}

        def fits(group: TemperatureFits) -> None:
            builds = [one for one in exsy.buildup if one.T_K == group.data.T_K]
            better = favoured.get(group.data.T_K, "")
            self.results.warnings += list(doubts_of_fits(group, builds, better, self.context.thresholds))

        def energies() -> None:
            spinning = [one.spinning_Hz for one in raw if one.spinning_Hz]
            self.results.warnings += list(
                doubts_of_energies(
                    exsy.arrhenius, groups, nucleus=raw[0].nucleus, spinning_Hz=spinning[0] if spinning else None
                )
            )

        for group in groups:
            self.attempt(f"quality of the fits at {group.where}", partial(fits, group))
        if groups:
            self.attempt("quality of the energies", energies)

    def _enter_fits(self, group: TemperatureFits) -> None:
        exsy = self.results.exsy
        if group.exchange is not None:
            exsy.fits.append(exchange_entry(group))
        if group.layered is not None:
            exsy.fits.append(layered_entry(group))
        exsy.fits += [product_entry(group, i, j) for i, j in group.product]
        exsy.buildup += buildup_entries(group)
        comparison = comparison_entry(group)
        if comparison is not None:
            exsy.comparisons.append(comparison)

    def _enter_sites(self, groups: Sequence[TemperatureFits], temperatures: Sequence[AtTemperature]) -> None:
        fitted = [group.exchange.populations() for group in groups if group.exchange is not None]
        mean, error = _pooled(fitted) if fitted else (None, None)
        sets = [at.lines for at in temperatures if at.lines is not None]
        for index, (name, ppm) in enumerate(self.sites.items()):
            found = [line.ppm for lines in sets for line in lines.lines if line.name == name]
            self.results.exsy.sites.append(
                Site(
                    name=name,
                    ppm=float(np.mean(found)) if found else ppm,
                    population=float(mean[index]) if mean is not None else None,
                    population_se=float(error[index]) if error is not None else None,
                )
            )


def _pooled(fitted: Sequence[tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """Weighted mean over temperatures; the error grows where they scatter more than theirs."""
    values, errors = np.array([p for p, _ in fitted]), np.array([se for _, se in fitted])
    weight = 1 / errors**2
    mean = (weight * values).sum(axis=0) / weight.sum(axis=0)
    scatter = ((values - mean) ** 2 * weight).sum(axis=0) / max(1, len(values) - 1)
    return mean, np.sqrt(np.maximum(scatter, 1.0) / weight.sum(axis=0))


def _words(T_K: float | None) -> str:
    return "T unknown" if T_K is None else f"{T_K:.1f} K"

"""All figures of a run folder, each drawn once, in the order in which the report shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from labctl.analysis.nmr.lines import LineSet
from labctl.analysis.results import Results
from labctl.report.by_sample import SampleView, views
from labctl.report.campaign_figures import diffusivities
from labctl.report.figure import Figure, procedure_of
from labctl.report.figures import arrhenius_plot, build_up, saturation_recovery, trace
from labctl.report.pairs_figure import pairs_over_temperature
from labctl.report.spectra import reference_spectra, residual_maps, two_dimensional_spectra


def draw(
    results: Results,
    run_dir: Path,
    readings: Mapping[str, Sequence[tuple[float, str, float]]],
    *,
    begun_s: float,
    lines: Mapping[str, LineSet],
) -> list[Figure]:
    """Draw everything into ``figures/`` of a run folder; other samples than the first have folders of their own there.

    Parameters
    ----------
    readings : mapping of station to (wall time [s], quantity, value)
        For the traces.
    lines : mapping
        Fitted lines by dataset; those that are missing are fitted again.
    """
    folder = run_dir / "figures"
    figures = [figure for view in views(results) for figure in _of_sample(view, run_dir, folder / view.folder, lines)]
    traces = [trace(one, begun_s, folder, station=station) for station, one in readings.items()]
    figures += [one for one in traces if one is not None]
    if results.eis.spectra:
        from labctl.report.eis_figures import eis_figures  # noqa: PLC0415 - not every campaign has any

        figures += eis_figures(results, folder)
    if results.cycling.cells:
        from labctl.report.cycling_figures import cycling_figures  # noqa: PLC0415 - not every campaign has any

        figures += cycling_figures(results, folder)
    return figures


def _of_sample(view: SampleView, run_dir: Path, folder: Path, lines: Mapping[str, LineSet]) -> list[Figure]:
    """Draw what the spectrometer saw of one sample, its name in the titles of all but the first."""
    results = view.results
    drawn = [
        reference_spectra(results, run_dir, folder, lines),
        two_dimensional_spectra(results, run_dir, folder, lines),
        residual_maps(results, run_dir, folder, lines),
        build_up(results, folder),
        pairs_over_temperature(results.exsy, results.published, folder),
        diffusivities(results, folder),
        arrhenius_plot(results, folder),
        saturation_recovery(results, folder),
    ]
    seen = [one for one in results.datasets if one.kind in {"exsy", "saturation_recovery", "one_pulse"}]
    procedures = tuple(dict.fromkeys(procedure_of(one.dataset) for one in seen))
    return [
        replace(one, procedures=procedures, title=f"{one.title} of {view.sample}" if view.procedure else one.title)
        for one in drawn
        if one is not None
    ]

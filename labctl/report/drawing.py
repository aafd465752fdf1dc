"""All figures of a run folder, each drawn once, in the order in which the report shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from labctl.analysis.memory import Memory, same
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
    memory: Memory | None = None,
) -> list[Figure]:
    """Draw everything into ``figures/`` of a run folder; other samples than the first have folders of their own there.

    Parameters
    ----------
    readings : mapping of station to (wall time [s], quantity, value)
        For the traces.
    lines : mapping
        Fitted lines by dataset; those that are missing are fitted again.
    memory : Memory, optional
        Of earlier drawings into this folder: what stands there already is not drawn again.
    """
    folder, memory = run_dir / "figures", memory or Memory()
    figures = [
        figure for view in views(results) for figure in _of_sample(view, run_dir, folder / view.folder, lines, memory)
    ]
    traces = [trace(one, begun_s, folder, station=station) for station, one in readings.items()]
    figures += [one for one in traces if one is not None]
    if results.eis.spectra:
        figures += _of_impedance(results, folder, memory)
    if results.cycling.cells:
        from labctl.report.cycling_figures import cycling_figures  # noqa: PLC0415 - not every campaign has any

        figures += cycling_figures(results, folder, memory)
    return figures


def draw_ahead(results: Results, run_dir: Path, *, lines: Mapping[str, LineSet], memory: Memory) -> Iterator[None]:
    """Draw what is final of a campaign that goes on, into the memory of `draw`; each `next` draws some."""
    folder = run_dir / "figures"
    for view in views(results):
        if view.results.exsy.matrices:
            _of_spectra(view.results, run_dir, folder / view.folder, lines, memory)
            yield
            _of_rates(view.results, folder / view.folder, memory)
            yield
    if results.eis.spectra:
        _of_impedance(results, folder, memory)
        yield
    if results.cycling.cells:
        from labctl.report.cycling_figures import cell_figures  # noqa: PLC0415 - not every campaign has any

        for _ in cell_figures(results, folder, memory):
            yield


def _of_impedance(results: Results, folder: Path, memory: Memory) -> list[Figure]:
    from labctl.report.eis_figures import eis_figures  # noqa: PLC0415 - not every campaign has any

    return _once(memory, f"impedance {folder}", results.eis, lambda: eis_figures(results, folder))


def _once(memory: Memory, place: str, arguments: object, make: Callable[[], list[Figure]]) -> list[Figure]:
    """Return figures that are there already, unless somebody has cleared them away."""
    known = memory.recall(place, arguments, make)
    return known if all(one.path.is_file() for one in known) else make()


def _of_spectra(
    results: Results, run_dir: Path, folder: Path, lines: Mapping[str, LineSet], memory: Memory
) -> list[Figure]:
    """Draw what the lines and their amplitudes alone decide."""
    seen = [one for one in results.datasets if one.kind in {"exsy", "one_pulse"}]
    known = same(lines.get(one.dataset) for one in seen)

    def make() -> list[Figure]:
        drawn = [
            reference_spectra(results, run_dir, folder, lines),
            two_dimensional_spectra(results, run_dir, folder, lines),
            residual_maps(results, run_dir, folder, lines),
            build_up(results, folder),
        ]
        return [one for one in drawn if one is not None]

    return _once(memory, f"spectra {folder}", (seen, results.exsy, known), make)


def _of_rates(results: Results, folder: Path, memory: Memory) -> list[Figure]:
    """Draw what follows from rates and relaxation times alone."""

    def make() -> list[Figure]:
        drawn = [diffusivities(results, folder), arrhenius_plot(results, folder), saturation_recovery(results, folder)]
        return [one for one in drawn if one is not None]

    return _once(memory, f"rates {folder}", (results.exsy, results.t1), make)


def _of_sample(
    view: SampleView, run_dir: Path, folder: Path, lines: Mapping[str, LineSet], memory: Memory
) -> list[Figure]:
    """Draw what the spectrometer saw of one sample, its name in the titles of all but the first."""
    results = view.results
    drawn = [
        *_of_spectra(results, run_dir, folder, lines, memory),
        pairs_over_temperature(results.exsy, results.published, folder),
        *_of_rates(results, folder, memory),
    ]
    seen = [one for one in results.datasets if one.kind in {"exsy", "saturation_recovery", "one_pulse"}]
    procedures = tuple(dict.fromkeys(procedure_of(one.dataset) for one in seen))
    return [
        replace(one, procedures=procedures, title=f"{one.title} of {view.sample}" if view.procedure else one.title)
        for one in drawn
        if one is not None
    ]

"""Ahead of the end: what is complete is analysed while the rest is still measured, for the pass that comes last.

All of it goes by `labctl.analysis.memory`: the last pass takes what it finds there for equal arguments, and is the same
without.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from labctl.analysis.campaign import Pass, by_sample, procedure_of
from labctl.analysis.context import AnalysisContext
from labctl.analysis.cycling.gather import finished_cells
from labctl.analysis.eis.gather import MeasuredSpectrum, gather_impedance
from labctl.analysis.gather import gather_run
from labctl.analysis.grouping import by_temperature, fit_for_use
from labctl.analysis.memory import Memory
from labctl.analysis.nmr.lines import LineSet
from labctl.analysis.results import OtherSample, Results


def look_ahead(
    run_dir: Path,
    context: AnalysisContext,
    apart: Mapping[str, tuple[str, AnalysisContext]],
    *,
    done: Collection[str],
    memory: Memory,
) -> Iterator[None]:
    """Work out ahead what `analyze_campaign` will take from the memory, in pieces; each `next` is one.

    Parameters
    ----------
    apart
        As for `analyze_campaign`.
    done : collection of str
        Procedures (``station/name``) to which no more data are added, and temperatures of one (``station/name/T03``).
    """
    first, mine = by_sample(gather_run(run_dir, memory)[0], apart)
    samples = [("", context, first), *((prefix, own, mine[prefix]) for prefix, (_, own) in apart.items())]
    for prefix, own_context, members in samples:
        for at in by_temperature(fit_for_use(members)[0]):  # what joins one later makes that one be done again
            if all("/".join(one.name.split("/")[:3]) in done or procedure_of(one) in done for one in at.members):
                Pass(own_context, memory=memory, of=prefix).one_temperature(at)
                yield
        if members and all(procedure_of(one) in done for one in members):
            Pass(own_context, memory=memory, of=prefix).spectrometer(members)
            yield
    if spectra := _finished_spectra(run_dir, done, memory):
        Pass(context, memory=memory).impedance(spectra)
        yield


def analyze_ahead(
    run_dir: Path,
    context: AnalysisContext,
    apart: Mapping[str, tuple[str, AnalysisContext]],
    *,
    done: Collection[str],
    memory: Memory,
    lines: dict[str, LineSet],
) -> Results:
    """Return of `analyze_campaign` what no more data are added to: samples in the rotor, impedance, cells.

    Arguments as there.

    `done` as for `look_ahead`, which leaves nothing to be worked out here.
    """
    first, mine = by_sample(gather_run(run_dir, memory)[0], apart)
    found = Pass(context, lines, memory)
    if first and all(procedure_of(one) in done for one in first):
        found.spectrometer(first)
    for prefix, (sample, own_context) in apart.items():
        if mine[prefix] and prefix in done:
            own = Pass(own_context, lines, memory, of=prefix).run(mine[prefix], [])
            found.results.datasets += own.datasets
            found.results.other_samples.append(OtherSample(sample=sample, procedure=prefix, t1=own.t1, exsy=own.exsy))
    if spectra := _finished_spectra(run_dir, done, memory):
        found.impedance(spectra)
    found.cycling([one for one in finished_cells(run_dir, memory) if procedure_of(one) in done])
    return found.results


def _finished_spectra(run_dir: Path, done: Collection[str], memory: Memory) -> list[MeasuredSpectrum]:
    """Return all impedance spectra, once no more are measured."""
    spectra = gather_impedance([run_dir], memory)[0]
    return spectra if all(procedure_of(one) in done for one in spectra) else []

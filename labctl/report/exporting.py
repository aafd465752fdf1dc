"""Spectra for other programs: processed Bruker data, CSDM files and figures of any analysed 2Ds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from labctl.analysis.nmr.lines import LineSet, refine_lines
from labctl.analysis.nmr.spectrum import Spectrum2D, spectrum_2d
from labctl.analysis.results import DatasetEntry, Results
from labctl.errors import InputError, LabctlError
from labctl.formats.bruker_dataset import BrukerDataset, IndirectAxis, read_dataset
from labctl.formats.bruker_pdata import ProcessedAxis, write_2d
from labctl.formats.csdm import write_csdm
from labctl.report.spectra import broadening_Hz, residual_maps, two_dimensional_spectra


def export_spectra(
    results: Results,
    folder: Path,
    *,
    beside_raw: bool = False,
    figures: bool = True,
    tell: Callable[[str], None] = print,
) -> list[Path]:
    """Process every 2D and write it for other programs; return what was written.

    ``bruker/<EXPNO>/pdata/<PROCNO>/2rr`` is for TopSpin and what reads its data (the acquisition parameters are copied
    beside it), ``csdm/<EXPNO>.csdf`` for programs that read CSDM, ``figures/*.svg`` for people. Phases are those of
    the fitted lines. Nothing that exists is overwritten: a second export takes the next PROCNO and the next name.

    Parameters
    ----------
    beside_raw : bool
        Write the processed Bruker data into the next free PROCNO of the acquired EXPNO itself, and only then.
    figures : bool
        Draw contours and residual maps too.
    tell : callable
        Gets one line for each piece that could not be written.

    Raises
    ------
    InputError
        There is no 2D-EXSY among the results.
    """
    written: list[Path] = []
    entries = [one for one in results.datasets if one.kind == "exsy" and one.completeness != "failed"]
    if not entries:
        raise InputError("there is no 2D-EXSY to export", next_step="Give folders that hold 2D data")
    with_csdm = True
    for entry, name in zip(entries, _names(entries), strict=True):
        try:
            dataset = read_dataset(Path(entry.path))
            lines = _lines(dataset, results)
            target = Path(entry.path) if beside_raw else _without_raw(folder / "bruker" / name)
            written.append(_bruker(dataset, lines, target, entry))
        except (LabctlError, OSError) as problem:
            tell(f"{entry.dataset}: not exported: {problem}")
            continue
        if with_csdm:
            try:
                written.append(_csdm(dataset, lines, folder / "csdm", name, entry))
            except InputError as problem:
                tell(str(problem))
                with_csdm = False
    for draw in (two_dimensional_spectra, residual_maps) if figures else ():
        figure = draw(results, Path(), folder / "figures")
        if figure is not None:
            written.append(figure.path)
    return written


def _without_raw(expno_dir: Path) -> Path:
    """Pass an EXPNO folder that may be written to: one that holds acquired data is left alone unless asked for."""
    if any((expno_dir / name).exists() for name in ("fid", "ser")):
        raise InputError(
            f"{expno_dir} holds acquired data",
            next_step="Export into another folder, or ask for spectra beside the raw data",
        )
    return expno_dir


def _bruker(dataset: BrukerDataset, lines: LineSet | None, expno_dir: Path, entry: DatasetEntry) -> Path:
    def processed(f2_rad: float, f1_rad: float) -> Spectrum2D:
        return spectrum_2d(
            dataset,
            lines=lines,
            broadening_Hz=broadening_Hz(lines),
            as_vendor=True,
            window_ppm=(-1e6, 1e6),
            turn_rad=(f2_rad, f1_rad),
        )

    quarter = 0.5 * np.pi
    whole = processed(0.0, 0.0)
    kept = _strip(whole, dataset)
    imaginary = {
        name: processed(f2_rad, f1_rad).intensity[:, kept]
        for name, f2_rad, f1_rad in (("2ir", quarter, 0.0), ("2ri", 0.0, quarter), ("2ii", quarter, quarter))
    }
    f1, f2 = _axes(dataset, whole.f1_ppm, whole.f2_ppm[kept], broadening_Hz(lines))
    f2 = replace(f2, transform_size=len(whole.f2_ppm), first=kept.start)
    title = f"{dataset.title}\n{_words(entry)}; processed by labctl, phases of the fitted lines".strip()
    return write_2d(
        expno_dir,
        whole.intensity[:, kept],
        f2=f2,
        f1=f1,
        imaginary=imaginary,
        title=title,
        parameters_from=Path(entry.path),
    )


def _csdm(dataset: BrukerDataset, lines: LineSet | None, folder: Path, name: str, entry: DatasetEntry) -> Path:
    spectrum = spectrum_2d(dataset, lines=lines, broadening_Hz=broadening_Hz(lines))
    path, number = folder / f"{name}.csdf", 1
    while path.exists():
        number += 1
        path = folder / f"{name}.{number}.csdf"
    known = {"T_K": entry.T_K, "dataset": entry.dataset, **entry.parameters}
    axes = _axes(dataset, spectrum.f1_ppm, spectrum.f2_ppm, broadening_Hz(lines))
    return write_csdm(path, spectrum.intensity, axes, description=_words(entry), application=known)


def _axes(
    dataset: BrukerDataset,
    f1_ppm: npt.NDArray[np.float64],
    f2_ppm: npt.NDArray[np.float64],
    broadening: tuple[float, float],
) -> tuple[ProcessedAxis, ProcessedAxis]:
    indirect = dataset.indirect
    assert indirect is not None
    return (
        ProcessedAxis(
            ppm=f1_ppm,
            reference_MHz=_reference_MHz(indirect),
            nucleus=indirect.nucleus,
            broadening_Hz=broadening[1],
        ),
        ProcessedAxis(
            ppm=f2_ppm, reference_MHz=dataset.reference_MHz, nucleus=dataset.nucleus, broadening_Hz=broadening[0]
        ),
    )


def _reference_MHz(axis: IndirectAxis) -> float:
    return axis.larmor_MHz / (1.0 + 1e-6 * axis.carrier_ppm)


def _strip(spectrum: Spectrum2D, dataset: BrukerDataset) -> slice:
    """Columns as wide as F1 around the carrier, a power of two of them: what lies outside cannot be in a 2D-EXSY."""
    indirect = dataset.indirect
    assert indirect is not None
    total = len(spectrum.f2_ppm)
    if indirect.nucleus != dataset.nucleus:
        return slice(0, total)
    step = float(spectrum.f2_ppm[0] - spectrum.f2_ppm[1])
    wanted = indirect.spectral_width_Hz / dataset.reference_MHz / step
    count = min(total, 1 << max(1, int(np.ceil(wanted)) - 1).bit_length())
    centre = int(np.argmin(np.abs(spectrum.f2_ppm - indirect.carrier_ppm)))
    first = int(np.clip(centre - count // 2, 0, total - count))
    return slice(first, first + count)


def _lines(dataset: BrukerDataset, results: Results) -> LineSet | None:
    try:
        return refine_lines([dataset], sites={site.name: site.ppm for site in results.exsy.sites} or None)
    except LabctlError:
        return None


def _names(entries: Sequence[DatasetEntry]) -> list[str]:
    """Folder names of datasets: their EXPNO where that tells them apart, else with what stands above it."""
    for depth in range(1, 8):
        names = ["_".join(Path(entry.path).resolve().parts[-depth:]).replace("/", "") for entry in entries]
        if len(set(names)) == len(names):
            return names
    return [f"{index + 1}" for index, _ in enumerate(entries)]


def _words(entry: DatasetEntry) -> str:
    T = "T unknown" if entry.T_K is None else f"{entry.T_K:.1f} K"
    return f"{entry.dataset}, {T}, Tmix {entry.parameters.get('mixing_time_s', 0)} s"

"""Which impedance spectra there are: files of anybody's making, and run folders with their manifests."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from labctl.analysis.gather import latest_datasets
from labctl.analysis.memory import Memory
from labctl.dataset.model import Completeness, Dataset
from labctl.errors import InputError
from labctl.formats.impedance import ImpedanceSpectrum, PelletGeometry
from labctl.formats.impedance_file import impedance_dialect, read_impedance
from labctl.formats.impedance_sidecar import SUFFIX, sidecar_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredSpectrum:
    """One spectrum as the analysis sees it.

    Attributes
    ----------
    name : str
        Step id for data labctl acquired, otherwise the file (and block) as the user wrote it.
    sample : str
        By which spectra belong together: as the sidecar or the manifest names it, else the folder.
    T_K, T_se_K : float or None
        Of the sample, calibrated where a manifest says so; the error is the calibration's or thermometer's, the same
        for every spectrum of a campaign.
    T_moved_se_K : float or None
        How wrong `T_K` may be because the temperature moved during this very sweep.
    """

    name: str
    spectrum: ImpedanceSpectrum
    sample: str
    T_K: float | None = None
    T_se_K: float | None = None
    T_moved_se_K: float | None = None
    setpoint_K: float | None = None
    completeness: Completeness = "complete"
    manifest: Dataset | None = None
    remarks: tuple[str, ...] = ()


def gather_impedance(paths: Sequence[Path], memory: Memory | None = None) -> tuple[list[MeasuredSpectrum], list[str]]:
    """Return every spectrum at or below `paths`, and what could not be read (one line each).

    Files are told apart by content; other files are passed over. In a run folder the manifests decide; with a memory,
    what was read of one before is the same object again.
    """
    found: list[MeasuredSpectrum] = []
    unread: list[str] = []
    for path in paths:
        if (path / "datasets").is_dir():
            part, complaints = _of_run(path, memory or Memory())
        else:
            part, complaints = _of_files(path)
        found += part
        unread += complaints
    return found, unread


def _of_files(path: Path) -> tuple[list[MeasuredSpectrum], list[str]]:
    found: list[MeasuredSpectrum] = []
    unread: list[str] = []
    for one in [path] if path.is_file() else _files(path):
        if impedance_dialect(one) is None:
            continue
        try:
            spectra = read_impedance(one)
        except InputError as problem:
            unread.append(str(problem))
            continue
        several = len(spectra) > 1
        for spectrum in spectra:
            name = f"{one}#{spectrum.block + 1}" if several else str(one)
            found.append(_measured(name, spectrum, sample=spectrum.sample or one.parent.name))
    return found, unread


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder in order; folders of NMR data are passed over."""
    for at, folders, names in os.walk(folder):
        folders.sort()
        if "acqus" in names or "acqu" in names:
            folders.clear()
            continue
        for name in sorted(names):
            if not name.endswith(SUFFIX) and not name.startswith("."):
                yield Path(at) / name


def _of_run(run_dir: Path, memory: Memory) -> tuple[list[MeasuredSpectrum], list[str]]:
    datasets, _ = latest_datasets(run_dir)  # broken manifests are told of once, by the gathering of all kinds
    found: list[MeasuredSpectrum] = []
    unread: list[str] = []
    for dataset in datasets:
        if dataset.kind != "impedance":
            continue
        try:
            found += memory.recall(f"read {dataset.step_id}", dataset, partial(measured_spectra, run_dir, dataset))
        except InputError as problem:
            unread.append(f"{dataset.step_id}: {problem}")
    return found, unread


def measured_spectra(run_dir: Path, dataset: Dataset) -> list[MeasuredSpectrum]:
    """Return the spectra of one dataset of a run folder.

    Raises
    ------
    InputError
        No file of it is a spectrum that can be read.
    """
    candidates = [run_dir / one.path for one in dataset.files]
    candidates = [one for one in candidates if not one.name.endswith(SUFFIX) and impedance_dialect(one) is not None]
    # a sweep may be there in several formats; the one with a sidecar says most
    candidates.sort(key=lambda one: sidecar_of(one) is None)
    if not candidates:
        raise InputError(
            f"{run_dir / dataset.directory}: no file with an impedance spectrum", expected="the export the driver wrote"
        )
    temperature = dataset.temperature
    found = []
    for spectrum in read_impedance(candidates[0]):
        told = _with_settings(spectrum, dataset)
        one = _measured(
            dataset.step_id if not spectrum.block else f"{dataset.step_id}#{spectrum.block + 1}",
            told,
            sample=told.sample or str(dataset.settings.get("sample", "")) or dataset.procedure,
        )
        found.append(
            replace(
                one,
                T_K=temperature.sample_K if temperature else one.T_K,
                T_se_K=temperature.sample_se_K if temperature else one.T_se_K,
                setpoint_K=temperature.setpoint_K if temperature else one.setpoint_K,
                completeness=dataset.completeness,
                manifest=dataset,
                remarks=(*dataset.remarks, *spectrum.remarks),
            )
        )
    return found


def _with_settings(spectrum: ImpedanceSpectrum, dataset: Dataset) -> ImpedanceSpectrum:
    """Fill in from the manifest what the sidecar left out."""
    numbers = {key: value for key, value in dataset.settings.items() if isinstance(value, (int, float))}
    pellet = spectrum.pellet
    thickness, diameter = numbers.get("thickness_mm", 0.0), numbers.get("diameter_mm", 0.0)
    if pellet is None and thickness > 0 and diameter > 0:
        pellet = PelletGeometry(
            thickness_mm=thickness,
            diameter_mm=diameter,
            thickness_se_mm=numbers.get("thickness_se_mm"),
            diameter_se_mm=numbers.get("diameter_se_mm"),
        )
    amplitude_V, kind = spectrum.amplitude_V, spectrum.amplitude_kind
    if amplitude_V is None and "amplitude_V_rms" in numbers:
        amplitude_V, kind = numbers["amplitude_V_rms"], "rms"
    return replace(
        spectrum,
        pellet=pellet,
        amplitude_V=amplitude_V,
        amplitude_kind=kind,
        started_s=dataset.started_s if spectrum.started_s is None else spectrum.started_s,
        ended_s=dataset.ended_s if spectrum.ended_s is None else spectrum.ended_s,
    )


def _measured(name: str, spectrum: ImpedanceSpectrum, *, sample: str) -> MeasuredSpectrum:
    before, after = spectrum.temperature_before_K, spectrum.temperature_after_K
    moved_se_K = None
    if before is not None and after is not None:
        moved_se_K = abs(after - before) / 12**0.5  # anywhere between the two, evenly
    return MeasuredSpectrum(
        name=name,
        spectrum=spectrum,
        sample=sample,
        T_K=spectrum.temperature_K,
        T_se_K=spectrum.temperature_se_K,
        T_moved_se_K=moved_se_K,
        setpoint_K=spectrum.setpoint_K,
        remarks=spectrum.remarks,
    )

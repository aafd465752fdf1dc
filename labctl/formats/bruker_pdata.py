"""Processed spectra as TopSpin stores them: ``pdata/<PROCNO>/2rr`` with procs and proc2s, beside what is there already.

A ``2rr`` holds int32, little-endian, rows of F1; with XDIM equal to SI it is one block in plain order. Intensities are
the integers times 2**NC_proc. A point i of an axis stands at ``OFFSET - i SW_p / (SI SF)`` ppm. ``2ir`` is imaginary
in F2, ``2ri`` in F1, ``2ii`` in both; they let TopSpin phase again. Which sign TopSpin gives them is not verified.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labctl.errors import InputError

IMAGINARY = ("2ir", "2ri", "2ii")
_PARAMETERS = ("acqus", "acqu2s", "acqu", "acqu2")
_LARGEST = 2**29
"""The largest intensity is scaled to just below: TopSpin adds spectra in 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessedAxis:
    """One axis of a processed spectrum.

    Attributes
    ----------
    ppm : ndarray
        Falls evenly.
    reference_MHz : float
        SF.
    transform_size, first : int
        Points of the transform (0: all are here), and which of them is the first here (a strip of it).
    """

    ppm: NDArray[np.float64]
    reference_MHz: float
    nucleus: str
    broadening_Hz: float = 0.0
    transform_size: int = 0
    first: int = 0

    @property
    def width_Hz(self) -> float:
        """SW_p: the width of all points together."""
        step = (self.ppm[0] - self.ppm[-1]) / (len(self.ppm) - 1)
        return float(step * len(self.ppm) * self.reference_MHz)


def write_2d(
    expno_dir: Path,
    intensity: NDArray[np.floating],
    *,
    f2: ProcessedAxis,
    f1: ProcessedAxis,
    imaginary: Mapping[str, NDArray[np.floating]] | None = None,
    title: str = "",
    parameters_from: Path | None = None,
) -> Path:
    """Write a 2D into the first free PROCNO of an EXPNO folder and return it; nothing that exists is touched.

    Parameters
    ----------
    intensity : ndarray, shape (F1, F2)
        Both lengths powers of two.
    imaginary : mapping of ``2ir``, ``2ri``, ``2ii`` to ndarray, optional
        Of the same shape; all are scaled alike.
    parameters_from : Path, optional
        EXPNO folder whose acquisition parameters are copied where `expno_dir` has none; TopSpin opens no data
        without them.

    Raises
    ------
    InputError
        A size that is no power of two, a shape that does not match the axes, or values that are not finite.
    """
    parts = {"2rr": intensity, **(imaginary or {})}
    for name, part in parts.items():
        if name not in {"2rr", *IMAGINARY}:
            raise InputError(f"{name!r} is no part of a processed 2D", expected=", ".join(IMAGINARY))
        if part.shape != (len(f1.ppm), len(f2.ppm)):
            raise InputError(f"a {name} of {part.shape} points on axes of {len(f1.ppm)} and {len(f2.ppm)}")
        if any(size < 2 or size & (size - 1) for size in part.shape):
            raise InputError(f"processed data of {part.shape} points", expected="powers of two")
        if not np.isfinite(part).all():
            raise InputError(f"the {name} holds values that are not numbers", next_step="Look at the raw data")
    if parameters_from is not None:
        expno_dir.mkdir(parents=True, exist_ok=True)
        for name in _PARAMETERS:
            source, target = parameters_from / name, expno_dir / name
            if source.is_file() and not target.exists():
                shutil.copyfile(source, target)
    procno = _free(expno_dir / "pdata")
    largest = max(float(np.abs(part).max()) for part in parts.values())
    exponent = math.ceil(math.log2(largest / _LARGEST)) if largest > 0 else 0
    for name, part in parts.items():
        (procno / name).write_bytes(_counts(part, exponent).tobytes())
    scaled = _counts(intensity, exponent)
    common = {
        "BYTORDP": 0,
        "DTYPP": 0,
        "NC_proc": exponent,
        "YMAX_p": int(scaled.max()),
        "YMIN_p": int(scaled.min()),
        "PPARMOD": 1,
    }
    for stem, axis, transform in (("proc", f2, 6), ("proc2", f1, 6)):
        text = _jcamp(common | _of_axis(axis, transform))
        (procno / stem).write_text(text, encoding="utf-8")
        (procno / f"{stem}s").write_text(text, encoding="utf-8")
    (procno / "title").write_text(title + "\n", encoding="utf-8")
    return procno


def _counts(intensity: NDArray[np.floating], exponent: int) -> NDArray[np.int32]:
    counts: NDArray[np.int32] = np.rint(np.asarray(intensity, dtype=np.float64) * 2.0**-exponent).astype("<i4")
    return counts


def _of_axis(axis: ProcessedAxis, transform: int) -> dict[str, float | int | str]:
    size = len(axis.ppm)
    return {
        "AXNUC": f"<{axis.nucleus}>",
        "FT_mod": transform,
        "FTSIZE": axis.transform_size or size,
        "LB": axis.broadening_Hz,
        "MC2": 4,
        "OFFSET": float(axis.ppm[0]),
        "PH_mod": 1,
        "PHC0": 0,
        "PHC1": 0,
        "SF": axis.reference_MHz,
        "SI": size,
        "STSI": size,
        "STSR": axis.first,
        "SW_p": axis.width_Hz,
        "WDW": 1 if axis.broadening_Hz else 0,
        "XDIM": size,
    }


def _free(pdata: Path) -> Path:
    """Make the folder of the lowest number that is not taken."""
    number = 1
    while True:
        procno = pdata / str(number)
        try:
            procno.mkdir(parents=True, exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return procno


def _jcamp(values: Mapping[str, float | int | str]) -> str:
    lines = ["##TITLE= Parameter file, labctl", "##JCAMPDX= 5.0", "##DATATYPE= Parameter Values", "##ORIGIN= labctl"]
    lines += [f"##${name}= {value:.15g}" if isinstance(value, float) else f"##${name}= {value}"
              for name, value in sorted(values.items())]  # fmt: skip
    return "\n".join([*lines, "##END=", ""])

"""Spectra in the Core Scientific Dataset Model (Srivastava and others 2020), by csdmpy, which is asked for late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labctl.errors import InputError
from labctl.formats.bruker_pdata import ProcessedAxis


def write_csdm(
    path: Path, intensity: NDArray[np.floating], axes: Sequence[ProcessedAxis], *, description: str = "",
    application: Mapping[str, object] | None = None,
) -> Path:  # fmt: skip
    """Write a spectrum as ``.csdf`` (JSON) and return the path; nothing that exists is overwritten.

    Parameters
    ----------
    intensity : ndarray
        One dimension for each of `axes`, in their order (F1 before F2).
    axes : sequence of ProcessedAxis
        Stored as frequencies from the reference with the reference as origin offset, so that readers get ppm.
    application : mapping, optional
        What else is known of it (plain JSON values), under ``labctl``.

    Raises
    ------
    InputError
        csdmpy is not installed, or the file exists.
    """
    if path.exists():
        raise InputError(f"{path} exists", next_step="Export into another folder; nothing is overwritten")
    try:
        import csdmpy  # noqa: PLC0415 - an extra, and two seconds to import
    except ImportError as missing:
        raise InputError(
            f"CSDM files need csdmpy, which cannot be imported: {missing}",
            next_step="pip install 'labctl-acquisition[csdm]'",
        ) from missing
    dimensions = []
    for axis in reversed(axes):  # CSDM counts dimensions from the fastest
        step_Hz = axis.width_Hz / len(axis.ppm)
        dimensions.append(
            csdmpy.LinearDimension(
                count=len(axis.ppm),
                increment=f"{-step_Hz!r} Hz",
                coordinates_offset=f"{float(axis.ppm[0]) * axis.reference_MHz!r} Hz",
                origin_offset=f"{axis.reference_MHz * 1e6!r} Hz",
                label=f"{axis.nucleus} shift",
            )
        )
    dataset = csdmpy.CSDM(
        dimensions=dimensions,
        dependent_variables=[
            csdmpy.as_dependent_variable(np.asarray(intensity, dtype=np.float32), quantity_type="scalar")
        ],
        description=description,
    )
    if application:
        dataset.application = {"labctl": dict(application)}
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save(str(path))
    return path

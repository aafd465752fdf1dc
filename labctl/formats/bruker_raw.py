"""Bruker's ``fid`` and ``ser`` as complex rows, by what the files hold and not by which console wrote them.

Each row of a ``ser`` starts on a 1024-byte boundary; a ``fid`` may or may not be padded. A ``ser`` may be
preallocated (zero rows at the end), short (still growing, or cut), or whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labctl.errors import Finding, InputError

BLOCK_BYTES = 1024
_SAMPLE = {0: "i4", 2: "f8"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawRows:
    """Rows as stored (before 2**NC), and how the file was laid out.

    `rows_on_disk` counts whole rows in the file, `rows_filled` those up to the last that is not all zero.
    """

    data: NDArray[np.complex128]
    rows_on_disk: int
    rows_filled: int
    remarks: tuple[str, ...] = ()


def sample_type(path: Path, dtypa: object, byte_order: object) -> np.dtype[np.generic]:
    """Return the numpy type of one real number for DTYPA (0 int32, 2 float64) and BYTORDA (0 little, 1 big endian).

    Raises
    ------
    InputError
        Another code; `path` is the parameter file it came from.
    """
    if dtypa not in _SAMPLE or byte_order not in {0, 1}:
        raise InputError(
            findings=(
                Finding(
                    file=str(path),
                    key_path="DTYPA, BYTORDA",
                    what="the type of the raw data is not known",
                    value=f"{dtypa}, {byte_order}",
                    expected="expected DTYPA 0 (int32) or 2 (float64), and BYTORDA 0 or 1",
                ),
            )
        )
    return np.dtype(("<" if byte_order == 0 else ">") + _SAMPLE[int(str(dtypa))])


def read_fid(path: Path, sample: np.dtype[np.generic], td: int) -> RawRows:
    """Return the one row of a ``fid``: at most `td` real numbers, fewer where the file is short."""
    numbers = np.fromfile(path, dtype=sample)[:td]
    remarks = () if numbers.size == td else (f"{path.name} holds {numbers.size} of {td} numbers",)
    data = _complex(numbers[None, : numbers.size - numbers.size % 2])
    filled = int(data.shape[1] > 0 and bool(np.any(data)))
    return RawRows(data=data, rows_on_disk=1, rows_filled=filled, remarks=remarks)


def read_ser(path: Path, sample: np.dtype[np.generic], td: int, rows_asked: int) -> RawRows:
    """Return the whole rows of a ``ser``, cropped to TD/2 complex points."""
    numbers = np.fromfile(path, dtype=sample)
    block = BLOCK_BYTES // sample.itemsize
    stride = -(-td // block) * block
    remarks: list[str] = []
    if stride != td and numbers.size == td * rows_asked:
        stride = td
        remarks.append(f"the rows of {path.name} are not padded to {BLOCK_BYTES} bytes")
    rows = min(numbers.size // stride, rows_asked)
    if numbers.size < rows_asked * stride:
        remarks.append(f"{path.name} holds {rows} whole rows of {rows_asked}")
    data = _complex(numbers[: rows * stride].reshape(rows, stride)[:, : td - td % 2])
    nonzero = np.flatnonzero(np.any(data != 0, axis=1))
    filled = int(nonzero[-1]) + 1 if nonzero.size else 0
    return RawRows(data=data, rows_on_disk=rows, rows_filled=filled, remarks=tuple(remarks))


def _complex(numbers: NDArray[np.generic]) -> NDArray[np.complex128]:
    return np.ascontiguousarray(numbers, dtype=np.float64).view(np.complex128)

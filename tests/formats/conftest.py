"""Bruker folders composed byte by byte, by the published layout and not by any code of labctl."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

Jcamp = Mapping[str, object]
WriteExpno = Callable[..., Path]


def jcamp_text(parameters: Jcamp) -> str:
    """Compose a parameter file as TopSpin writes it."""
    lines = ["##TITLE= Parameter file, TopSpin 4.0.8", "##JCAMPDX= 5.0"]
    for name in sorted(parameters):
        value = parameters[name]
        if isinstance(value, (list, tuple)):
            lines.append(f"##${name}= (0..{len(value) - 1})")
            words = [f"<{one}>" if isinstance(one, str) else repr(one) for one in value]
            lines.extend(" ".join(words[at : at + 8]) for at in range(0, len(words), 8))
        elif isinstance(value, bool):
            lines.append(f"##${name}= {'yes' if value else 'no'}")
        elif isinstance(value, str):
            lines.append(f"##${name}= <{value}>")
        else:
            lines.append(f"##${name}= {value!r}")
    return "\n".join([*lines, "##END=", ""])


def acqus(**changes: object) -> dict[str, object]:
    """Status parameters of a small NEO 2D-EXSY, with changes."""
    return {
        "PULPROG": "noesyph",
        "TD": 256,
        "NS": 8,
        "SW_h": 10000.0,
        "BF1": 73.578,
        "SFO1": 73.578,
        "NUC1": "6Li",
        "AQ_mod": 3,
        "DIGMOD": 1,
        "DSPFVS": 20,
        "DECIM": 2000,
        "GRPDLY": 68.0,
        "DTYPA": 2,
        "BYTORDA": 0,
        "NC": 0,
        "TE": 293.15,
        "MASR": 10000,
        "D": [0.00039376, 50.0] + [0.0] * 6 + [1.5] + [0.0] * 55,
        "P": [0.0, 4.9] + [0.0] * 62,
        "INF": [0.0, 800.0] + [0.0] * 6,
        "RG": 101.0,
        **changes,
    }


def acqu2s(**changes: object) -> dict[str, object]:
    """F1 of the same."""
    return {"TD": 16, "FnMODE": 5, "NUC1": "6Li", "SFO1": 73.578, "BF1": 73.578, "SW_h": 1250.0, **changes}


def row_bytes(rows: NDArray[np.complex128], dtype: str, *, pad: bool = True) -> bytes:
    """Rows of complex points as a ser holds them: re im re im, each row filled up to 1024 bytes."""
    out = b""
    for row in rows:
        raw = row.astype(np.complex128).view(np.float64).astype(dtype).tobytes()
        out += raw + (b"\0" * (-len(raw) % 1024) if pad else b"")
    return out


@pytest.fixture
def compose() -> SimpleNamespace:
    """Return the composers of parameters and raw bytes."""
    return SimpleNamespace(acqus=acqus, acqu2s=acqu2s, row_bytes=row_bytes)


@pytest.fixture
def write_expno(tmp_path: Path) -> WriteExpno:
    """Return a function that writes one EXPNO folder and returns it."""

    def write(
        raw: bytes,
        *,
        status: Jcamp | None = None,
        indirect: Jcamp | None = None,
        requested: Jcamp | None = None,
        audit: str = "",
        files: Mapping[str, str] | None = None,
    ) -> Path:
        folder = tmp_path / "sample" / "2031"
        folder.mkdir(parents=True)
        (folder / "acqus").write_text(jcamp_text(status if status is not None else acqus()), encoding="utf-8")
        if indirect is not None:
            (folder / "acqu2s").write_text(jcamp_text(indirect), encoding="utf-8")
            (folder / "acqu2").write_text(jcamp_text(requested or indirect), encoding="utf-8")
        (folder / ("fid" if indirect is None else "ser")).write_bytes(raw)
        if audit:
            (folder / "audita.txt").write_text(audit, encoding="utf-8")
        for name, text in (files or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    return write

"""Impedance spectra from any file Autolab's programs leave, told apart by content and never by extension."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labctl.formats.autolab_dfr import SIGNATURE as DFR_SIGNATURE
from labctl.formats.autolab_dfr import parse_dfr
from labctl.formats.impedance import Dialect, ImpedanceSpectrum
from labctl.formats.impedance_sidecar import sidecar_of, with_sidecar
from labctl.formats.impedance_text import decode, lines_of, read_bytes, refuse
from labctl.formats.nova_ascii import find_header, parse_nova
from labctl.formats.nova_nox import SIGNATURE as NOX_SIGNATURE
from labctl.formats.nova_nox import parse_nox
from labctl.formats.zview_z60w import SIGNATURE as Z60W_SIGNATURE
from labctl.formats.zview_z60w import parse_z60w

HEAD_BYTES = 65_536
"""Enough to find a header behind the remarks above it."""


def impedance_dialect(path: Path) -> Dialect | None:
    """Return what an impedance file is by its first bytes, or None for any other file (or one that cannot be read)."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        return None
    if head.startswith(NOX_SIGNATURE[:5]) and b"EcoChemie" in head:
        return "NOVA nox"
    if b"\x00\x00\x00\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    return _dialect_of(lines_of(decode(head)))


def _dialect_of(lines: Sequence[str]) -> Dialect | None:
    first = next((line for line in lines if line.strip()), "")
    if Z60W_SIGNATURE.match(first):
        return "Z60W"
    if DFR_SIGNATURE.match(first):
        return "FRA dfr"
    return "NOVA ASCII" if any(find_header(line) for line in lines) else None


def read_impedance(path: Path) -> tuple[ImpedanceSpectrum, ...]:
    """Return every spectrum of a file, in order, with what a sidecar (``<name>.eis.json``) adds.

    Raises
    ------
    InputError
        The file is missing, is no impedance data, allows two readings, or contradicts itself; with file and line.
    """
    raw = read_bytes(path)
    if raw.startswith(NOX_SIGNATURE[:5]):
        spectra = parse_nox(path)
    else:
        lines = lines_of(decode(raw))
        match _dialect_of(lines):
            case "Z60W":
                spectra = parse_z60w(path, lines)
            case "FRA dfr":
                spectra = parse_dfr(path, lines)
            case _:
                spectra = parse_nova(path, lines)
    if not spectra:
        raise refuse(path, 0, "no spectrum")
    sidecar = sidecar_of(path)
    return tuple(spectra if sidecar is None else with_sidecar(spectra, sidecar))

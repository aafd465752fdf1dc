"""``.nox``: procedures and results of NOVA, read offline; of a file without impedance it says what is in it.

A file holds two .NET streams: a description (name, instrument, times) and the tree of commands. Recorded signals are
members called ``CommandParameterDataArray``; each carries its name, unit, values and the command it belongs to. Names
of an impedance measurement's signals are those of the SDK (``Frequency``, ``Z'``, ``-Z''``, ``Z``, ``-Phase``); the
same columns and cross-checks apply as in a text export. Known files are procedures and chronopotentiometry of
NOVA 1.10; the layout of a recorded FRA measurement is concluded from those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labctl.formats.impedance import FloatArray, ImpedanceSpectrum
from labctl.formats.impedance_columns import Column, ColumnName, Quantity, assemble, column_name, is_spectrum_header
from labctl.formats.impedance_text import read_bytes, refuse
from labctl.formats.nrbf import NrbfError, NrbfObject, Reference, Stream, read_stream

SIGNATURE = bytes.fromhex("0001000000ffffffff0100000000000000")
_SIGNAL = "CommandParameterDataArray"
_TICKS_PER_S = 10_000_000
_UNIX_EPOCH_TICKS = 621_355_968_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoxSignal:
    """One recorded signal: the command that recorded it, its name and unit, and the values."""

    command: str
    name: str
    unit: str
    values: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoxFile:
    """What a ``.nox`` file holds.

    Attributes
    ----------
    name, instrument : str
        Of the procedure as its author called it; the instrument's serial.
    created_s, modified_s : float or None
        Seconds since 1970 by the clock of that PC: local time, unless `local_time` is False (then UTC).
    commands : tuple of str
        Names of all commands, in stored order.
    signals : tuple of NoxSignal
        Those with at least one value.
    """

    path: Path
    name: str
    instrument: str
    created_s: float | None
    modified_s: float | None
    local_time: bool
    commands: tuple[str, ...]
    signals: tuple[NoxSignal, ...]


def read_nox(path: Path) -> NoxFile:
    """Return the contents of a ``.nox`` file, walked as records; no type of it is loaded.

    Raises
    ------
    InputError
        The file is missing, is no .NET stream, or breaks off; with the byte.
    """
    data = read_bytes(path)
    streams: list[Stream] = []
    at = 0
    try:
        while at < len(data):
            streams.append(read_stream(data, at))
            at = streams[-1].end
    except NrbfError as problem:
        raise refuse(
            path, 0, f"not a .nox file, or broken: {problem}", expected="a file saved by NOVA 1.10 or later"
        ) from None
    if not streams:
        raise refuse(path, 0, "an empty file", expected="a file saved by NOVA 1.10 or later")
    description: Mapping[str, Any] = {}
    for stream in streams:
        root = stream.objects.get(stream.root)
        if isinstance(root, NrbfObject) and root.type_name.endswith("ProcedureDescription"):
            description = root.members
    created, local = _moment(description.get("_timeStamp"))
    modified, _ = _moment(description.get("_modifiedTimeStamp"))
    return NoxFile(
        path=path,
        name=_text(description.get("_text")),
        instrument=_text(description.get("_instrument")),
        created_s=created,
        modified_s=modified,
        local_time=local,
        commands=tuple(name for stream in streams for name in _commands(stream)),
        signals=tuple(signal for stream in streams for signal in _signals(stream)),
    )


def parse_nox(path: Path) -> list[ImpedanceSpectrum]:
    """Return every spectrum recorded in a ``.nox`` file.

    Raises
    ------
    InputError
        As `read_nox`; or no command of it recorded an impedance, with what it did record.
    """
    nox = read_nox(path)
    by_command: dict[str, list[NoxSignal]] = defaultdict(list)
    for signal in nox.signals:
        by_command[signal.command].append(signal)
    spectra: list[ImpedanceSpectrum] = []
    for command, signals in by_command.items():
        names = [column_name(f"{one.name} ({one.unit})" if one.unit else one.name) for one in signals]
        if is_spectrum_header(names):
            spectra.append(_spectrum(nox, command, signals, names, block=len(spectra)))
    if not spectra:
        recorded = ", ".join(f"{one.name} ({one.values.size} values)" for one in nox.signals) or "nothing"
        commands = ", ".join(dict.fromkeys(nox.commands)) or "none"
        raise refuse(
            path,
            0,
            f"no impedance was recorded in this file; its commands are {commands}; recorded: {recorded}",
            expected="a finished FRA measurement; or export it as text from NOVA",
        )
    return spectra


def _spectrum(
    nox: NoxFile, command: str, signals: list[NoxSignal], names: list[ColumnName], *, block: int
) -> ImpedanceSpectrum:
    size = min(one.values.size for one, name in zip(signals, names, strict=True) if name.quantity is not None)
    remarks = [f"command {command}"]
    columns: dict[tuple[Quantity, float], Column] = {}
    extra: dict[str, FloatArray] = {}
    longest = max(one.values.size for one in signals)
    if longest != size:
        remarks.append(f"signals of {size} to {longest} points: the sweep was cut off, {size} points are complete")
    for signal, name in zip(signals, names, strict=True):
        values = signal.values[:size]
        if name.quantity in {None, "index", "time"}:
            if values.size == size:
                extra[name.text] = values
        elif not np.isfinite(values).all() or (name.factor is not None and np.isnan(name.factor)):
            raise refuse(nox.path, 0, f"signal {name.text!r} of {command} cannot be used", value=repr(name.unit))
        else:
            factor = name.sign * (1.0 if name.factor is None else name.factor)
            columns[name.quantity, name.sign] = Column(values * factor)
    if ("frequency", 1.0) not in columns or size == 0:
        raise refuse(nox.path, 0, f"command {command} recorded no complete point")
    frequency, Z = assemble(nox.path, [0] * size, columns, names)
    return ImpedanceSpectrum(
        frequency_Hz=frequency,
        Z_ohm=Z,
        path=nox.path,
        dialect="NOVA nox",
        block=block,
        instrument=nox.instrument,
        extra=extra,
        remarks=tuple(remarks),
    )


def _commands(stream: Stream) -> list[str]:
    names = []
    for one in stream.objects.values():
        if isinstance(one, NrbfObject) and "CommandParameter+_name" not in one.members:
            name = stream.resolve(one.members.get("FunctionHandler+_name", one.members.get("Command+_name")))
            if isinstance(name, str) and name:
                names.append(name)
    return names


def _signals(stream: Stream) -> list[NoxSignal]:
    found = []
    for one in stream.objects.values():
        if not (isinstance(one, NrbfObject) and one.type_name.endswith(_SIGNAL)):
            continue
        values = _numbers(stream, one.members.get("_parameter"))
        name = stream.resolve(one.members.get("CommandParameter+_name"))
        if values is None or not values.size or not isinstance(name, str):
            continue
        parent = one.members.get("CommandParameter+_parent")
        unit = stream.resolve(one.members.get("CommandParameter+_unit"))
        found.append(
            NoxSignal(
                command=_owner(stream, parent), name=name, unit=unit if isinstance(unit, str) else "", values=values
            )
        )
    return found


def _owner(stream: Stream, parent: Any) -> str:
    """The command's name, made unique by its place in the stream."""
    owner = stream.resolve(parent)
    name = ""
    if isinstance(owner, NrbfObject):
        name = next(
            (
                text
                for key, value in owner.members.items()
                if key.endswith("_name") and (text := _text(stream.resolve(value)))
            ),
            owner.type_name.rsplit(".", 1)[-1],
        )
    return f"{name}@{parent.id}" if isinstance(parent, Reference) else name


def _numbers(stream: Stream, parameter: Any) -> FloatArray | None:
    """The values of a parameter: its ``_value``, a list object (``_items``, ``_size``) or a plain array of numbers."""
    held = stream.resolve(parameter)
    for _ in range(4):
        if not isinstance(held, NrbfObject) or "_items" in held.members:
            break
        inner = held.members.get("_value", held.members.get("_innerIParameter"))
        held = stream.resolve(inner)
    size = None
    if isinstance(held, NrbfObject):
        size = held.members.get("_size")
        held = stream.resolve(held.members.get("_items"))
    if not isinstance(held, list):
        return None
    values = held[:size] if isinstance(size, int) and size >= 0 else held
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return None
    return np.array(values, dtype=np.float64)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _moment(ticks: Any) -> tuple[float | None, bool]:
    """Seconds since 1970 of a stored DateTime, and whether they count in local time (the two kind bits on top)."""
    if not isinstance(ticks, int):
        return None, False
    kind, since_year_1 = ticks >> 62, ticks & (2**62 - 1)
    return (since_year_1 - _UNIX_EPOCH_TICKS) / _TICKS_PER_S, kind != 1

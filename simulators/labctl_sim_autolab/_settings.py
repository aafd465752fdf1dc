"""The settings of a simulated Autolab station: its own are below ``simulator:``, checked; the rest is the driver's."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from labctl.errors import Finding, InputError
from labctl.units import QuantityError, parse
from labctl_sim_autolab._signals import Noise

_UNITS = {
    "_A": ("A", "3 pA"),
    "_V": ("V", "0.2 uV"),
    "_Hz": ("Hz", "50 Hz"),
    "_K": ("K", "25 degC"),
    "_s": ("s", "1 s"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the rig is like.

    Attributes
    ----------
    data_dir : Path
        Where the computer of the instrument keeps results; below the state folder.
    amplitude_kind : str
        What the FRA takes its amplitude for.
    imaginary : str
        ``Z''`` or ``-Z''``: what its property Imaginary holds (and Phase alike).
    overload : str
        What Start does with the converter over its range: it ``returns`` numbers, ``raises``, or leaves the numbers
        of the point before (``stale``). Not known of the real one, so a driver must live with each.
    bandwidth_left : float
        Standard deviation of the instrument's error about the corner of each range, as a fraction.
    notices_unplugging : bool
        Whether IsConnected turns false when the cable is pulled.
    temperature_K : float
        Of the cell where no oven is.
    """

    data_dir: Path
    amplitude_kind: Literal["rms", "peak"] = "rms"
    imaginary: Literal["Z''", "-Z''"] = "-Z''"
    overload: Literal["returns", "raises", "stale"] = "returns"
    bandwidth_left: float = 0.01
    notices_unplugging: bool = False
    temperature_K: float = 298.15
    noise: Noise = field(default_factory=Noise)
    controller: str = ""
    """Which simulated controller the oven has; empty: no oven."""
    oven_settings: Mapping[str, Any] = field(default_factory=dict)


_CHOICES = {"amplitude_kind": ("rms", "peak"), "imaginary": ("Z''", "-Z''"), "overload": ("returns", "raises", "stale")}
_ELSEWHERE = {"data_dir", "controller", "oven_settings"}


def read_settings(settings: Mapping[str, Any], *, station: str, state_dir: Path) -> Settings:
    """Return the checked settings.

    Raises
    ------
    InputError
        An unknown key under ``simulator:``, a value of the wrong kind, or a folder outside the state folder.
    """
    reader = _Reader(station)
    own = reader.mapping("simulator", settings.get("simulator", {}))
    oven = reader.mapping("oven", settings.get("oven", {}))
    own_oven = reader.mapping("simulator.oven", own.get("oven", {}))
    found = reader.block({key: value for key, value in own.items() if key != "oven"}, Settings, "simulator")
    data = state_dir / str(settings.get("data_dir", "data"))
    if not data.resolve().is_relative_to(state_dir.resolve()):
        reader.refuse("data_dir", "lies outside the simulated lab's folder", str(data), "a folder name relative to it")
    if reader.findings:
        raise InputError(findings=tuple(reader.findings))
    return Settings(
        **found,
        data_dir=data,
        controller=str(oven.get("controller", "")),
        oven_settings={**oven, "simulator": dict(own_oven)},
    )


class _Reader:
    def __init__(self, station: str) -> None:
        self._station = station
        self.findings: list[Finding] = []

    def block(self, given: Mapping[str, Any], kind: type, where: str) -> dict[str, Any]:
        """Check a block against a dataclass; the unit may be left out of a key."""
        assert is_dataclass(kind)
        known = {item.name for item in fields(kind)} - _ELSEWHERE
        found: dict[str, Any] = {}
        for key, value in given.items():
            path = f"{where}.{key}"
            name = next((name for name in (key, *(key + end for end in _UNITS)) if name in known), None)
            if name is None:
                close = difflib.get_close_matches(key, sorted(known), n=1)
                hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(sorted(known))}"
                self.refuse(path, "is not a key of the simulated potentiostat", repr(value), hint)
            elif name == "noise":
                found[name] = Noise(**self.block(self.mapping(path, value), Noise, path))
            elif name in _CHOICES:
                if value not in _CHOICES[name]:
                    self.refuse(path, "is not a choice here", repr(value), f"one of {', '.join(_CHOICES[name])}")
                found[name] = value
            elif name == "notices_unplugging":
                if not isinstance(value, bool):
                    self.refuse(path, "is not a truth", repr(value), "true or false")
                found[name] = value
            else:
                found[name] = self._number(path, name, value)
        return found

    def _number(self, path: str, name: str, value: object) -> float:
        unit, example = next((unit for end, unit in _UNITS.items() if name.endswith(end)), ("", "0.2 %"))
        try:
            return parse(value, unit, example=example) if unit or isinstance(value, str) else self._plain(path, value)
        except QuantityError as problem:
            self.refuse(path, problem.what, "", problem.expected)
            return 0.0

    def _plain(self, path: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(path, "is not a number", repr(value), "0.002, or 0.2 %")
            return 0.0
        return float(value)

    def mapping(self, path: str, value: object) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self.refuse(path, "is not a block of keys and values", repr(value), "key: value")
            return {}
        return value

    def refuse(self, path: str, what: str, value: str, expected: str) -> None:
        self.findings.append(
            Finding(file=f"settings of {self._station}", key_path=path, what=what, value=value, expected=expected)
        )

"""The `settings:` block of a TopSpin station, checked; and the hardware limits the guard is given."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.dataset.model import DatasetKind
from labctl.errors import Finding, InputError, SafetyRefusal
from labctl.units import QuantityError, parse

KINDS: tuple[DatasetKind, ...] = ("one_pulse", "nutation", "saturation_recovery", "exsy")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}")
_COMMAND = re.compile(r"[a-z]{2,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one console is reached and what its site calls things.

    Attributes
    ----------
    tshome, data_dir, job_dir : str
        TopSpin home, folder of the datasets, and job folder, as *this* computer sees them.
    console_data_dir, console_job_dir : str
        The same two as the console sees them; empty where that is no different.
    templates, pulse_programs : mapping
        Kind of dataset to the EXPNO of `template_dataset` that carries it, and to the pulse program found there.
    heater_parameter : str
        Name by which the VT unit answers its heater power in percent (VTU_GET_PARAM; the names are not public and
        differ: find yours when commissioning); ``none`` where it has none, and then heater power is not watched.
    gas_readback, spinning_readback : str
        ``vtu`` or ``none``; ``masrget`` or ``mmas``.
    nutation_recovery_delay : int
        Number of the D in which the nutation program keeps its recovery delay; -1: it recovers for D1.
    presaturation_loop : int
        Number of the L in which the EXSY program keeps the pulses of its saturation comb; -1: the template decides.
    t1_increments_per_loop : int
        How often the EXSY program uses d0 in one t1 period (ND_010): IN0 = increment / this.
    live_rows : str
        ``ser``: this console writes each row of a 2D as it is acquired, which can be judged before the end; ``none``:
        it shows nothing of use before (the default: look at a running 2D when commissioning).
    spinning_min_Hz : float
        Below this rate the rotor counts as standing: no heat.
    """

    tshome: str
    data_dir: str
    job_dir: str
    console_data_dir: str = ""
    console_job_dir: str = ""
    dataset: str = "labctl"
    template_dataset: str = "labctl-templates"
    templates: Mapping[str, int] = field(default_factory=dict)
    pulse_programs: Mapping[str, str] = field(default_factory=dict)
    quiet_period_s: float = 10.0
    guard_poll_s: int = 5
    ramp_poll_s: int = 10
    lease_s: int = 900
    alarm_s: float = 60.0
    safe_after_s: float = 900.0
    halt_command: str = "halt"
    heater_parameter: str = "heater_power"
    gas_readback: str = "vtu"
    spinning_readback: str = "masrget"
    nutation_recovery_delay: int = -1
    presaturation_loop: int = 20
    t1_increments_per_loop: int = 1
    live_rows: str = "none"
    spinning_min_Hz: float = 1000.0


def read_settings(settings: Mapping[str, Any], *, station: str) -> Settings:
    """Return the settings of a station.

    Raises
    ------
    InputError
        One finding for each key that is unknown, missing, or holds what cannot be used.
    """
    reader = _Reader(settings, station)
    result = Settings(
        tshome=reader.text("tshome"),
        data_dir=reader.text("data_dir"),
        job_dir=reader.text("job_dir"),
        console_data_dir=reader.text("console_data_dir", ""),
        console_job_dir=reader.text("console_job_dir", ""),
        dataset=reader.name("dataset", "labctl"),
        template_dataset=reader.name("template_dataset", "labctl-templates"),
        templates=reader.numbers("templates"),
        pulse_programs=reader.names("pulse_programs"),
        quiet_period_s=reader.duration("quiet_period", "10 s", at_least_s=0.0, at_most_s=3600.0),
        guard_poll_s=round(reader.duration("guard_poll", "5 s", at_least_s=1.0, at_most_s=60.0)),
        ramp_poll_s=round(reader.duration("ramp_poll", "10 s", at_least_s=1.0, at_most_s=60.0)),
        lease_s=round(reader.duration("lease", "15 min", at_least_s=60.0, at_most_s=7200.0)),
        alarm_s=reader.duration("alarm", "60 s", at_least_s=5.0, at_most_s=3600.0, block="silence"),
        safe_after_s=reader.duration("safe_after", "15 min", at_least_s=60.0, at_most_s=7200.0, block="silence"),
        halt_command=reader.choice("halt_command", _COMMAND, "halt", "a TopSpin command such as halt"),
        heater_parameter=reader.choice("heater_parameter", _NAME, "heater_power", "a name the VT unit knows, or none"),
        gas_readback=reader.choice("gas_readback", re.compile("vtu|none"), "vtu", "vtu or none"),
        spinning_readback=reader.choice(
            "spinning_readback", re.compile("masrget|mmas"), "masrget", "masrget or mmas (MAS III)"
        ),
        nutation_recovery_delay=reader.integer("nutation_recovery_delay", -1, -1, 63),
        presaturation_loop=reader.integer("presaturation_loop", 20, -1, 31),
        t1_increments_per_loop=reader.integer("t1_increments_per_loop", 1, 1, 8),
        live_rows=reader.choice("live_rows", re.compile("none|ser"), "none", "none, or ser"),
        spinning_min_Hz=reader.quantity("spinning_min", "Hz", "1 kHz", 0.0, 2e5),
    )
    if result.lease_s < 6 * result.guard_poll_s:
        reader.refuse("lease", "is too short for the guard to see renewals", "", f">= {6 * result.guard_poll_s} s")
    reader.refuse_unknown()
    if reader.findings:
        raise InputError(findings=tuple(reader.findings))
    return result


class _Reader:
    """Takes one key after the other and remembers what is wrong with it."""

    def __init__(self, settings: Mapping[str, Any], station: str) -> None:
        self.findings: list[Finding] = []
        self._settings = settings
        self._station = station
        self._known: set[str] = {"silence", "simulator"}

    def refuse(self, key: str, what: str, value: str, expected: str) -> None:
        self.findings.append(
            Finding(
                file="lab file",
                key_path=f"stations.{self._station}.settings.{key}",
                what=what,
                value=value,
                expected=expected,
            )
        )

    def _get(self, key: str, default: Any) -> Any:
        self._known.add(key)
        return self._settings.get(key, default)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._get(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            what = "is missing" if value is None else "is not a path"
            self.refuse(key, what, "" if value is None else repr(value), "a folder")
            return ""
        return value

    def name(self, key: str, default: str) -> str:
        return self.choice(key, _NAME, default, "letters, digits and _ . + - (at most 80)")

    def choice(self, key: str, pattern: re.Pattern[str], default: str, expected: str) -> str:
        value = self._get(key, default)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.refuse(key, "cannot be used", repr(value), expected)
            return default
        return value

    def integer(self, key: str, default: int, at_least: int, at_most: int) -> int:
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= at_most:
            self.refuse(key, "cannot be used", repr(value), f"a whole number from {at_least} to {at_most}")
            return default
        return value

    def _mapping(self, key: str) -> Mapping[Any, Any]:
        value = self._get(key, None)
        if not isinstance(value, Mapping):
            what = "is missing" if value is None else "is not a mapping"
            self.refuse(key, what, "" if value is None else repr(value), f"one entry for each of {', '.join(KINDS)}")
            return {}
        for kind in value:
            if kind not in KINDS:
                self.refuse(f"{key}.{kind}", "is not a kind of experiment", "", f"one of {', '.join(KINDS)}")
        return value

    def numbers(self, key: str) -> dict[str, int]:
        found = {}
        for kind, value in self._mapping(key).items():
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 99999:
                self.refuse(f"{key}.{kind}", "is not an EXPNO", repr(value), "a whole number from 1 to 99999")
            else:
                found[str(kind)] = value
        return found

    def names(self, key: str) -> dict[str, str]:
        found = {}
        for kind, value in self._mapping(key).items():
            if not isinstance(value, str) or not _NAME.fullmatch(value):
                self.refuse(f"{key}.{kind}", "is not the name of a pulse program", repr(value), "such as noesyph")
            else:
                found[str(kind)] = value
        return found

    def quantity(self, key: str, unit: str, default: str, at_least: float, at_most: float, block: str = "") -> float:
        holder: Any = self._settings.get(block, {}) if block else self._settings
        path = f"{block}.{key}" if block else key
        if not block:
            self._known.add(key)
        elif not isinstance(holder, Mapping):
            self.refuse(block, "is not a mapping", repr(holder), "{alarm: 60 s, safe_after: 15 min}")
            holder = {}
        try:
            value = parse(holder.get(key, default), unit, example=default)
        except QuantityError as problem:
            self.refuse(path, problem.what, "", problem.expected)
            return parse(default, unit)
        if not at_least <= value <= at_most:
            self.refuse(path, "is out of range", repr(holder[key]), f"from {at_least:g} {unit} to {at_most:g} {unit}")
        return value

    def duration(self, key: str, default: str, *, at_least_s: float, at_most_s: float, block: str = "") -> float:
        return self.quantity(key, "s", default, at_least_s, at_most_s, block)

    def refuse_unknown(self) -> None:
        silence = self._settings.get("silence", {})
        inner = [f"silence.{key}" for key in silence] if isinstance(silence, Mapping) else []
        known = self._known | {"silence.alarm", "silence.safe_after"}
        for key in [str(key) for key in self._settings] + inner:
            if key not in known:
                close = difflib.get_close_matches(key, sorted(known), n=1)
                hint = f"did you mean {close[0]}?" if close else "known: " + ", ".join(sorted(self._known))
                self.refuse(key, "is not a setting of a TopSpin station", "", hint)


# ------------------------------------------------------------------------------------------------------ limits

NEEDED_LIMITS = (
    "sensor_min_K",
    "sensor_max_K",
    "heater_max_percent",
    "gas_min_L_per_h",
    "ramp_max_K_per_s",
    "spinning_tolerance_Hz",
)
"""What the guard cannot do without."""

_REHEARSAL: Mapping[str, float] = {
    "sensor_min_K": 173.15,
    "sensor_max_K": 473.15,
    "heater_max_percent": 100.0,
    "gas_min_L_per_h": 0.0,
    "ramp_max_K_per_s": 10.0 / 60.0,
    "spinning_tolerance_Hz": 500.0,
}


def complete_limits(limits: Mapping[str, float], *, station: str, simulated: bool) -> dict[str, float]:
    """Return the limits, with generous ones filled in where nothing can break.

    Raises
    ------
    SafetyRefusal
        A real spectrometer without a limit that the guard needs.
    """
    missing = [name for name in NEEDED_LIMITS if name not in limits]
    if missing and not simulated:
        raise SafetyRefusal(
            f"{station}: the guard cannot watch without hardware limits; missing: {', '.join(missing)}",
            expected=f"all of them under stations.{station}.limits in the lab file",
        )
    return {**_REHEARSAL, **limits}


def folder(text: str) -> Path:
    """Return a folder of the settings as an absolute path."""
    return Path(text).expanduser().absolute()

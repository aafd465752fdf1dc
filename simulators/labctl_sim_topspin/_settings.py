"""The `settings:` block of a simulated TopSpin station, read once and checked.

The lab file's own keys are the driver's; of those the console needs where things stand and what the site calls its
pulse programs. Everything under `simulator:` is the console's own, and there an unknown key is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from labctl.errors import Finding, InputError
from labctl.units import QuantityError, parse
from labctl_sim_topspin._parameters import RATIOS

Layout = Literal["4.0.8", "3.6", "4.2"]
Experiment = Literal["one_pulse", "nutation", "saturation_recovery", "exsy"]
EXPERIMENTS: tuple[Experiment, ...] = get_args(Experiment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Friction:
    """Frictional heating of the spinning sample, a f^2 + b f with f in kHz.

    Defaults: 4 mm rotor, the fit of Purusottam et al., J. Magn. Reson. 246 (2014) 69: +8.8 K at 10 kHz.
    """

    quadratic_K_per_kHz2: float = 0.1056
    linear_K_per_kHz: float = -0.1738


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermal:
    """The VT unit and what it heats; times in seconds.

    `plant_s` is how fast the probe follows the gas, `loop_s` how fast the regulated sensor approaches its set
    point, `sample_s` how far the sample lags behind the sensor. `inlet_K` is the gas before the heater (a chiller is
    on), `heater_K_per_percent` what heater power adds at nominal flow. `wander_K` is the standard deviation of a
    dataset's sample temperature about what the calibration says, once all has settled.
    """

    loop_s: float = 40.0
    plant_s: float = 240.0
    sample_s: float = 90.0
    still_s: float = 900.0
    inlet_K: float = 263.15
    ambient_K: float = 295.15
    heater_K_per_percent: float = 2.5
    gas_L_per_h: float = 800.0
    gas_cutout_L_per_h: float = 200.0
    sensor_noise_K: float = 0.005
    wander_K: float = 0.03
    settled_K: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the console needs to know; paths are absolute and below its state folder."""

    root: Path
    tshome: Path
    data_dir: Path
    job_dir: Path
    dataset: str
    template_dataset: str
    templates: Mapping[str, int]
    pulse_programs: Mapping[str, str]
    layout: Layout = "4.0.8"
    operator: Literal["present", "absent"] = "present"
    operator_answers_after_s: float = 180.0
    nucleus: str = "6Li"
    larmor_MHz: float = 73.578
    spinning_Hz: float = 10000.0
    setpoint_K: float = 298.15
    carrier_ppm: float = 0.0
    counts: float = 4.0e5
    zg_when_data_exist: Literal["cancel", "overwrite", "ask"] = "cancel"
    first_increment: Literal["zero", "half dwell"] = "zero"
    digital_filter: Literal["digital", "baseopt"] = "digital"
    ser_during_acquisition: Literal["preallocated", "growing", "rows"] = "preallocated"
    transfer_delay_s: float = 2.0
    code_after_halt: int = 0
    stretch_unattended_s: float = 60.0
    user: str = "nmr"
    host: str = "NMR500"
    instrument: str = "Avance"
    utc_offset_h: float = 1.0
    friction: Friction = field(default_factory=Friction)
    thermal: Thermal = field(default_factory=Thermal)

    def experiment(self, pulse_program: str) -> Experiment | None:
        """Return what a pulse program of the site's library does, None if the simulator does not know it."""
        for experiment in EXPERIMENTS:
            if self.pulse_programs[experiment] == pulse_program:
                return experiment
        return None


_DEFAULT_TEMPLATES = {"one_pulse": 1, "nutation": 2, "saturation_recovery": 3, "exsy": 4}
_DEFAULT_PROGRAMS = {"one_pulse": "zg", "nutation": "zg2d_nut", "saturation_recovery": "satrect1", "exsy": "noesyph"}
_UNITS = {"_s": "s", "_K": "K", "_Hz": "Hz", "_MHz": "MHz", "_ppm": "ppm"}
_CHOICES: dict[str, tuple[str, ...]] = {
    "layout": get_args(Layout),
    "nucleus": tuple(RATIOS),
    "operator": ("present", "absent"),
    "zg_when_data_exist": ("cancel", "overwrite", "ask"),
    "first_increment": ("zero", "half dwell"),
    "digital_filter": ("digital", "baseopt"),
    "ser_during_acquisition": ("preallocated", "growing", "rows"),
}
_SITE = {"root", "tshome", "data_dir", "job_dir", "dataset", "template_dataset", "templates", "pulse_programs"}


def read_settings(settings: Mapping[str, Any], *, station: str, state_dir: Path) -> Settings:
    """Return the checked settings.

    Raises
    ------
    InputError
        An unknown key under `simulator:`, a value of the wrong kind, or a folder outside the state folder.
    """
    reader = _Reader(station, state_dir)
    found: dict[str, Any] = {"root": state_dir}
    for key, default in (("tshome", "tshome"), ("data_dir", "data"), ("job_dir", "job")):
        found[key] = reader.folder(key, settings.get(key, default))
    for key, default in (("dataset", "labctl"), ("template_dataset", "labctl-templates")):
        found[key] = reader.text(key, settings.get(key, default))
    found["templates"] = {
        name: reader.integer(f"templates.{name}", value)
        for name, value in reader.mapping("templates", settings.get("templates", _DEFAULT_TEMPLATES)).items()
    }
    programs = reader.mapping("pulse_programs", settings.get("pulse_programs", {}))
    found["pulse_programs"] = {
        name: reader.text(f"pulse_programs.{name}", programs.get(name, default))
        for name, default in _DEFAULT_PROGRAMS.items()
    }
    own = reader.mapping("simulator", settings.get("simulator", {}))
    found |= reader.own(own, Settings, "simulator")
    if reader.findings:
        raise InputError(findings=tuple(reader.findings))
    return Settings(**found)


class _Reader:
    def __init__(self, station: str, state_dir: Path) -> None:
        self._station = station
        self._state_dir = state_dir
        self.findings: list[Finding] = []

    def own(self, given: Mapping[str, Any], kind: type, where: str) -> dict[str, Any]:
        """Check a mapping against the fields of a dataclass, units and all."""
        known = {item.name: item for item in fields(kind) if item.name not in _SITE}
        found: dict[str, Any] = {}
        for key, value in given.items():
            name = next((name for name in (key, *(key + end for end in _UNITS)) if name in known), None)
            path = f"{where}.{key}"
            if name is None:
                self._refuse(
                    path, "is not a key of the simulated console", str(value), f"one of {', '.join(sorted(known))}"
                )
            elif name in {"friction", "thermal"}:
                part = Friction if name == "friction" else Thermal
                found[name] = part(**self.own(self.mapping(path, value), part, path))
            elif name in _CHOICES:
                if str(value) not in _CHOICES[name]:
                    self._refuse(path, "is not a choice here", repr(value), f"one of {', '.join(_CHOICES[name])}")
                found[name] = str(value)
            elif name in {"user", "host", "instrument"}:
                found[name] = self.text(path, value)
            elif name == "code_after_halt":
                found[name] = self.integer(path, value)
            else:
                found[name] = self._quantity(path, name, value)
        return found

    def _quantity(self, path: str, name: str, value: object) -> float:
        if isinstance(value, str):
            unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "dimensionless")
            try:
                return parse(value, unit)
            except QuantityError as problem:
                self._refuse(path, problem.what, "", problem.expected)
                return 0.0
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self._refuse(path, "is not a number", repr(value), "a number, or text with a unit")
            return 0.0
        return float(value)

    def folder(self, key: str, value: object) -> Path:
        path = self._state_dir / self.text(key, value)
        if not path.resolve().is_relative_to(self._state_dir.resolve()):
            self._refuse(key, "lies outside the simulated lab's folder", str(value), "a folder name relative to it")
        return path

    def text(self, path: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip() or "\n" in value or PurePosixPath(value).name in {"", ".."}:
            self._refuse(path, "is not a name", repr(value), "plain text")
            return "x"
        return value

    def integer(self, path: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self._refuse(path, "is not a whole number", repr(value), "such as 1")
            return 0
        return value

    def mapping(self, path: str, value: object) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self._refuse(path, "is not a list of keys and values", repr(value), "key: value")
            return {}
        return value

    def _refuse(self, path: str, what: str, value: str, expected: str) -> None:
        self.findings.append(
            Finding(file=f"settings of {self._station}", key_path=path, what=what, value=value, expected=expected)
        )

"""``<name>.eis.json`` beside an exported spectrum: what the export itself leaves out, units in the keys.

NOVA's text carries no date, serial number, amplitude or temperature. labctl leaves a sidecar with each sweep, and a
person may write one by hand: ``{"temperature_K": 298.15}`` is enough for an Arrhenius line. Keys understood, all
optional:

- ``instrument``, ``sample``: text; ``started_s``, ``ended_s``: seconds since 1970 UTC;
- ``temperature_K``: a number, or ``{"mean", "before", "after", "se"}``; also ``temperature_before_K``,
  ``temperature_after_K``, ``temperature_se_K``, ``setpoint_K``; ``moved``: whether it moved during the sweep;
- ``amplitude_V_rms`` or ``amplitude_V_peak`` or ``amplitude_V`` (kind unknown); ``dc_bias_V``;
- ``current_range_A``, ``overload``, ``remarks``: one entry per point of the sweep;
- ``current_noise_A`` (rms, each quadrature), ``gain_noise`` (fraction);
- ``thickness_mm``, ``diameter_mm`` of the pellet and their standard errors ``thickness_se_mm``, ``diameter_se_mm``,
  here or together under ``pellet``;
- ``notes``: a list of remarks on the whole sweep;
- ``spectra``: a list of such objects, one per block, for a file with several blocks.

Other keys are kept as metadata; the analysis looks there for ``integration_s`` and ``cycles`` (how long each point was
integrated) and ``open_holder`` (``capacitance_F``, ``leakage_ohm`` beside the sample).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from labctl.errors import InputError
from labctl.formats.impedance import AmplitudeKind, ImpedanceSpectrum, PelletGeometry
from labctl.formats.impedance_text import read_bytes, refuse

SUFFIX = ".eis.json"
_UNDERSTOOD = frozenset(
    {
        "instrument",
        "sample",
        "started_s",
        "ended_s",
        "temperature_K",
        "temperature_before_K",
        "temperature_after_K",
        "temperature_se_K",
        "setpoint_K",
        "moved",
        "amplitude_V_rms",
        "amplitude_V_peak",
        "amplitude_V",
        "dc_bias_V",
        "current_range_A",
        "overload",
        "remarks",
        "notes",
        "current_noise_A",
        "gain_noise",
        "pellet",
        "thickness_mm",
        "diameter_mm",
        "thickness_se_mm",
        "diameter_se_mm",
        "spectra",
    }
)


def sidecar_of(path: Path) -> Path | None:
    """Return the sidecar beside a file: ``sweep.eis.json`` or ``sweep.txt.eis.json``.

    Raises
    ------
    InputError
        Both are there.
    """
    candidates = [
        one for one in (path.with_name(path.stem + SUFFIX), path.with_name(path.name + SUFFIX)) if one.is_file()
    ]
    if len(candidates) == 2 and candidates[0] != candidates[1]:
        raise refuse(
            candidates[0], 0, "two sidecars of one file", value=f"{candidates[0].name} and {candidates[1].name}",
            expected="one of them",
        )  # fmt: skip
    return candidates[0] if candidates else None


def with_sidecar(spectra: Sequence[ImpedanceSpectrum], path: Path) -> list[ImpedanceSpectrum]:
    """Return the spectra of one file with what its sidecar says of them.

    Raises
    ------
    InputError
        No JSON object, a value of the wrong kind, or a list that does not have one entry per point.
    """
    try:
        data = json.loads(read_bytes(path).decode("utf-8-sig"))
    except json.JSONDecodeError as problem:
        raise refuse(path, problem.lineno, f"not JSON: {problem.msg}", column=problem.colno) from None
    except (UnicodeDecodeError, ValueError, RecursionError) as problem:
        raise refuse(path, 0, f"not JSON in UTF-8: {problem}") from None
    if not isinstance(data, dict):
        raise refuse(path, 1, "no JSON object", value=type(data).__name__, expected="an object with named values")
    parts = data.get("spectra")
    if parts is None:
        if len(spectra) > 1 and any(isinstance(data.get(key), list) for key in ("current_range_A", "overload")):
            raise refuse(
                path, 0, f"lists per point, but {len(spectra)} spectra in the file", key="spectra",
                expected="an object for each spectrum under the key spectra",
            )  # fmt: skip
        return [_joined(one, _Reading(path, data)) for one in spectra]
    if not isinstance(parts, list) or len(parts) != len(spectra) or not all(isinstance(part, dict) for part in parts):
        raise refuse(path, 0, f"not one object for each of {len(spectra)} spectra", key="spectra")
    common = {key: value for key, value in data.items() if key != "spectra"}
    return [_joined(one, _Reading(path, {**common, **part})) for one, part in zip(spectra, parts, strict=True)]


def _joined(spectrum: ImpedanceSpectrum, say: _Reading) -> ImpedanceSpectrum:
    temperature = say.data.get("temperature_K")
    detail = temperature if isinstance(temperature, dict) else {}
    mean = say.number_in(detail, "mean", "temperature_K") if detail else say.number("temperature_K")
    amplitude_V, kind = say.amplitude()
    remarks = say.data.get("remarks")
    per_point = isinstance(remarks, list) and len(remarks) == spectrum.measured_points
    notes = [str(one) for one in remarks] if isinstance(remarks, list) and not per_point else []
    if isinstance(remarks, str) and remarks:
        notes = [remarks]
    told = say.data.get("notes")
    notes += [str(one) for one in told] if isinstance(told, list) else []
    ranges = say.per_point("current_range_A", spectrum)
    overload = say.per_point("overload", spectrum)
    return replace(
        spectrum,
        instrument=say.text("instrument") or spectrum.instrument,
        sample=say.text("sample") or spectrum.sample,
        started_s=say.number("started_s"),
        ended_s=say.number("ended_s"),
        temperature_K=mean,
        temperature_before_K=say.number_in(detail, "before", "temperature_K") or say.number("temperature_before_K"),
        temperature_after_K=say.number_in(detail, "after", "temperature_K") or say.number("temperature_after_K"),
        temperature_se_K=say.number_in(detail, "se", "temperature_K") or say.number("temperature_se_K"),
        setpoint_K=say.number("setpoint_K"),
        moved=say.flag("moved"),
        amplitude_V=amplitude_V,
        amplitude_kind=kind,
        dc_bias_V=say.number("dc_bias_V"),
        current_range_A=None if ranges is None else np.array(ranges, dtype=np.float64),
        overload=None if overload is None else np.array([bool(one) for one in overload]),
        point_remarks=tuple(str(remarks[at] or "") for at in spectrum.position)
        if per_point and isinstance(remarks, list)
        else (),
        current_noise_A=say.number("current_noise_A"),
        gain_noise=say.number("gain_noise"),
        pellet=say.pellet(),
        metadata={key: value for key, value in say.data.items() if key not in _UNDERSTOOD},
        remarks=(*spectrum.remarks, *notes),
    )


class _Reading:
    """Values of one sidecar by key, each checked for its kind."""

    def __init__(self, path: Path, data: Mapping[str, Any]) -> None:
        self.path = path
        self.data = data

    def wrong(self, key: str, value: object, expected: str) -> InputError:
        return refuse(self.path, 0, "a value of the wrong kind", key=key, value=repr(value), expected=expected)

    def number(self, key: str) -> float | None:
        return self.number_in(self.data, key, "")

    def number_in(self, mapping: Mapping[str, Any], key: str, above: str) -> float | None:
        value = mapping.get(key)
        if value is None:
            return None
        where = f"{above}.{key}" if above else key
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.wrong(where, value, "a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number) or ((key.endswith("_K") or above.endswith("_K")) and number < 0):
            raise self.wrong(where, value, "a finite number, temperatures in kelvin")
        return number

    def text(self, key: str) -> str:
        value = self.data.get(key, "")
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(key, value, "text")
        return value

    def flag(self, key: str) -> bool | None:
        value = self.data.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, value, "true or false")
        return value

    def amplitude(self) -> tuple[float | None, AmplitudeKind]:
        kinds: dict[str, AmplitudeKind] = {
            "amplitude_V_rms": "rms",
            "amplitude_V_peak": "peak",
            "amplitude_V": "unknown",
        }
        given = [(self.number(key), kind) for key, kind in kinds.items() if self.data.get(key) is not None]
        if len(given) > 1:
            raise self.wrong("amplitude_V", [value for value, _ in given], "one amplitude, rms or peak")
        return given[0] if given else (None, "unknown")

    def per_point(self, key: str, spectrum: ImpedanceSpectrum) -> list[Any] | None:
        """Return one entry per point that is there, from a list over all measured points or one value for all."""
        value = self.data.get(key)
        if value is None:
            return None
        points = spectrum.measured_points
        values = value if isinstance(value, list) else [value] * points
        if len(values) != points:
            raise self.wrong(key, f"{len(values)} entries", f"one for each of the {points} points")
        if key == "overload" and not all(isinstance(one, (bool, int)) for one in values):
            raise self.wrong(key, value, "true or false for each point")
        if key != "overload" and not all(
            isinstance(one, (int, float)) and not isinstance(one, bool) and 0 < one < 1e6 for one in values
        ):
            raise self.wrong(key, value, "a positive number for each point")
        return [values[at] for at in spectrum.position]

    def pellet(self) -> PelletGeometry | None:
        value = self.data.get("pellet", self.data)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong("pellet", value, "thickness_mm and diameter_mm")
        numbers = {
            key: self.number_in(value, key, "pellet" if "pellet" in self.data else "")
            for key in ("thickness_mm", "diameter_mm", "thickness_se_mm", "diameter_se_mm")
        }
        thickness, diameter = numbers["thickness_mm"], numbers["diameter_mm"]
        if not thickness or not diameter or min(thickness, diameter) <= 0:
            return None
        return PelletGeometry(
            thickness_mm=thickness,
            diameter_mm=diameter,
            thickness_se_mm=numbers["thickness_se_mm"],
            diameter_se_mm=numbers["diameter_se_mm"],
        )

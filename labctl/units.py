"""Text with units to floats in the unit the name of a field states, and back.

A quantity is written as ``"10 ms"``, ``"333 K"``, ``"20 degC"``, ``"0.132 mA/cm^2"``, ``"600 mAh/g"``,
``"5 mV rms"`` is not one quantity: qualifiers are split off by the field that allows them.
A bare number is refused where a unit belongs.
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import TYPE_CHECKING, Any

from labctl.errors import LabctlError

if TYPE_CHECKING:
    import pint

_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_PLAIN_UNIT = re.compile(r"[A-Za-zµμΩ°%/^*.\d\s()-]*")


class QuantityError(LabctlError):
    """A text is not a quantity of the wanted unit; `what` and `expected` go into a Finding."""

    exit_code = 2


# The units of a campaign, as (times, divided by, plus), so that `labctl check` need not load pint (0.3 s). Division
# rounds once: "0.8 ms" is the float 0.0008. Whatever is not in this table is pint's; a test holds the two together.
_TIMES: dict[str, tuple[float, float, float]] = {"s": (1, 1, 0), "ms": (1, 1000, 0), "us": (1, 1_000_000, 0)}
_TIMES |= {"µs": (1, 1_000_000, 0), "min": (60, 1, 0), "h": (3600, 1, 0), "d": (86400, 1, 0)}
_RATES: dict[str, tuple[float, float, float]] = {"K/s": (1, 1, 0), "K/min": (1, 60, 0), "degC/min": (1, 60, 0)}
COMMON: dict[tuple[str, bool], dict[str, tuple[float, float, float]]] = {
    ("s", False): _TIMES,
    ("K", False): {"K": (1, 1, 0), "degC": (1, 1, 273.15)},
    ("K", True): {"K": (1, 1, 0), "degC": (1, 1, 0), "mK": (1, 1000, 0)},
    ("K/s", False): _RATES,
    ("K/s", True): _RATES,
    ("Hz", False): {"Hz": (1, 1, 0), "kHz": (1000, 1, 0), "MHz": (1_000_000, 1, 0)},
    ("percent", False): {"percent": (1, 1, 0)},
    ("ppm", False): {"ppm": (1, 1, 0)},
    ("W", False): {"W": (1, 1, 0)},
    ("L/h", False): {"L/h": (1, 1, 0), "l/h": (1, 1, 0), "L/min": (60, 1, 0)},
    ("mm", False): {"mm": (1, 1, 0), "um": (1, 1000, 0), "µm": (1, 1000, 0), "cm": (10, 1, 0)},
    ("mg", False): {"mg": (1, 1, 0), "g": (1000, 1, 0)},
    ("V", False): {"V": (1, 1, 0), "mV": (1, 1000, 0)},
    ("A", False): {"A": (1, 1, 0), "mA": (1, 1000, 0), "uA": (1, 1_000_000, 0)},
    ("mAh/g", False): {"mAh/g": (1, 1, 0), "Ah/g": (1000, 1, 0)},
    ("S/cm", False): {"S/cm": (1, 1, 0), "mS/cm": (1, 1000, 0), "S/m": (1, 100, 0)},
    ("eV", False): {"eV": (1, 1, 0), "meV": (1, 1000, 0)},
    ("m", False): {"m": (1, 1, 0), "mm": (1, 1e3, 0), "um": (1, 1e6, 0), "µm": (1, 1e6, 0), "nm": (1, 1e9, 0)},
    ("ohm", False): {"ohm": (1, 1, 0), "kohm": (1e3, 1, 0), "Mohm": (1e6, 1, 0), "Gohm": (1e9, 1, 0)},
    ("F", False): {"F": (1, 1, 0), "uF": (1, 1e6, 0), "nF": (1, 1e9, 0), "pF": (1, 1e12, 0)},
    ("1/nm^3", False): {"1/nm^3": (1, 1, 0), "/nm^3": (1, 1, 0), "nm^-3": (1, 1, 0)},
    ("1/s", False): {"/s": (1, 1, 0), "1/s": (1, 1, 0), "/min": (1, 60, 0), "/h": (1, 3600, 0)},
    ("mA/cm^2", False): {"mA/cm^2": (1, 1, 0), "uA/cm^2": (1, 1000, 0), "A/cm^2": (1000, 1, 0)},
}


@functools.cache
def _registry() -> pint.UnitRegistry[Any]:
    import pint  # noqa: PLC0415 - 0.15 s that `labctl --help` must not pay

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True, cache_folder=None)
    if "ppm" not in registry:
        registry.define("ppm = 1e-6")
    return registry


def parse(text: object, unit: str, *, example: str = "", difference: bool = False) -> float:
    """Return the magnitude of `text` in `unit`.

    Parameters
    ----------
    text : object
        What the author wrote; anything but text with a number and a unit is refused.
    unit : str
        The unit the caller wants, as pint spells it (``"s"``, ``"K"``, ``"mA/cm**2"``).
    example : str
        What a right value looks like, for the message.
    difference : bool
        A temperature *difference*: ``"0.5 K"`` is right, ``"0.5 degC"`` means the same.

    Raises
    ------
    QuantityError
        A bare number, an unknown unit, a unit of another dimension, or a number that is not finite.
    """
    hint = f'text with a unit, such as "{example or _example(unit)}"'
    if isinstance(text, bool) or not isinstance(text, str):
        bare = isinstance(text, (int, float)) and not isinstance(text, bool)
        raise QuantityError(f"{text!r} has no unit" if bare else f"{text!r} is not a quantity", expected=hint)
    number = _NUMBER.match(text)
    if number is None or not _PLAIN_UNIT.fullmatch(text[number.end() :]):
        raise QuantityError(f"{text!r} is not a number with a unit", expected=hint)
    unit_text = text[number.end() :].strip().replace("°C", "degC").replace("%", "percent").replace("μ", "µ")
    if not unit_text:
        raise QuantityError(f"{text!r} has no unit", expected=hint)
    value = float(number.group())
    common = COMMON.get((unit, difference), {}).get(unit_text)
    if common is not None:
        times, divided_by, plus = common
        magnitude = value * times / divided_by + plus
        if not abs(magnitude) < float("inf"):
            raise QuantityError(f"{text!r} is not finite", expected=hint)
        return magnitude
    if difference and unit_text in {"degC", "celsius"}:
        unit_text = "delta_degC"
    if unit_text.startswith("/"):
        unit_text = f"1{unit_text}"  # a rate is written "0.003 /s"
    registry = _registry()
    try:
        magnitude = float(registry.Quantity(value, registry.parse_units(unit_text)).to(unit).magnitude)
    except Exception as problem:  # noqa: BLE001 - pint raises half a dozen unrelated types here
        kind = type(problem).__name__
        what = (
            f"{unit_text!r} is not a unit of this kind (wanted {unit})"
            if kind == "DimensionalityError"
            else f"{unit_text!r} is not a known unit"
        )
        meant = _meant(unit_text, unit, difference=difference)
        raise QuantityError(
            f"{text!r}: {what}", expected=f"did you mean {meant!r}? {hint}" if meant else hint
        ) from None
    if not abs(magnitude) < float("inf"):
        raise QuantityError(f"{text!r} is not finite", expected=hint)
    return magnitude


def _meant(unit_text: str, unit: str, *, difference: bool) -> str:
    """Return the usual unit that somebody may have meant by what is none, empty if none comes near."""
    usual = list(COMMON.get((unit, difference), ()))
    by_habit = {"c": "degC", "celsius": "degC", "kelvin": "K", "sec": "s", "secs": "s", "hr": "h", "hrs": "h"}
    by_habit |= {one.lower(): one for one in usual}
    meant = by_habit.get(unit_text.lower(), "")
    if meant in usual:
        return meant
    close = difflib.get_close_matches(unit_text, usual, n=1, cutoff=0.7)
    return close[0] if close else ""


def _example(unit: str) -> str:
    return {"s": "10 ms", "K": "333 K", "Hz": "10 kHz", "ppm": "1.29 ppm", "K/s": "2 K/min"}.get(unit, f"1 {unit}")


_STEPS_S = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


def duration_text(seconds: float) -> str:
    """Return a duration as people read it: ``"35.7 h"``, ``"38.9 d"``, ``"10 ms"``."""
    for size, unit in _STEPS_S:
        if abs(seconds) >= size * (2.0 if unit == "d" else 1.0):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"

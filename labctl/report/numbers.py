"""Numbers as people write them: an estimate and its standard error to matching digits."""

from __future__ import annotations

import math


def plus_minus(value: float | None, error: float | None, unit: str = "") -> str:
    """Return ``"0.107 ± 0.006 eV"``: the error to two digits, the value to the same place.

    A missing value is "not resolved"; a missing error is said, never left out.
    """
    if value is None or not math.isfinite(value):
        return "not resolved"
    suffix = f" {unit}" if unit else ""
    if error is None or not math.isfinite(error) or error <= 0.0:
        return f"{value:.4g} (no error known){suffix}"
    places = 1 - math.floor(math.log10(error))
    if -3 <= math.floor(math.log10(max(abs(value), error))) <= 4:
        places = max(0, places)
        return f"{value:.{places}f} ± {error:.{places}f}{suffix}"
    exponent = math.floor(math.log10(max(abs(value), error)))
    scale = 10.0**exponent
    places = max(0, places + exponent)
    return f"({value / scale:.{places}f} ± {error / scale:.{places}f}) × 10^{exponent}{suffix}"


def plain(value: float, step: float | None, *, finer: bool = False) -> str:
    """Return a value to the step it is rounded to (`finer`: to a tenth of it), as ``0.107`` or ``7.51 × 10^-11``."""
    if not step or step <= 0.0 or value == 0.0:
        return f"{value:.4g}"
    exponent = math.floor(math.log10(abs(value)))
    places = -math.floor(math.log10(step) + 1e-9) + (1 if finer else 0)
    if -3 <= exponent <= 4:
        return f"{value:.{max(0, places)}f}"
    return f"{value / 10.0**exponent:.{max(0, places + exponent)}f} × 10^{exponent}"

"""What a Bruker dataset seems to be, guessed from the parameters it was acquired with."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["exsy", "saturation_recovery", "inversion_recovery", "nutation", "one_pulse", "unknown"]
Dimension = Literal["1D", "pseudo-2D", "2D"]
Quadrature = Literal["none", "QF", "QSEQ", "TPPI", "States", "States-TPPI", "echo-antiecho"]

PHASE_SENSITIVE: frozenset[Quadrature] = frozenset({"States", "States-TPPI", "echo-antiecho"})

_BY_FNMODE: dict[int, Quadrature] = {
    0: "none",
    1: "QF",
    2: "QSEQ",
    3: "TPPI",
    4: "States",
    5: "States-TPPI",
    6: "echo-antiecho",
}
_BY_MC2: dict[int, Quadrature] = {
    0: "QF",
    1: "QSEQ",
    2: "TPPI",
    3: "States",
    4: "States-TPPI",
    5: "echo-antiecho",
}

_EXCHANGE = re.compile(r"noesy|exsy|exch|pdsd", re.IGNORECASE)
_INVERSION = re.compile(r"t1ir|invrec|inv_?rec|(^|[^a-z])ir([^a-z]|$)", re.IGNORECASE)
_SATURATION = re.compile(r"sat|recov|t1(?!rho|r)", re.IGNORECASE)
_OTHER_DECAY = re.compile(r"cpmg|t1rho|t2|echo|redor", re.IGNORECASE)
_ONE_PULSE = re.compile(r"^zg|one_?pulse|hpdec|single|bloch", re.IGNORECASE)


def quadrature(fnmode: object, mc2: object) -> Quadrature:
    """Return how F1 was encoded: FnMODE decides; 0 (undefined) leaves it to MC2 of the processing parameters."""
    if isinstance(fnmode, int) and fnmode in _BY_FNMODE and fnmode != 0:
        return _BY_FNMODE[fnmode]
    if isinstance(mc2, int) and mc2 in _BY_MC2:
        return _BY_MC2[mc2]
    return "none"


def names_exchange(pulse_program: str) -> bool:
    """Whether a pulse program is named like an exchange experiment."""
    return _EXCHANGE.search(pulse_program) is not None


def guess_kind(
    *,
    dimension: Dimension,
    pulse_program: str,
    encoding: Quadrature,
    homonuclear: bool,
    mixing_time_s: float | None,
    has_delays: bool,
    has_pulses: bool,
) -> Kind:
    """Return the kind of a dataset; ``unknown`` rather than a bold guess.

    A COSY is homonuclear, phase-sensitive and may carry a D8 of its own, so an EXSY must also be named like one
    (``noesy``, ``exsy``, ``exch``, ``pdsd``).
    """
    if dimension == "1D":
        return "one_pulse" if _ONE_PULSE.search(pulse_program) else "unknown"
    if dimension == "2D":
        exchange = homonuclear and encoding in PHASE_SENSITIVE and (mixing_time_s or 0.0) > 0
        return "exsy" if exchange and names_exchange(pulse_program) else "unknown"
    if has_pulses and (not has_delays or "nut" in pulse_program.lower()):
        return "nutation"
    if has_delays and not _OTHER_DECAY.search(pulse_program):
        if _INVERSION.search(pulse_program):
            return "inversion_recovery"
        if _SATURATION.search(pulse_program):
            return "saturation_recovery"
    return "unknown"

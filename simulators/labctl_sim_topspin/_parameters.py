"""The parameters a console knows: their files, their C types, their defaults, and how some follow others.

C types as the files themselves show them: D, P, CNST, TE, SW keep 15 digits (double), while GRPDLY, LOCKGN and LTIME
show the tail of a 32-bit number (float).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from labctl_sim_topspin._au_types import ParameterKind
from labctl_sim_topspin._jcamp import Parameter, Scalar

Parameters = dict[str, Parameter]

_FLOATS = {"GRPDLY", "LGAIN", "LOCKGN", "LOCKPOW", "LOCKPPM", "LTIME"}
_NAME = re.compile(r"([A-Za-z][A-Za-z_]*?|[A-Za-z][A-Za-z_0-9]*)(?:\s+(\d+))?")
_ALIASES = {"SWH": "SW_h", "IN_F": "INF 1", "INF1": "INF 1", "NUCLEUS1": "NUC1", "AQ_MOD": "AQ_mod"}

RATIOS: Mapping[str, float] = {  # resonance frequency relative to 1H in TMS, IUPAC 2001 (Xi / 100)
    "1H": 1.0,
    "2H": 0.15350609,
    "6Li": 0.14716086,
    "7Li": 0.38863797,
    "11B": 0.32083974,
    "13C": 0.25145020,
    "19F": 0.94094011,
    "23Na": 0.26451900,
    "27Al": 0.26056859,
    "29Si": 0.19867187,
    "31P": 0.40480742,
    "79Br": 0.25053980,
    "207Pb": 0.20920599,
}
"""Which nuclei the console can tune to."""


def _zeros(count: int) -> list[float]:
    return [0.0] * count


def acqu() -> Parameters:
    """Return a fresh direct dimension (file ``acqu``)."""
    values: Parameters = {
        "ACQT0": 0.0,
        "AMP": [100.0] * 32,
        "AQSEQ": 0,
        "AQ_mod": 3,
        "AUNM": "au_zg",
        "AUTOPOS": "",
        "BYTORDA": 0,
        "CNST": [1.0] * 64,
        "CPDPRG": [""] * 9,
        "D": _zeros(64),
        "DATE": 0,
        "DE": 6.5,
        "DECIM": 1000,
        "DIGMOD": 1,
        "DIGTYP": 17,
        "DR": 32,
        "DS": 0,
        "DSPFIRM": 0,
        "DSPFVS": 20,
        "DTYPA": 0,
        "EXP": "",
        "FnILOOP": 0,
        "FnMODE": 0,
        "FnTYPE": 0,
        "FQ1LIST": "",
        "FW": 2.4e8,
        "GRPDLY": 0.0,
        "HOLDER": 0,
        "IN": _zeros(64),
        "INF": _zeros(8),
        "INP": _zeros(64),
        "INSTRUM": "",
        "L": [1] * 32,
        "LGAIN": -1.0,
        "LOCKED": False,
        "LOCKGN": -1.0,
        "LOCKPOW": -1.0,
        "LOCKPPM": -1.0,
        "LOCNUC": "off",
        "LTIME": -1.0,
        "MASR": 4200,
        "MASRLST": "masrlst",
        "NBL": 1,
        "NC": 0,
        "NS": 1,
        "NUCLEUS": "off",
        "NUSLIST": "automatic",
        "NusAMOUNT": 100,
        "NusJSP": 0,
        "NusSEED": 54321,
        "NusT2": 1.0,
        "NusTD": 0,
        "OVERFLW": 0,
        "P": _zeros(64),
        "PAPS": 0,
        "PARMODE": 0,
        "PHCOR": _zeros(32),
        "PH_ref": 0.0,
        "PL": [120.0] * 64,
        "PLW": _zeros(64),
        "PR": 1,
        "PROBHD": "4 mm MAS BB/1H H14234/0001",
        "PULPROG": "zg",
        "QNP": 0,
        "RD": 0.0,
        "RG": 101.0,
        "RO": 0,
        "SAMPLEID": "",
        "SOLVENT": "none",
        "SP": [120.0] * 64,
        "SPINCNT": 0,
        "SWfinal": 0.0,
        "SW_h": 20000.0,
        "TD": 2048,
        "TD0": 1,
        "TDav": 0,
        "TE": 298.15,
        "TE1": 0.0,
        "TE2": 0.0,
        "TE3": 0.0,
        "TE4": 0.0,
        "TEG": 300.0,
        "TE_MAGNET": 0.0,
        "TE_PIDX": 0,
        "TE_STAB": [0] * 10,
        "USERA1": "",
        "USERA2": "",
        "USERA3": "",
        "USERA4": "",
        "USERA5": "",
        "VALIST": "",
        "VCLIST": "",
        "VDLIST": "",
        "VPLIST": "",
        "VTLIST": "",
        "WBST": 1024,
        "YMAX_a": 0.0,
        "YMIN_a": 0.0,
        "ZGOPTNS": "",
    }
    for channel in range(1, 9):
        values |= {f"BF{channel}": 400.0, f"O{channel}": 0.0, f"SFO{channel}": 400.0, f"NUC{channel}": "off"}
    values["SW"] = 50.0
    return values


def acqu2() -> Parameters:
    """Return a fresh indirect dimension (file ``acqu2``)."""
    return {
        "ACQT0": 0.0,
        "BF1": 400.0,
        "FnILOOP": 0,
        "FnMODE": 0,
        "NUC1": "off",
        "NusJSP": 0,
        "NusT2": 1.0,
        "NusTD": 0,
        "O1": 0.0,
        "ProjAngle": 0,
        "SFO1": 400.0,
        "SW": 10.0,
        "SW_h": 4000.0,
        "TD": 128,
    }


def proc() -> Parameters:
    """Return processing parameters (files ``proc`` and ``proc2``)."""
    return {
        "ABSF1": 1000.0,
        "ABSF2": -1000.0,
        "ABSG": 5,
        "AUNMP": "",
        "AXNUC": "off",
        "AXUNIT": "",
        "BC_mod": 0,
        "BYTORDP": 0,
        "DTYPP": 0,
        "FTSIZE": 0,
        "FT_mod": 0,
        "GB": 0.0,
        "LB": 10.0,
        "MC2": 0,
        "ME_mod": 0,
        "NC_proc": 0,
        "OFFSET": 0.0,
        "PHC0": 0.0,
        "PHC1": 0.0,
        "PH_mod": 0,
        "PPARMOD": 0,
        "PYNMP": "proc.py",
        "REVERSE": False,
        "SF": 400.0,
        "SI": 2048,
        "SSB": 0.0,
        "STSI": 0,
        "STSR": 0,
        "SW_p": 20000.0,
        "TDeff": 0,
        "TDoff": 0,
        "TI": "",
        "USERP1": "",
        "WDW": 0,
        "XDIM": 0,
    }


_ACQU, _ACQU2, _PROC = acqu(), acqu2(), proc()
_STATUS_ONLY: Parameters = {"DATE_START": 0, "ExpStatus": 0, "TE_RAW": 0.0, "UUID": "", "PACOIL": [0] * 33}
_KNOWN: Parameters = {**_PROC, **_ACQU2, **_ACQU, **_STATUS_ONLY}


def split(name: str) -> tuple[str, int | None]:
    """Split ``"D 8"`` into ``("D", 8)`` and ``"TE"`` into ``("TE", None)``, other spellings made the file's."""
    name = _ALIASES.get(name.strip().upper(), name.strip())
    match = _NAME.fullmatch(name)
    if match is None:
        return name, None
    key = match[1] if match[1] in _KNOWN else _by_upper().get(match[1].upper(), match[1])
    return key, None if match[2] is None else int(match[2])


def _by_upper() -> dict[str, str]:
    return {key.upper(): key for key in _KNOWN}


def is_processing(key: str) -> bool:
    """Say whether a parameter lives in ``proc`` and not in ``acqu``."""
    return key in _PROC and key not in _ACQU


def kind_of(name: str) -> ParameterKind | None:
    """Return the C type of a parameter, by its AU name; None if there is no such parameter."""
    key, index = split(name)
    known = _KNOWN.get(key)
    if (
        known is None
        or isinstance(known, list) is (index is None)
        or (isinstance(known, list) and index is not None and index >= len(known))
    ):
        return None
    value: Scalar = known[0] if isinstance(known, list) else known
    if isinstance(value, str):
        return "text"
    if isinstance(value, int):
        return "int"
    return "float" if key in _FLOATS else "double"


def read(values: Parameters, name: str) -> Scalar:
    """Return one value, ``KeyError`` if there is none."""
    key, index = split(name)
    value = values[key]
    if isinstance(value, list):
        return value[index or 0]
    return value


def write(values: Parameters, name: str, value: Scalar) -> None:
    """Store one value, and what follows from it: SW from SW_h, SFO1 from O1, and so on."""
    key, index = split(name)
    old = values.get(key, _KNOWN.get(key))
    if isinstance(old, list) and index is not None:
        items: list[Scalar] = list(old)
        items[index] = _like(items[index], value)
        values[key] = items  # type: ignore[assignment]  # a list of one kind, as before
    elif not isinstance(old, list) and old is not None:
        values[key] = _like(old, value)
    else:
        raise KeyError(name)
    _follow(values, key)


def _like(old: Scalar, value: Scalar) -> Scalar:
    if isinstance(old, str):
        return str(value)
    if isinstance(old, bool):
        return value in {"yes", "1", 1}
    return int(float(value)) if isinstance(old, int) else float(value)


def number(values: Parameters, name: str) -> float:
    """Return one value as a number."""
    return float(read(values, name))


def _follow(values: Parameters, key: str) -> None:
    if key in {"O1", "BF1"}:
        values["SFO1"] = number(values, "BF1") + number(values, "O1") * 1e-6
    elif key == "SFO1":
        values["O1"] = (number(values, "SFO1") - number(values, "BF1")) * 1e6
    elif key == "SW":
        values["SW_h"] = number(values, "SW") * number(values, "SFO1")
    if key in {"O1", "BF1", "SFO1", "SW_h"}:
        values["SW"] = number(values, "SW_h") / number(values, "SFO1")


def tune_to(values: Parameters, nucleus: str, larmor_MHz: float) -> None:
    """Set the observe channel: NUC1, BF1 and what follows."""
    values["NUC1"] = nucleus
    values["BF1"] = larmor_MHz
    _follow(values, "BF1")

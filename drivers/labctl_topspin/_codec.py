"""What stands in the files of a job folder: orders to step text, status and heartbeat text to values. Pure.

Every file is ``key=value`` lines in ASCII with a last line ``end``; without it the writer is not done (or died)
and the file counts as not there. Values are checked against a small character set, so that nothing anybody
typed can become a line, a path or a command of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from labctl.errors import InputError
from labctl.ports import (
    Acquire,
    AwaitStable,
    CheckSpinning,
    CoolDown,
    CycleCell,
    Exsy,
    Nutation,
    OnePulse,
    Order,
    SaturationRecovery,
    SetTemperature,
    SweepImpedance,
    Tune,
)
from labctl_topspin._settings import Settings

Value = str | int | float
Verb = Literal["run", "halt", "safe", "quit"]
Ending = Literal["begun", "progress", "done", "failed"]
ENDINGS: tuple[Ending, ...] = ("begun", "progress", "done", "failed")

MAX_LINE = 230
"""The AU programs read lines of at most 240 characters."""

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SAFE = re.compile(r"[A-Za-z0-9_.+\-:/ ]*")
_TOKEN = re.compile(r"[0-9a-f]{8}-[1-9][0-9]?")

STATES_TPPI = 5
QF = 1


# ------------------------------------------------------------------------------------------------- text files


def safe_text(value: str, what: str) -> str:
    """Return `value` if it may stand in a file that an AU program reads.

    Raises
    ------
    InputError
        It holds a character outside ``A-Z a-z 0-9 _ . + - : /`` and blank, or is too long.
    """
    if not _SAFE.fullmatch(value) or value != value.strip():
        bad = sorted(set(value) - {char for char in value if _SAFE.fullmatch(char)})
        raise InputError(
            f"{what} {value!r} cannot be handed to TopSpin"
            + (f" because of {' '.join(map(repr, bad))}" if bad else " with blanks at its ends"),
            expected="letters, digits, blanks and _ . + - : /",
        )
    if len(value) > MAX_LINE:
        raise InputError(f"{what} is {len(value)} characters long", expected=f"at most {MAX_LINE}")
    return value


class ConsolePath(str):
    """A folder as the console sees it, checked by `safe_path`."""

    __slots__ = ()


def safe_path(value: str, what: str, *, any_letter: bool) -> ConsolePath:
    """Return a folder as the console will see it, with forward slashes; `any_letter` admits names outside ASCII.

    Raises
    ------
    InputError
        It holds a character with a meaning of its own to TopSpin or a shell, or is too long.
    """
    value = value.replace("\\", "/")
    plain = re.sub(r"[~(),@=\[\]]", "_", value)
    if any_letter:
        plain = "".join("x" if char.isalnum() else char for char in plain)
    safe_text(plain, what)
    if len(value.encode("utf-8")) > 180:
        raise InputError(f"{what} {value!r} is too long for an AU program", expected="at most 180 bytes")
    return ConsolePath(value)


def safe_title(title: str, token: str) -> str:
    """Return a title with what TopSpin cannot carry replaced; its end, where the token stands, is kept whole."""
    plain = "".join(char if _SAFE.fullmatch(char) else "_" for char in title).strip()
    if token not in plain:
        raise InputError(f"the title {title!r} does not carry the token {token}")
    return plain[-MAX_LINE + len("title=") :].strip()


def encode(pairs: Mapping[str, Value]) -> str:
    """Return the text of a file; floats keep every digit."""
    lines = []
    for key, value in pairs.items():
        if not _KEY.fullmatch(key):
            raise InputError(f"{key!r} is not a key")
        text = repr(value) if isinstance(value, float) else str(value)
        lines.append(f"{key}={value if isinstance(value, ConsolePath) else safe_text(text, key)}")
    return "\n".join([*lines, "end", ""])


def decode(text: str) -> dict[str, str] | None:
    """Return what a file says, None while its last line is not ``end``. Lines that are no pair are left out."""
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    if not lines or lines[-1] != "end":
        return None
    pairs = (line.split("=", 1) for line in lines[:-1] if "=" in line)
    return {key: value for key, value in pairs if _KEY.fullmatch(key)}


def number(pairs: Mapping[str, str], key: str) -> float | None:
    """Return a number of a decoded file, None where it is missing or is none."""
    try:
        value = float(pairs[key])
    except (KeyError, ValueError):
        return None
    return value if abs(value) < float("inf") else None


def integer(pairs: Mapping[str, str], key: str, default: int = 0) -> int:
    """Return a whole number of a decoded file, `default` where it is missing or is none."""
    value = number(pairs, key)
    return default if value is None else int(value)


# ------------------------------------------------------------------------------------------------------ steps


def list_name(token: str) -> str:
    """Name of the delay or pulse list of an order."""
    return f"labctl_{token}"


def delay_list(delays_s: Sequence[float]) -> str:
    """Return a vd list: one delay per line, bare numbers are seconds."""
    return "".join(f"{delay_s:.9f}\n" for delay_s in delays_s)


def pulse_list(pulses_s: Sequence[float]) -> str:
    """Return a vp list: one pulse per line, bare numbers are microseconds."""
    return "".join(f"{pulse_s * 1e6:.3f}\n" for pulse_s in pulses_s)


def expno(order: Order) -> int:
    """EXPNO of an acquisition: the slot and the attempt in its last digit."""
    assert isinstance(order.task, Acquire)
    if not 1 <= order.attempt <= 9:
        raise InputError(f"attempt {order.attempt} of {order.step_id} has no EXPNO", expected="attempts 1 to 9")
    return order.task.expno_slot + order.attempt


def step_pairs(order: Order, *, seq: int, settings: Settings) -> dict[str, Value]:
    """Return what stands in the step file of an order.

    Raises
    ------
    InputError
        Token or title are not what TopSpin can carry, or the lab file names no template for the experiment.
    """
    if not _TOKEN.fullmatch(order.token):
        raise InputError(f"the token {order.token!r} is not one", expected="8 hex digits, a dash, the attempt")
    pairs: dict[str, Value] = {"seq": seq, "token": order.token, "epoch": order.epoch}
    match order.task:
        case SetTemperature() | CoolDown():
            name = "set_temperature" if isinstance(order.task, SetTemperature) else "cool_down"
            pairs |= {
                "action": name,
                "setpoint_K": float(order.task.setpoint_K),
                "ramp_K_per_min": order.task.ramp_K_per_s * 60.0,
                "give_up_s": float(order.task.give_up_s),
            }
        case AwaitStable() as task:
            pairs |= {
                "action": "await_stable",
                "setpoint_K": float(task.setpoint_K),
                "within_K": float(task.within_K),
                "hold_s": float(task.hold_s),
                "give_up_s": float(task.give_up_s),
            }
        case CheckSpinning() as task:
            pairs |= {
                "action": "check_spinning",
                "spinning_Hz": float(task.rate_Hz),
                "spinning_tolerance_Hz": float(task.tolerance_Hz),
                "give_up_s": float(task.give_up_s),
            }
        case Tune() as task:
            pairs |= {"action": "tune", "mode": task.mode, "give_up_s": float(task.give_up_s)}
        case Acquire() as task:
            pairs |= {"action": "acquire", **_acquisition(order, task, settings)}
        case SweepImpedance() | CycleCell():
            raise InputError(
                f"{order.step_id} is not for a spectrometer", expected="a station of driver autolab or maccor"
            )
        case _ as never:
            assert_never(never)
    return {**pairs, "title": safe_title(order.title, order.token)}


def _acquisition(order: Order, task: Acquire, settings: Settings) -> dict[str, Value]:
    template = task.template if task.template in settings.templates else task.kind
    if template not in settings.templates or task.kind not in settings.pulse_programs:
        raise InputError(
            f"the lab file names no template for {task.kind}",
            expected=f"settings.templates.{task.kind} and settings.pulse_programs.{task.kind}",
        )
    pairs: dict[str, Value] = {
        "kind": task.kind,
        "dataset": settings.dataset,
        "expno": expno(order),
        "template_expno": settings.templates[template],
        "pulse_program": settings.pulse_programs[task.kind],
        "nucleus": task.nucleus,
        "scans": task.scans,
        "dummy_scans": task.dummy_scans,
        "recycle_delay_s": float(task.recycle_delay_s),
        "points": task.points,
        "spectral_width_Hz": float(task.spectral_width_Hz),
        "carrier_ppm": float(task.carrier_ppm),
        "pulse_us": task.pulse_s * 1e6,
        "spinning_Hz": float(task.spinning_Hz),
        "spinning_tolerance_Hz": float(task.spinning_tolerance_Hz),
        "setpoint_K": float(task.setpoint_K),
        "rows": rows(task),
    }
    if task.receiver_gain is not None:
        pairs["receiver_gain"] = float(task.receiver_gain)
    match task.experiment:
        case OnePulse():
            pass
        case SaturationRecovery():
            pairs |= {"fnmode": QF, "vd_list": list_name(order.token)}
        case Nutation() as nutation:
            pairs |= {"fnmode": QF, "vp_list": list_name(order.token)}
            if settings.nutation_recovery_delay < 0:
                pairs["recycle_delay_s"] = float(nutation.recovery_s)
            else:
                pairs |= {
                    "recovery_s": float(nutation.recovery_s),
                    "recovery_delay_no": settings.nutation_recovery_delay,
                }
        case Exsy() as exsy:
            pairs |= {
                "fnmode": STATES_TPPI,
                "increment_us": exsy.increment_s * 1e6,
                "nd0": settings.t1_increments_per_loop,
                "mixing_time_s": float(exsy.mixing_time_s),
            }
            if settings.presaturation_loop >= 0:
                pairs |= {"comb_pulses": task.presaturation_pulses, "comb_loop_no": settings.presaturation_loop}
        case _ as never:
            assert_never(never)
    return pairs


def rows(task: Acquire) -> int:
    """TD of F1: rows of a ``ser``; 0 for a 1D."""
    match task.experiment:
        case OnePulse():
            return 0
        case SaturationRecovery(delays_s=delays_s):
            return len(delays_s)
        case Nutation(pulses_s=pulses_s):
            return len(pulses_s)
        case Exsy(rows=count):
            return count
        case _ as never:
            assert_never(never)


# ---------------------------------------------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One status record of a step.

    Attributes
    ----------
    executor : int
        Which start of the executor wrote it.
    time_s : float
        Wall time of the console [s since 1970].
    pairs : mapping
        Everything the file says.
    """

    ending: Ending
    seq: int
    token: str
    phase: str
    time_s: float
    executor: int
    pairs: Mapping[str, str]

    @property
    def last(self) -> bool:
        """Nothing comes after it."""
        return self.ending in {"done", "failed"}

    @property
    def error(self) -> str:
        """Why it failed, empty if it did not."""
        return self.pairs.get("error", "") if self.ending == "failed" else ""


def record(ending: Ending, text: str) -> Record | None:
    """Return a status record, None while it is being written or if it makes no sense."""
    pairs = decode(text)
    if pairs is None or "seq" not in pairs or "token" not in pairs:
        return None
    return Record(
        ending=ending,
        seq=integer(pairs, "seq"),
        token=pairs["token"],
        phase=pairs.get("phase", ""),
        time_s=number(pairs, "time") or 0.0,
        executor=integer(pairs, "executor"),
        pairs=pairs,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """One heartbeat of the guard; a reading that failed is None.

    Attributes
    ----------
    time_s : float
        Wall time of the console [s since 1970] at which the values were read.
    state : str
        ``watching``; ``idle`` (no lease and nothing of ours on); ``safe``.
    needs_person : bool
        A limit was broken: only a person re-arms.
    acquiring : int
        EXPNO that the executor is inside ZG for, 0 if none.
    safe_setpoint_K : float or None
        Last set point sent on the way to the safe state.
    """

    seq: int
    program: str
    time_s: float
    te_K: float | None
    heater_percent: float | None
    gas_L_per_h: float | None
    spinning_Hz: float | None
    state: str
    reason: str
    needs_person: bool
    heater_off: bool
    acquiring: int
    safe_setpoint_K: float | None
    epoch: int


def heartbeat(text: str) -> Heartbeat | None:
    """Return a heartbeat, None while it is being written or if it makes no sense."""
    pairs = decode(text)
    if pairs is None or (time_s := number(pairs, "time")) is None or "seq" not in pairs:
        return None
    return Heartbeat(
        seq=integer(pairs, "seq"),
        program=pairs.get("program", ""),
        time_s=time_s,
        te_K=number(pairs, "te_K"),
        heater_percent=number(pairs, "heater_percent"),
        gas_L_per_h=number(pairs, "gas_L_per_h"),
        spinning_Hz=number(pairs, "spinning_Hz"),
        state=pairs.get("state", ""),
        reason=pairs.get("reason", ""),
        needs_person=integer(pairs, "needs_person") != 0,
        heater_off=integer(pairs, "heater_off") != 0,
        acquiring=integer(pairs, "acquiring"),
        safe_setpoint_K=number(pairs, "safe_setpoint_K"),
        epoch=integer(pairs, "epoch"),
    )

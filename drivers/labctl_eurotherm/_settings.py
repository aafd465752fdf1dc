"""The `settings:` block of a Eurotherm station, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from labctl_oven import SettingsReader, WatchSettings, read_watch

Model = Literal["2400", "3200"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one controller is reached, and what of it is used.

    Attributes
    ----------
    port : str
        What pySerial opens: ``COM3``, ``/dev/ttyUSB0``, ``socket://10.0.0.5:4001``.
    setpoint_via : str
        ``target``: register 2, which outlasts a power cut and is stored in memory that wears out (a few writes at
        each temperature do not matter). ``remote``: register 26 of the 3200 with 276 set to remote.
    line_test : str
        How the line is put in order after anything odd: ``loopback`` (function 8), or ``quiet`` where a controller has
        none: nothing is said for two reply time-outs.
    rate_unit_s : float
        The set point's rate limit (register 35) is in display units per this time.
    """

    port: str
    model: Model = "2400"
    address: int = 1
    baud_rate: int = 9600
    parity: str = "none"
    setpoint_via: str = "target"
    line_test: str = "loopback"
    rate_unit_s: float = 60.0
    reply_timeout_s: float = 0.6
    readback_wait_s: float = 0.1
    readback_tries: int = 6
    overshoot_K: float = 5.0
    watch: WatchSettings = field(default_factory=WatchSettings)


_RATE_UNITS = {"per second": 1.0, "per minute": 60.0, "per hour": 3600.0}


def read_settings(settings: Mapping[str, Any], *, station: str, simulated: bool) -> Settings:
    """Return the settings of a station.

    Raises
    ------
    InputError
        One finding for each key that is unknown, missing, or holds what cannot be used.
    """
    reader = SettingsReader(settings, where=f"stations.{station}.settings")
    model = cast("Model", reader.choice("model", ("2400", "3200"), "2400"))
    setpoint_via = reader.choice("setpoint_via", ("target", "remote"), "remote" if model == "3200" else "target")
    if setpoint_via == "remote" and model == "2400":
        reader.refuse("setpoint_via", "is not there on a 2400", repr(setpoint_via), "target")
    chosen = Settings(
        port=reader.text("port", "in process" if simulated else None, expected="a port such as COM3 or /dev/ttyUSB0"),
        model=model,
        address=reader.integer("address", 1, 1, 247),
        baud_rate=reader.integer("baud_rate", 9600, 1200, 115200),
        parity=reader.choice("parity", ("none", "odd", "even"), "none"),
        setpoint_via=setpoint_via,
        line_test=reader.choice("line_test", ("loopback", "quiet"), "loopback"),
        rate_unit_s=_RATE_UNITS[reader.choice("rate_unit", tuple(_RATE_UNITS), "per minute")],
        reply_timeout_s=reader.quantity("reply_timeout", "s", "600 ms", 0.01, 10.0),
        readback_wait_s=reader.quantity("readback_wait", "s", "100 ms", 0.0, 5.0),
        readback_tries=reader.integer("readback_tries", 6, 1, 20),
        overshoot_K=reader.quantity("overshoot", "K", "5 K", 0.0, 50.0, difference=True),
        watch=read_watch(reader, frozen="never"),
    )
    reader.finish()
    return chosen

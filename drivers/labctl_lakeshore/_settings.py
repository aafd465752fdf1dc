"""The `settings:` block of a Lake Shore station, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl_oven import SettingsReader, WatchSettings, read_watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one controller is reached, and what of it is used.

    Attributes
    ----------
    resource : str
        VISA resource: ``ASRL3::INSTR``, ``GPIB0::12::INSTR``, ``TCPIP0::10.0.0.5::7777::SOCKET``.
    visa_library : str
        ``@py`` is PyVISA-py; empty: the VISA library of this computer.
    sensor_input, sample_input : str
        Inputs of the oven's sensor (which the loop uses) and of the cell's own (``none``: there is none).
    sample_within_K, sample_offset_K : float
        Band of the cell's sensor while settling, and by how much it may differ from the set point.
    heater_range : int
        1 low, 2 medium, 3 high.
    tag_mask : str
        Which mask of IEEE 488.2 carries the tags of questions; neither is used for anything else.
    heater_status : bool
        Whether `HTRST?` is asked.
    readback_wait_s, readback_tries
        How long a write may take to be read back, and how often it is looked for.
    """

    resource: str
    visa_library: str = "@py"
    baud_rate: int = 57600
    sensor_input: str = "A"
    sample_input: str = "none"
    sample_within_K: float | None = None
    sample_offset_K: float = 0.0
    heater_range: int = 3
    tag_mask: str = "*ESE"
    heater_status: bool = True
    reply_timeout_s: float = 1.0
    message_gap_s: float = 0.05
    readback_wait_s: float = 0.25
    readback_tries: int = 6
    overshoot_K: float = 5.0
    watch: WatchSettings = field(default_factory=WatchSettings)


_RANGES = {"low": 1, "medium": 2, "high": 3}


def read_settings(settings: Mapping[str, Any], *, station: str, simulated: bool) -> Settings:
    """Return the settings of a station.

    Raises
    ------
    InputError
        One finding for each key that is unknown, missing, or holds what cannot be used.
    """
    reader = SettingsReader(settings, where=f"stations.{station}.settings")
    expected = "a VISA resource such as ASRL3::INSTR"
    sample_input = reader.choice("sample_input", ("A", "B", "none"), "none")
    chosen = Settings(
        resource=reader.text("resource", "in process" if simulated else None, expected=expected),
        visa_library=str(reader.get("visa_library", "@py")),
        baud_rate=reader.integer("baud_rate", 57600, 300, 115200),
        sensor_input=reader.choice("sensor_input", ("A", "B"), "A"),
        sample_input=sample_input,
        sample_within_K=(
            None if sample_input == "none" else reader.quantity("sample_within", "K", "1 K", 0.0, 50.0, difference=True)
        ),
        sample_offset_K=reader.quantity("sample_offset", "K", "0 K", -50.0, 50.0, difference=True),
        heater_range=_RANGES[reader.choice("heater_range", tuple(_RANGES), "high")],
        tag_mask=reader.choice("tag_mask", ("*ESE", "*SRE"), "*ESE"),
        heater_status=reader.flag("heater_status", default=True),
        reply_timeout_s=reader.quantity("reply_timeout", "s", "1 s", 0.01, 10.0),
        message_gap_s=reader.quantity("message_gap", "s", "50 ms", 0.0, 1.0),
        readback_wait_s=reader.quantity("readback_wait", "s", "250 ms", 0.0, 5.0),
        readback_tries=reader.integer("readback_tries", 6, 1, 20),
        overshoot_K=reader.quantity("overshoot", "K", "5 K", 0.0, 50.0, difference=True),
        watch=read_watch(reader, frozen="5 min"),
    )
    if chosen.sample_input == chosen.sensor_input:
        reader.refuse("sample_input", "is the loop's own input", repr(sample_input), "the other one, or none")
    reader.finish()
    return chosen

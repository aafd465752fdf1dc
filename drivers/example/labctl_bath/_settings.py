"""The settings of a bath in the lab file, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl_oven import SettingsReader, WatchSettings, read_watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one bath is reached; `overshoot_K` is what it may overshoot a set point by."""

    host: str
    port: int = 4000
    reply_timeout_s: float = 1.0
    overshoot_K: float = 2.0
    watch: WatchSettings = field(default_factory=WatchSettings)


def read_settings(settings: Mapping[str, Any], *, station: str, simulated: bool) -> Settings:
    """Return the settings; raises `InputError` with one finding for each key that cannot be used."""
    reader = SettingsReader(settings, where=f"stations.{station}.settings")
    chosen = Settings(
        host=reader.text("host", "in process" if simulated else None, expected="the bath's address: 10.0.0.7"),
        port=reader.integer("port", 4000, 1, 65535),
        reply_timeout_s=reader.quantity("reply_timeout", "s", "1 s", 0.05, 10.0),
        overshoot_K=reader.quantity("overshoot", "K", "2 K", 0.0, 50.0, difference=True),
        watch=read_watch(reader, frozen="10 min"),
    )
    reader.finish()
    return chosen

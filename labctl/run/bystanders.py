"""Those who look on without a say: what they are told, and what becomes of one that fails."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.run.events import Alarmed, Event
from labctl.run.journal import Row
from labctl.run.options import Bystander
from labctl.run.state import State


class Bystanders:
    """Whoever only looks on must not end a campaign: one that fails is told of nothing more, as the journal says."""

    def __init__(self, those: Iterable[Bystander]) -> None:
        self._those = tuple(those)

    def said(self) -> list[Alarmed]:
        """Return what they have to say."""
        alarms: list[Alarmed] = []
        for bystander in self._those:
            try:
                alarms.extend(bystander.said())
            except Exception as error:  # noqa: BLE001 - whatever it is, the campaign goes on
                alarms.append(self._send_away(bystander, error))
        return alarms

    def seen(self, row: Row, event: Event, state: State) -> list[Alarmed]:
        """Tell them of an event; return what the journal should know of those that failed."""
        alarms: list[Alarmed] = []
        for bystander in self._those:
            try:
                bystander.seen(row, event, state)
            except Exception as error:  # noqa: BLE001 - as above
                alarms.append(self._send_away(bystander, error))
        return alarms

    def _send_away(self, bystander: Bystander, error: Exception) -> Alarmed:
        self._those = tuple(one for one in self._those if one is not bystander)
        who, what = type(bystander).__name__, type(error).__name__
        return Alarmed(station="", what=f"{who} failed and is told of nothing more: {what}; please report it")

"""An instrument that did not answer when it was to be opened is opened with the first call that reaches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from labctl.errors import InstrumentSilent
from labctl.ports import Instrument

_AT_ANY_TIME = frozenset({"station", "attention_s", "close", "fence"})


def opened_late(instrument: Instrument) -> Instrument:
    """Return the instrument; while `open` has met with silence, each of its calls first tries that again.

    Until then all of them raise `InstrumentSilent`, so that whoever watches for silence has the say: a share that is
    away for a minute while an engine comes up takes the heat off nothing.
    """
    return cast("Instrument", _OpenedLate(instrument))


class _OpenedLate:
    """Everything an instrument is, whichever of the ports it has."""

    def __init__(self, inner: Instrument) -> None:
        self._inner = inner
        self._epoch: int | None = None
        """What to open it with, while that is still to be done."""

    def open(self, epoch: int) -> None:
        try:
            self._inner.open(epoch)
        except InstrumentSilent:
            self._epoch = epoch
            raise
        self._epoch = None

    def __getattr__(self, name: str) -> Any:
        found: Any = getattr(self._inner, name)
        return found if self._epoch is None or name in _AT_ANY_TIME else self._after_opening(found)

    def _after_opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def opened_first(*arguments: Any, **options: Any) -> Any:
            if self._epoch is not None:
                self.open(self._epoch)
            return call(*arguments, **options)

        return opened_first

"""Questions and answers that belong together, on a wire whose frames carry no names.

Modbus RTU has no transaction number: a late answer looks like the answer to the next question of the same length. So
readings go by function 3 and 4 in turn, which the controller treats alike: the answer to the question before is of
the other function, and refused. After anything odd the line is put in order by a loop-back test with a number of its
own: the controller answers in order, so when the echo has come, nothing older is under way any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from labctl.clock import Clock
from labctl.errors import InstrumentError, InstrumentSilent
from labctl.ports import StillOurs
from labctl_eurotherm._settings import Settings
from labctl_oven import pause

if TYPE_CHECKING:
    from labctl_eurotherm._link import Link

Answer = TypeVar("Answer")

_TRIES = 3
_CODES = {1: "no such function", 2: "no such register", 3: "no such value, or read-only", 6: "busy"}


class Line:
    """Asks one question at a time."""

    def __init__(self, link: Link, *, station: str, settings: Settings, clock: Clock) -> None:
        self._link = link
        self._station = station
        self._settings = settings
        self._clock = clock
        self._function = 3
        self._token = int(clock.now_s()) & 0xFFFF
        self._in_order = False  # the engine before us may have left an answer under way
        self.mended = 0
        """How often the line had to be put in order."""
        self.still_ours: StillOurs = lambda: None

    def read(self, address: int, words: int) -> tuple[int, ...]:
        """Return words.

        Raises
        ------
        InstrumentSilent
            No usable answer, however often it was asked.
        InstrumentError
            The controller refuses.
        Superseded
            A later engine has the station; nothing was sent.
        """

        def ask() -> tuple[int, ...]:
            self._function = 7 - self._function
            return self._link.read(self._function, address, words)

        return self._asked(ask, f"read {words} words at {address:#06x}")

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write words; that they were taken is for the caller to read back. Raises as `read`."""
        self._asked(lambda: self._link.write(address, words), f"write {list(words)} at {address:#06x}")

    def _asked(self, ask: Callable[[], Answer], command: str) -> Answer:
        seen = ""
        for _ in range(_TRIES):
            self.still_ours()
            try:
                if not self._in_order:
                    self._put_in_order()
                return ask()
            except PermissionError as refusal:
                code = refusal.args[0]
                raise InstrumentError(
                    f"the controller refuses: exception {code:02d} ({_CODES.get(code, 'unknown')})",
                    instrument=self._station,
                    command=command,
                    reply=str(refusal.args[-1]),
                    next_step=f"Is it really a {self._settings.model}, and not locked or in its configuration level?",
                ) from None
            except (TimeoutError, ValueError) as problem:
                seen = str(problem)
                self._in_order = False
        raise InstrumentSilent(
            f"no usable answer ({_TRIES} tries of {self._settings.reply_timeout_s:g} s)",
            instrument=self._station,
            command=command,
            reply=seen,
            next_step="Look at the controller's display, its cable, address, baud rate and parity",
        )

    def _put_in_order(self) -> None:
        self.mended += 1
        self._token = (self._token + 1) & 0xFFFF
        if self._settings.line_test == "quiet":
            pause(self._clock, 2.0 * self._settings.reply_timeout_s)
            self._link.clear()
            self._in_order = True
            return
        self._link.clear()
        if self._link.echo(self._token) != self._token:
            raise ValueError("another echo came back")
        self._in_order = True

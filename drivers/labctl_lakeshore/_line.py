"""Questions and answers that belong together, whatever the line does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.clock import Clock
from labctl.errors import InstrumentError, InstrumentSilent
from labctl.ports import StillOurs
from labctl_lakeshore._codec import (
    ERRORS,
    POWER_ON,
    Garbled,
    bits,
    is_query,
    next_tag,
    tagged,
    untag,
    whole,
)
from labctl_lakeshore._settings import Settings

if TYPE_CHECKING:
    from labctl_lakeshore._link import Link

_TRIES = 3
_STALE_LINES = 20


class Line:
    """Asks one chain of commands at a time.

    An answer is taken only with the tag of its question; whatever else comes first is dropped. After a silence the
    line is cleared and the chain sent again: everything we send may be sent twice.
    """

    def __init__(self, link: Link, *, station: str, settings: Settings, clock: Clock) -> None:
        self._link = link
        self._station = station
        self._settings = settings
        self._tag = int(clock.now_s()) % 255  # the engine before us may have left answers under way
        self.power_was_lost = False
        """The controller has been switched on since this was last set to False."""
        self.dropped = 0
        """Lines that were no answer to what had been asked."""
        self.still_ours: StillOurs = lambda: None

    def ask(self, *commands: str) -> tuple[str, ...]:
        """Return the answers of the queries among `commands`, which are carried out in their order.

        Raises
        ------
        InstrumentSilent
            No usable answer, however often it was asked.
        InstrumentError
            The controller refuses a command (`*ESR?`).
        Superseded
            A later engine has the station; nothing was sent.
        """
        queries = [command for command in commands if is_query(command)]
        came = ""
        for _ in range(_TRIES):
            self._tag = next_tag(self._tag)
            message = tagged((*commands, "*ESR?"), self._tag, mask=self._settings.tag_mask)
            self.still_ours()
            self._link.send(message)
            for _ in range(_STALE_LINES):
                line = self._link.receive(self._settings.reply_timeout_s)
                if line is None:
                    break
                answers = untag(line, len(queries) + 1, self._tag)
                if answers is not None:
                    self._mind_events(answers[-1], message, line)
                    return answers[:-1]
                self.dropped += 1
                came = line
            self._link.clear()
        what = "no answer came" if not came else "nothing that came is an answer to this question"
        raise InstrumentSilent(
            f"{what} ({_TRIES} tries of {self._settings.reply_timeout_s:g} s)",
            instrument=self._station,
            command="; ".join(commands),
            reply=came,
            next_step="Look at the controller's display, its cable, and its interface settings (57600 baud, 7O1)",
        )

    def _mind_events(self, text: str, message: str, line: str) -> None:
        try:
            events = whole(text)
        except Garbled as problem:
            raise self.nonsense(problem, message, line) from None
        self.power_was_lost = self.power_was_lost or bool(events & POWER_ON)
        if refused := bits(events & sum(ERRORS), ERRORS):
            raise InstrumentError(
                f"the controller refuses ({refused})",
                instrument=self._station,
                command=message,
                reply=line,
                next_step="Is it a Model 335 or 336, and is the output the first one?",
            )

    def nonsense(self, problem: Garbled, command: str, reply: str) -> InstrumentError:
        """Return the error for an answer of the right tag and the wrong shape."""
        return InstrumentError(
            f"the answer makes no sense: {problem.what}", instrument=self._station, command=command, reply=reply
        )

"""Bytes in, bytes out, each in its time: one end of a line to a simulated controller."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from labctl.errors import InstrumentSilent
from labctl_sim_oven._lab import Hit, Lab


class Grammar(Protocol):
    """How a vendor's controller frames and answers messages."""

    latency_s: float
    """Between a message and its answer."""

    def split(self, received: bytes) -> tuple[list[bytes], bytes]:
        """Return the whole messages in what has come, and the rest."""
        ...

    def answer(self, message: bytes, now_s: float) -> bytes:
        """Act on one message and return the answer; empty where there is none."""
        ...

    def spoil(self, answer: bytes, how: str) -> bytes:
        """Return the answer as a bad line brings it: ``garbled``, ``truncated`` or ``crc``."""
        ...


class Port:
    """One line to a controller: messages are acted on in their order, answers leave in theirs, late ones too.

    Parameters
    ----------
    gap_s : float
        Messages that follow closer than this on the one before are dropped (0: none are).
    """

    def __init__(self, lab: Lab, grammar: Grammar, *, gap_s: float = 0.0) -> None:
        self._lab = lab
        self._grammar = grammar
        self._gap_s = gap_s
        self._received = b""
        self._heard_s = float("-inf")
        self._free_s = float("-inf")
        self.outgoing: deque[tuple[float, bytes]] = deque()
        """(when, what) of the answers under way."""

    def refuse(self, now_s: float) -> None:
        """Return if a program of this computer can have the line.

        Raises
        ------
        InstrumentSilent
            Another program holds it.
        """
        self._lab.advance(now_s)
        if self._lab.line_held:
            raise InstrumentSilent(
                "the line cannot be opened: access is denied",
                instrument="oven",
                next_step="Look whether another program holds it",
            )

    def feed(self, data: bytes, now_s: float) -> None:
        """Take in bytes that arrived."""
        self._lab.advance(now_s)
        messages, self._received = self._grammar.split(self._received + data)
        for message in messages:
            self._act(message, now_s)
        if messages:
            self._lab.save_what_was_done()

    def _act(self, message: bytes, now_s: float) -> None:
        too_soon = now_s - self._heard_s < self._gap_s * 0.9  # clocks and schedulers are no better than that
        self._heard_s = now_s
        if too_soon:
            self._lab.say(f"dropped, too soon after the one before: {message!r}")
            return
        hit = self._lab.hit()
        if hit.deaf:
            return
        answer = self._grammar.answer(message, now_s)
        if answer and not hit.lost:
            self._post(answer, hit, now_s)

    def _post(self, answer: bytes, hit: Hit, now_s: float) -> None:
        due_s = max(now_s, self._free_s) + self._grammar.latency_s + hit.late_s
        self._free_s = due_s
        sent = self._grammar.spoil(answer, hit.spoilt) if hit.spoilt else answer
        self.outgoing.append((due_s, sent))
        if hit.twice:
            self.outgoing.append((due_s, sent))

    def idle(self) -> None:
        """Nothing came for a while: a message that never became whole is dropped."""
        self._received = b""

    def take(self, until_s: float) -> bytes:
        """Return what has left by `until_s`, and forget it."""
        taken = b""
        while self.outgoing and self.outgoing[0][0] <= until_s:
            taken += self.outgoing.popleft()[1]
        return taken

    def next_s(self) -> float | None:
        """When the next answer leaves; None if none is under way."""
        return self.outgoing[0][0] if self.outgoing else None

"""Ctrl-C while a campaign runs: once pauses, twice goes to the safe state, a third time leaves at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from labctl.run.events import Operated

_REASON = "Ctrl-C at the keyboard"
_PAUSING = (
    "pausing: what is being acquired goes on to its end, nothing new is begun; then the station stays warm for a while "
    "and cools to 25 degC by itself.\nCtrl-C again: halt the acquisition, keep its data, and go to the safe state now."
)
_SAFING = (
    "aborting: the acquisition is halted, its data are kept, the set point goes to 25 degC; waiting until that is read "
    "back.\nCtrl-C again: leave without waiting (instruments are then left to their own guard)."
)


def told_again(
    operator: Callable[[], Sequence[Operated]], say: Callable[[str], None]
) -> Callable[[], Sequence[Operated]]:
    """Return `operator` that also has what its keys do said once the engine has heard them.

    What a key writes at once is gone from a terminal as soon as a live view is drawn anew over it.
    """

    def heard() -> Sequence[Operated]:
        words = operator()
        for word in words:
            say(_PAUSING if word.verb == "pause" else _SAFING)
        return words

    return heard


@contextmanager
def keyboard() -> Iterator[Callable[[], Sequence[Operated]]]:
    """Yield what tells the engine of the keys pressed since it last asked; Ctrl-C raises nothing until the third.

    An exception could strike between an instrument's answer and its line in the journal, so the key only leaves word.
    """
    pressed = 0
    words: list[Operated] = []

    def heard(_signal: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed += 1
        if pressed > 2:
            raise KeyboardInterrupt
        words.append(Operated(verb="pause" if pressed == 1 else "abort", reason=_REASON))
        text = f"\n{_PAUSING if pressed == 1 else _SAFING}\n"
        os.write(2, text.encode("ascii"))  # the streams of sys may be in the middle of a write of their own

    def taken() -> Sequence[Operated]:
        taken_now = tuple(words)
        del words[: len(taken_now)]
        return taken_now

    try:
        before = signal.signal(signal.SIGINT, heard)
    except ValueError:  # not the main thread: somebody else has the keyboard
        yield taken
        return
    try:
        yield taken
    finally:
        signal.signal(signal.SIGINT, before)

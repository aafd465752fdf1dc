"""A short wait on the wire, through the one door by which anything waits."""

from __future__ import annotations

from labctl.clock import Clock

_LOOKS = 100


def pause(clock: Clock, seconds: float) -> None:
    """Wait; a call that ended the wait early is passed on afterwards to whom it may have been meant for."""
    deadline_s = clock.monotonic_s() + seconds
    waits = 0
    while clock.monotonic_s() < deadline_s and waits < _LOOKS:  # a virtual clock may be stopped by what happens there
        clock.wait_until(deadline_s)
        waits += 1
    if waits > 1:
        clock.wake()

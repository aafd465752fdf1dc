"""The safe state of the spectrometer: asked of the guard, and read back from its heartbeat."""

from __future__ import annotations

import math

from labctl.clock import Clock
from labctl_topspin._agents import SAFE_SETPOINT_K, Agents
from labctl_topspin._codec import number, safe_text
from labctl_topspin._job import JobFolder
from labctl_topspin._link import Link

_HALT_S = 600.0  # `halt` waits for the end of a scan


class SafeState:
    """Asks the guard for the safe state and reads it back; with no guard there, asks for one to be started."""

    def __init__(self, *, link: Link, job: JobFolder, agents: Agents, clock: Clock) -> None:
        self._link = link
        self._job = job
        self._agents = agents
        self._clock = clock
        self._asked_s = math.inf

    def make(self, reason: str, *, epoch: int) -> None:
        """Ask for it; asking again changes nothing."""
        self._asked_s = min(self._asked_s, self._clock.monotonic_s())
        self._link.refresh()
        if self._job.last_control() != "safe":
            self._job.write_control("safe", epoch=epoch, reason=plain(reason))
            self._link.refresh()
        if self._agents.silent_s() > self._agents.fresh_s or self._agents.beat() is None:
            # Nobody is there to act: the one thing left is to have the guard started.
            self._agents.start_guard()
            self._link.refresh()

    def is_reached(self) -> bool:
        """Whether the guard says so: nothing is acquired, and the heat is off."""
        self._link.refresh()
        beat = self._agents.beat()
        if beat is None or self._agents.silent_s() > self._agents.fresh_s or beat.state != "safe":
            return False
        if beat.acquiring and self._may_still_acquire():
            return False
        if beat.te_K is None or beat.te_K > SAFE_SETPOINT_K + 5.0:
            return False
        return beat.heater_off or beat.safe_setpoint_K == SAFE_SETPOINT_K

    def _may_still_acquire(self) -> bool:
        """Whether the acquisition that the guard believes in may be alive: its executor may have been lost.

        Not when the dataset says that it ended, or when `halt` has had the time of several scans.
        """
        step = self._job.open_step()
        if step is None or self._agents.is_lost(step):
            return False
        scan_s = number(step.pairs, "recycle_delay_s") or 0.0
        waited_s = self._clock.monotonic_s() - self._asked_s
        return waited_s < max(_HALT_S, 5.0 * scan_s) and not self._agents.dataset_of(step).ended

    def leave(self, epoch: int) -> None:
        """Let the agents go on: the engine leaves its safe state only when a person lets it."""
        if self._job.last_control() == "safe":
            self._asked_s = math.inf
            self._job.write_control("run", epoch=epoch, reason="begin")


def plain(reason: str) -> str:
    """Return a reason as it may stand in a control file."""
    safe = "".join(char if char.isascii() and (char.isalnum() or char in "_.+-:/ ") else "_" for char in reason)
    return safe_text(safe[:200].strip() or "none", "reason")

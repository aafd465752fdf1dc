"""The person at the console who answers what an AU program asks: the probe is tuned."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from labctl.errors import InputError
from labctl_sim_topspin._programs import Running

if TYPE_CHECKING:
    from labctl_sim_topspin._console import Console


class Operator:
    """Somebody who, if present, types ``xau <program> <arguments> tuned`` some minutes after being asked.

    A program asks by waiting, within a step, for a file ``operator/<step>.answer`` of the job folder.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._folder = str(console.settings.job_dir / "operator")
        self.answers_at_s: float | None = None

    def watch(self, running: Running) -> None:
        """Look over a program's shoulder after its turn."""
        if self._console.settings.operator != "present" or not running.busy:
            return
        if not self._asks(running):
            self.answers_at_s = None
        elif self.answers_at_s is None:
            self.answers_at_s = self._console.now_s() + self._console.settings.operator_answers_after_s

    def events(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """Yield when the operator acts, and how."""
        if self.answers_at_s is not None:
            yield self.answers_at_s, self._answer

    def _asks(self, running: Running) -> bool:
        return any(os.path.dirname(path) == self._folder for path in running.awaited)  # noqa: PTH120 - every turn

    def _answer(self) -> None:
        self.answers_at_s = None
        asking = next((item for item in self._console.programs.running.values() if self._asks(item)), None)
        if asking is not None:
            self._console.say("operator: probe tuned")
            try:
                self._console.type(" ".join(["xau", asking.machine.name, *asking.machine.args, "tuned"]))
            except InputError as refusal:
                self._console.say(f"operator: {refusal}")

"""Words shared by the AU compiler, the AU machine and the console around them.

An AU program is C with TopSpin macros. Everything that is pure C (arithmetic, text, files, time) is done by the
machine; everything else (``ZG``, ``TESET``, ``FETCHPAR`` ...) is a *call of the host*, the simulated console.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from labctl_sim_topspin._au_machine import Machine

Value = int | float | str
"""What passes between a program and the console: C ``int``, C ``float``/``double``, C text (each byte one character,
ISO 8859-1)."""

ParameterKind = Literal["int", "double", "float", "text"]
"""The C type a TopSpin parameter wants in FETCHPAR and STOREPAR; ``text`` is a ``char`` array."""

MachineState = Literal["ready", "sleeping", "blocked", "ended"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the console answers to a macro.

    Parameters
    ----------
    value : int, float or str
        A command macro's return code, stored in ``AUERR`` (0 or more: fine; below 0: failed). For a macro that is
        an expression (``ACQUPATH("file")``) its value.
    outs : tuple
        Values for the macro's by-reference arguments, in their order. They are written only if ``value`` is not
        negative, or if the macro is an expression; a failed command leaves the variables as they were.
    wait_until_s : float or None
        The macro returns at this moment of simulated time (seconds as ``Host.now_s``); until then the program sleeps.
    wait_for : str or None
        The macro returns when the console calls ``Machine.resume``; the word says what is awaited ("zg of expno 12")
        and stands in ``Machine.waiting_for``. ``value`` and ``outs`` are then those given to ``resume``.
    """

    value: Value = 0
    outs: tuple[Value, ...] = ()
    wait_until_s: float | None = None
    wait_for: str | None = None


class Host(Protocol):
    """What a machine wants of the console it runs on."""

    def call(self, machine: Machine, name: str, args: tuple[Value, ...]) -> Answer:
        """Carry out one TopSpin macro.

        ``name`` is the macro's name, spelled as in the program; ``args`` are its input arguments in order: by-reference
        arguments are left out, and their values go into ``Answer.outs``. Before a command macro the console does
        what SETCURDATA does (``machine.globals`` holds the program's dataset) where ``MACROS[name].selects_dataset``.
        ``FETCHPAR*`` gets the kind of the receiving variable as one more, last argument: ``("TE", "double")``,
        ``FETCHPARN`` ``(1, "TD", "int")``. ``STOREPAR*`` gets the value in its own Python type: ``("TE", 300.0)``,
        ``("D 8", 0.01)``, ``("PULPROG", "zg")``, ``STOREPARN`` ``(1, "TD", 320)``.
        """
        ...

    def parameter_kind(self, name: str) -> ParameterKind | None:
        """Tell the C type of a TopSpin parameter (``"D 8"``: double); None if there is no such parameter."""
        ...

    def wall_s(self) -> float:
        """Time of day by the console's own clock [s since 1970 UTC], which may be set."""
        ...

    def now_s(self) -> float:
        """Tell the simulated time in seconds since 1970-01-01 UTC."""
        ...

    def path(self, name: str) -> Path:
        """Give the file behind a path that the program names; raises InputError if outside the console's tree."""
        ...

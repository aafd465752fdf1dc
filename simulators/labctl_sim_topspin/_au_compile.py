"""Turn AU source into a program for the machine, refusing with file and line whatever is outside the subset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from labctl_sim_topspin._au_types import ParameterKind


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled AU program: immutable, free of state."""

    file: str
    source_sha256: str


def compile_program(
    source: str, *, file: str, parameter_kind: Callable[[str], ParameterKind | None] | None = None
) -> Program:
    """A program ready to run on a ``Machine``.

    Parameters
    ----------
    source : str
        The AU source.
    file : str
        Its name, for messages.
    parameter_kind : callable or None
        The C type of a TopSpin parameter, None if there is none of that name; lets FETCHPAR and STOREPAR of a wrong
        type be refused before the program runs. Without it they are refused when met.

    Raises InputError with one Finding (file, line, what, expected) for each thing outside the subset; nothing is
    skipped silently.
    """
    raise NotImplementedError

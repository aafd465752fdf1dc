"""What an analysis remembers between two passes over the same data, so that finished data are worked out once.

Acquired data never change, and every function of the analysis is a function of its arguments alone. So a value may be
taken again for equal arguments, and a campaign that is looked at while it runs is nearly analysed when it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar, cast

Value = TypeVar("Value")


class Memory:
    """Values by their place, each with the arguments it follows from; of each place only the last is kept."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, object]] = {}

    def recall(self, place: str, arguments: object, make: Callable[[], Value]) -> Value:
        """Return what `make` returned for equal arguments, or what it returns now.

        Parameters
        ----------
        place : str
            What is worked out, and of what: one function, one set of data.
        arguments : object
            All that the value depends on, comparable by ``==``; `same` where identity is meant. Not to be changed
            afterwards, and the value neither.
        """
        known = self._known.get(place)
        if known is not None and known[0] == arguments:
            return cast("Value", known[1])
        value = make()
        self._known[place] = (arguments, value)
        return value


class _Same:
    """Equal to itself alone; keeps what it stands for alive, so that no other gets its identity."""

    __slots__ = ("_of",)

    def __init__(self, of: object) -> None:
        self._of = of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._of is other._of

    __hash__ = None  # type: ignore[assignment]  # equal arguments are looked for by place, never by hash


def same(objects: Iterable[object]) -> tuple[object, ...]:
    """Return arguments that are equal only where they are the very same objects."""
    return tuple(_Same(one) for one in objects)

"""What an analysis remembers is what it would work out."""

from __future__ import annotations

from labctl.analysis.memory import Memory, same


def test_equal_arguments_are_worked_out_once() -> None:
    """The same place and equal arguments give what is known; other arguments are worked out and replace it."""
    memory, made = Memory(), []

    def make(value: int) -> int:
        made.append(value)
        return 2 * value

    for value in (1, 1, 2, 2, 1):
        assert memory.recall("doubled", value, lambda value=value: make(value)) == 2 * value  # type: ignore[misc]  # bound now
    assert made == [1, 2, 1]
    assert memory.recall("another place", 1, lambda: 7) == 7


def test_same_means_identity() -> None:
    """Equal objects that are not the same are other arguments."""
    first, second = [1.0], [1.0]
    assert same([first]) == same([first])
    assert same([first]) != same([second])

"""Delay and pulse lists in every notation seen in real labs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl.formats.bruker_lists import read_delays, read_pulses

UNITS = {"": 1.0, "s": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "ms": 1e-3}


@given(
    entries=st.lists(
        st.tuples(st.floats(0, 1e5), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " ", "\t", "\n", " \n\n"])),
        min_size=1,
        max_size=30,
    ),
    newline=st.booleans(),
)
def test_mixed_notations_with_blanks_are_read(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[float, str, str]], newline: bool
) -> None:
    """Any mixture of suffixes, trailing blanks and blank lines, with or without a last newline, gives the seconds."""
    path = tmp_path_factory.mktemp("vd") / "vdlist"
    path.write_text("\n".join(f"{v!r}{u}{blank}" for v, u, blank in entries) + "\n" * newline, encoding="utf-8")

    assert read_delays(path) == pytest.approx([value * UNITS[unit] for value, unit, _ in entries])


def test_a_bare_pulse_is_in_microseconds(tmp_path: Path) -> None:
    """Pulse lists count in microseconds where delay lists count in seconds; suffixes mean the same."""
    path = tmp_path / "vplist"
    path.write_text("4.9\n100u\n5m", encoding="utf-8")

    assert read_pulses(path) == pytest.approx([4.9e-6, 100e-6, 5e-3])


@pytest.mark.parametrize(("text", "line"), [("1\n2 x\n", 2), ("1\n\n-3\n", 3), ("1;2\n,\n", 2)])
def test_a_line_that_is_no_delay_is_named(tmp_path: Path, text: str, line: int) -> None:
    """Nonsense and negative delays are refused with file and line."""
    path = tmp_path / "vdlist"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match="not a delay") as refused:
        read_delays(path)

    assert f"{path}:{line}:" in str(refused.value)


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    """A list of blank lines holds no delay."""
    path = tmp_path / "vdlist"
    path.write_text("\n \n", encoding="utf-8")

    with pytest.raises(InputError, match="holds no delay"):
        read_delays(path)

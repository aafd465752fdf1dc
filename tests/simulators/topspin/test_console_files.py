"""What a simulated console did to its datasets since it last saved its state, taken back when it is opened again."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from labctl_sim_topspin._files import ConsoleFiles


class _PowerIsGone(Exception):
    """Stands for the end of the process: nobody catches it."""


@pytest.mark.parametrize("made", range(4))
def test_folders_half_made_are_taken_back(made: int, tmp_path: Path) -> None:
    """Whichever of an EXPNO's folders were made when the power went, none of them is there afterwards."""
    calls: list[str] = []
    mkdir = os.mkdir

    def interrupted(path: str, mode: int = 0o777) -> None:
        if len(calls) == made and Path(path).parent.exists():  # else refused, and the parents are made first
            raise _PowerIsGone
        mkdir(path, mode)
        calls.append(path)

    files = ConsoleFiles(tmp_path / "keep", 0)
    (tmp_path / "data").mkdir()
    title = tmp_path / "data" / "1011" / "pdata" / "1" / "title"
    with mock.patch("os.mkdir", interrupted):
        if made < 3:
            with pytest.raises(_PowerIsGone):
                files.write_text(title, "T1\n")
        else:
            files.write_text(title, "T1\n")
    assert len(calls) == made
    ConsoleFiles(tmp_path / "keep", 0)
    assert list((tmp_path / "data").iterdir()) == []

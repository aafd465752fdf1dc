"""Files that tests of whole campaigns start from, and what a campaign of three stations leaves when nobody kills it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.whole.campaigns import SMALL

if TYPE_CHECKING:
    from tests.whole.three_stations import Unkilled


@pytest.fixture
def small_protocol(tmp_path: Path) -> Path:
    """A protocol of one temperature, two mixing times and 16 rows, with T1, pulse check and reference 1Ds."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Unkilled:
    """What the short campaign of three stations leaves when nobody kills it."""
    if sys.platform == "win32":
        pytest.skip("runs in forked children")
    from tests.whole.three_stations import unkilled

    return unkilled(tmp_path_factory.mktemp("undisturbed") / "campaign")

"""Files that tests of whole campaigns start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.whole.campaigns import SMALL


@pytest.fixture
def small_protocol(tmp_path: Path) -> Path:
    """A protocol of one temperature, two mixing times and 16 rows, with T1, pulse check and reference 1Ds."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path

"""What tests of the analysis share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysis.small_lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Return a lab that writes into an empty run folder."""
    return Lab(run_dir=tmp_path / "run")

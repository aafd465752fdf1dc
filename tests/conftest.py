"""What every test may lean on."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

# Our matrices are small: BLAS threads cost up to ten times what they save, and more on a shared machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


# The same examples every time and no stop-watch, so that a red test is a change of the code.
# Others: --hypothesis-profile=wide.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.register_profile("wide", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let CI forbid skipping the tests on real instrument files."""
    parser.addoption(
        "--require-real-data",
        action="store_true",
        help="fail instead of skipping where the folder of real instrument files is missing",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave wide sweeps out unless `-m` says what to run."""
    if config.getoption("-m"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session")
def shared_data(request: pytest.FixtureRequest) -> Path:
    """Folder of real instrument files: ``$LABCTL_SHARED/data``, by default ``../shared/data`` beside the project."""
    folder = Path(os.environ.get("LABCTL_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        reason = f"real instrument files are missing: {folder} (set LABCTL_SHARED)"
        if request.config.getoption("--require-real-data"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def protocols() -> Path:
    """Folder of the protocols that ship with labctl."""
    return ROOT / "protocols"

"""Files that tests of whole campaigns start from, and where those run that fork."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from tests.whole.campaigns import SMALL


@pytest.fixture
def small_protocol(tmp_path: Path) -> Path:
    """A protocol of one temperature, two mixing times and 16 rows, with T1, pulse check and reference 1Ds."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture
def undisturbed() -> None:
    """Stands for what the short campaign of three stations leaves when nobody kills it; made where the test runs."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run tests that fork in children of a process that has run nothing else."""
    if pyfuncitem.get_closest_marker("pristine") is None:
        return None
    from tests.whole.pristine import run

    names = inspect.signature(pyfuncitem.function).parameters
    said = run(
        pyfuncitem.function.__module__,
        pyfuncitem.function.__name__,
        {name: pyfuncitem.funcargs[name] for name in names},
    )
    if said:
        pytest.fail(said, pytrace=False)
    return True

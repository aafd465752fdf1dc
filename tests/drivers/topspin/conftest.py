"""Fixtures of the TopSpin driver's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl_sim_topspin import _au_compile, _programs
from tests.drivers.topspin.bench import Bench

MakeBench = Callable[..., Bench]


@pytest.fixture(autouse=True)
def _compile_each_source_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling an AU program takes half a second and depends on nothing but its text."""
    real = _au_compile.compile_program

    def cached(source: str, *, file: str, **known: Any) -> Any:
        if source not in _COMPILED:
            _COMPILED[source] = real(source, file=file, **known)
        return replace(_COMPILED[source], file=file)

    monkeypatch.setattr(_programs, "compile_program", cached)


_COMPILED: dict[str, Any] = {}


@pytest.fixture
def make_bench(tmp_path: Path, protocols: Path) -> MakeBench:
    """A simulated console with its driver, opened; faults and simulator settings as asked."""

    def make(**options: Any) -> Bench:
        return Bench(tmp_path, protocols / "samples" / "two_site_demo.yaml", **options)

    return make

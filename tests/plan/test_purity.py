"""The core reads no clock, no file and no random number: its own source is walked, not just its import contract."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "labctl"
CORE = [
    *sorted((ROOT / "plan").glob("*.py")),
    *(ROOT / "run" / name for name in ("decide.py", "events.py", "lifecycle.py")),
    ROOT / "protocol" / "model.py",
    ROOT / "protocol" / "lab.py",
    ROOT / "protocol" / "vt_exsy.py",
    ROOT / "protocol" / "schema.py",
    ROOT / "ports.py",
    ROOT / "dataset" / "model.py",
]
FORBIDDEN_MODULES = {
    *("time", "random", "secrets", "uuid", "os", "io", "socket", "subprocess", "asyncio", "threading", "tempfile"),
    *("multiprocessing", "sqlite3", "shutil", "glob", "urllib", "http", "logging", "numpy", "scipy"),
    *("labctl.clock", "labctl.located_yaml", "labctl.protocol.load", "labctl.dataset.store"),
}
FORBIDDEN_CALLS = {
    *("open", "input", "print", "exec", "eval", "read_text", "read_bytes", "write_text", "write_bytes", "urandom"),
    *("now", "today", "utcnow", "exists", "is_file", "is_dir", "iterdir"),
}


def imported(tree: ast.AST) -> set[str]:
    """Return every module a source imports, wherever the statement stands."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def called(tree: ast.AST) -> set[str]:
    """Return the last name of every call."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {call.id if isinstance(call, ast.Name) else getattr(call, "attr", "") for call in calls}


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_touches_nothing_outside(path: Path) -> None:
    """Neither imports nor calls reach for time, files, sockets, threads or chance."""
    if not path.exists():
        pytest.skip(f"{path.name} is not written yet")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    roots = {name for name in imported(tree) if name in FORBIDDEN_MODULES or name.split(".")[0] in FORBIDDEN_MODULES}
    assert not roots
    assert not called(tree) & FORBIDDEN_CALLS


@pytest.mark.parametrize(
    "planted", ["import time", "from os import path", "def f():\n    import random", "x = open('a')"]
)
def test_a_planted_breach_is_seen(planted: str) -> None:
    """The walk finds what it is meant to find, also inside functions."""
    tree = ast.parse(planted)
    assert {name.split(".")[0] for name in imported(tree)} & FORBIDDEN_MODULES or called(tree) & FORBIDDEN_CALLS

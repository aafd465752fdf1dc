"""The first page: every verb with a line that can be read, fast enough not to be noticed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from labctl.cli.app import app, run_app

HEAVY = ("numpy", "scipy", "pydantic", "rich", "ruamel", "pint", "matplotlib", "transitions", "sqlite3")


def test_every_verb_has_a_line_that_stands_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of what a verb does is cut off, on a terminal of 80 columns."""
    assert run_app(["--help"]) == 0
    page = capsys.readouterr().out
    verbs = [
        command.name or (command.callback.__name__ if command.callback else "") for command in app.registered_commands
    ]
    listed = page.split("Commands:")[1].splitlines()
    assert [line.split()[0] for line in listed if line.strip()] == verbs
    assert "..." not in page.split("Commands:")[1]
    assert max(map(len, page.splitlines())) <= 80


def test_the_first_page_loads_nothing_heavy() -> None:
    """Help needs no numbers, no files and no databases: none of the libraries for them is imported."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from labctl.cli.app import run_app; run_app(['--help']);"
            f" print(*(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)",
        ],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert told.stderr.strip() == ""

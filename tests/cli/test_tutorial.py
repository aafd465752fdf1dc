"""The tutorial does what it says: its commands are run in order, what it shows of their output is there.

`python tests/cli/test_tutorial.py` runs all of it and renews its pictures.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from labctl.cli.app import run_app

TUTORIAL = Path(__file__).parents[2] / "protocols" / "tutorial"
TEXT = (TUTORIAL / "README.md").read_text(encoding="utf-8")
_FENCE = re.compile(
    r"(?:<!-- (?P<file>\S+): (?P<old>.+?) -> (?P<new>.+?) -->\n)?```(?P<kind>\w*)\n(?P<body>.*?)```", re.DOTALL
)
_PICTURE = re.compile(r"!\[[^]]+\]\(([\w.]+\.svg)\)")
_DEAR = ("run", "verify", "analyze", "report", "status")


@dataclass
class Block:
    """Commands, what is changed in a file before them, and lines they print."""

    commands: list[list[str]]
    change: tuple[str, str, str] | None
    shown: list[str]


def blocks(*, dear: bool) -> list[Block]:
    """Return the blocks of commands up to the first that takes seconds, or all of them."""
    found: list[Block] = []
    for match in _FENCE.finditer(TEXT):
        body = match["body"]
        if match["kind"] == "sh":
            lines = [shlex.split(line, comments=True) for line in body.splitlines()]
            change = (match["file"], match["old"], match["new"]) if match["file"] else None
            found.append(Block(lines, change, []))
        elif match["kind"] == "text":
            found[-1].shown += body.splitlines()
    cheap = [block for block in found if not any(words[1] in _DEAR for words in block.commands)]
    return found if dear else cheap


def _masked(line: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "#", line)


def follow(folder: Path, chosen: list[Block]) -> None:
    """Run blocks in a folder; each command ends as the page says, each line shown is among those printed."""
    for name, text in re.findall(r"```yaml\n# (\S+)\n(.*?)```", TEXT, re.DOTALL):
        (folder / name).write_text(text, encoding="utf-8")
    for block in chosen:
        before = {}
        if block.change is not None:
            name, old, new = block.change
            before[name] = (folder / name).read_text(encoding="utf-8")
            assert before[name].count(old) == 1
            (folder / name).write_text(before[name].replace(old, new), encoding="utf-8")
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            codes = [run_app(words[1:]) for words in block.commands]
        assert codes[1:] == [0] * (len(codes) - 1), out.getvalue()
        assert codes[0] == (2 if block.change else 1 if "bad-night" in block.commands[0][-1] else 0), out.getvalue()
        printed = out.getvalue().splitlines()
        if any(words[1] in _DEAR for words in block.commands):  # what an analysis finds moves when it is bettered
            printed, shown = [_masked(line) for line in printed], [_masked(line) for line in block.shown]
        else:
            shown = block.shown
        assert [line for line in shown if line not in printed] == [], "\n".join(printed[-40:])
        for name, text in before.items():
            (folder / name).write_text(text, encoding="utf-8")


def test_the_first_steps_are_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A protocol is begun, checked, broken, mended and planned as the page says."""
    monkeypatch.chdir(tmp_path)
    chosen = blocks(dear=False)
    assert len(chosen) == 4
    follow(tmp_path, chosen)
    assert (tmp_path / "plan.html").stat().st_size > 1000


def test_its_pictures_are_there() -> None:
    """Each picture of the page stands beside it and is named as the report names its figures."""
    names = _PICTURE.findall(TEXT)
    assert names
    for name in names:
        assert (TUTORIAL / name).read_text(encoding="utf-8").count("<svg") == 1
        assert (TUTORIAL / name).stat().st_size < 150_000


@pytest.mark.slow
def test_all_of_it_is_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the crate: every command ends as the page says, prints what it shows, draws its pictures."""
    monkeypatch.chdir(tmp_path)
    follow(tmp_path, blocks(dear=True))
    for name in _PICTURE.findall(TEXT):
        assert (tmp_path / "runs" / "first" / "figures" / name).is_file()
    assert (tmp_path / "first.zip").is_file()
    assert list((tmp_path / "tables").glob("*.csv"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        follow(Path(scratch), blocks(dear=True))
        for picture in _PICTURE.findall(TEXT):
            shutil.copyfile(Path(scratch) / "runs" / "first" / "figures" / picture, TUTORIAL / picture)
            sys.stdout.write(f"renewed {TUTORIAL / picture}\n")

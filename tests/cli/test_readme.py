"""What the front page promises holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labctl.cli.app import app, run_app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_protocol_of_the_first_screen_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ten-line protocol passes the check and can be planned as it stands."""
    block = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert block is not None
    protocol = tmp_path / "readme.yaml"
    protocol.write_text(block.group(1), encoding="utf-8")
    assert run_app(["check", str(protocol)]) == 0
    assert run_app(["plan", str(protocol)]) == 0
    assert capsys.readouterr().out


def test_every_verb_of_the_page_exists() -> None:
    """The page lists no command that the command line does not have, and leaves none out."""
    shown = set(re.findall(r"^    labctl (\w+)", README, re.MULTILINE)) | set(re.findall(r"· (\w+) DIR", README))
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert shown == known


def test_links_of_the_page_lead_somewhere() -> None:
    """Files that the page points to are there."""
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_marked_commands_are_single_lines() -> None:
    """The two commands people copy stand behind their markers, one line each; CI runs the second as it stands."""
    for marker in ("run", "test"):
        block = re.search(rf"<!-- {marker} command -->\n```\n(.*?)```", README, re.DOTALL)
        assert block is not None
        assert len(block.group(1).splitlines()) == 1

"""What a campaign asks again and again about its own files: the same answer, until a file changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.cli.locating import lab_file, shipped_protocols
from labctl.cli.planning import checked
from labctl.errors import InputError


def test_files_that_have_not_changed_are_not_checked_again(tmp_path: Path) -> None:
    """The answer of before holds until the protocol or the lab file says something else."""
    protocol, lab = tmp_path / "protocol.yaml", tmp_path / "lab.yaml"
    protocol.write_text((shipped_protocols() / "vt_exsy_demo.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    lab.write_text(lab_file(None).read_text(encoding="utf-8"), encoding="utf-8")
    first = checked(protocol, lab)
    assert checked(protocol, lab) is first
    text = protocol.read_text(encoding="utf-8")
    protocol.write_text(text.replace("campaign: ", "campaign: another-", 1), encoding="utf-8")
    assert checked(protocol, lab).plan.campaign != first.plan.campaign
    protocol.write_text(text, encoding="utf-8")
    lab.write_text(f"# moved down\n{lab.read_text(encoding='utf-8')}", encoding="utf-8")
    again = checked(protocol, lab)
    assert again is not first
    assert again.plan == first.plan


def test_every_mistake_in_both_files_is_told_each_time(tmp_path: Path) -> None:
    """Mistakes are not remembered: both files' are told, however often one asks."""
    protocol, lab = tmp_path / "protocol.yaml", tmp_path / "lab.yaml"
    protocol.write_text("version: 1\n", encoding="utf-8")
    lab.write_text("version: 1\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(InputError) as told:
            checked(protocol, lab)
        assert {Path(finding.file).name for finding in told.value.findings} == {"protocol.yaml", "lab.yaml"}

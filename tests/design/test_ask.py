"""From a protocol with a `design` block to a proposal that is an ordinary protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labctl.cli.designing import design_command
from labctl.cli.planning import checked
from labctl.design.ask import question
from labctl.errors import InputError
from labctl.plan.estimate import estimate
from labctl.plan.expand import expand
from labctl.protocol.load import load_lab, load_protocol
from labctl.protocol.model import Protocol
from labctl.protocol.vt_exsy import VtExsy

DESIGN = """\
      analysis: {layers: [A, B]}
      design:
        goal: {Ea: 60 meV, of: [B]}
        budget: 120 h
        populations: {A: 1.0, B: 1.5}
        kD: {A: 0.05 /s, B: 0.01 /s}
        Ea: 150 meV
        widths: {A: 20 Hz, B: 30 Hz}
        noise: {amplitude: 0.4 %, rows: 48, scans: 8}
"""


@pytest.fixture
def sound() -> str:
    """A protocol of two sites without a design."""
    return (Path(__file__).parents[1] / "protocol" / "sound.yaml").read_text(encoding="utf-8")


@pytest.fixture
def asking(tmp_path: Path, sound: str) -> Path:
    """The same with a goal and a prior."""
    path = tmp_path / "asking.yaml"
    path.write_text(sound.replace("      increments: 48\n", f"{DESIGN}      increments: 48\n"), encoding="utf-8")
    return path


def block(protocol: Protocol) -> VtExsy:
    """The only procedure."""
    return protocol.procedures[0].vt_exsy


def test_the_question_is_the_authors(asking: Path, protocols: Path) -> None:
    """Goal, belief, candidates and the author's own 2Ds come from the protocol, overheads from its plan."""
    protocol = load_protocol(asking).model
    plan = expand(protocol, load_lab(protocols / "labs" / "simulated.yaml").model)
    asked = question(block(protocol), protocol.sample, 73.578, plan.steps)
    assert asked.goal.se == {"Ea_eV B": pytest.approx(0.06)}
    assert len(asked.author) == 4
    p = np.exp(asked.belief.mean[-1])
    assert p / (1 + p) == pytest.approx(1.0 / 2.5)
    lever = -(1 / asked.model.reference_K - 1 / 293.15) / 8.617333262e-5
    assert np.exp(asked.belief.mean[:2] - 0.15 * lever) == pytest.approx([0.05, 0.01])
    assert asked.costs.total_s(asked.author) == pytest.approx(estimate(plan).expected_s, rel=0.05)


def test_a_proposal_is_a_protocol_that_takes_the_hours_it_says(
    asking: Path, protocols: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is written beside the author's, checks clean, and its plan takes the promised time."""
    design_command(asking, protocols / "labs" / "simulated.yaml", None)
    told = capsys.readouterr().out
    promised_h = float(next(line for line in told.splitlines() if line.startswith("hours")).split()[-1])
    written = asking.with_name("asking.designed.yaml")
    protocol = load_protocol(written).model
    planned = estimate(expand(protocol, load_lab(protocols / "labs" / "simulated.yaml").model))
    assert planned.expected_s / 3600 == pytest.approx(promised_h, rel=0.05)
    assert promised_h <= 120
    assert block(protocol).design is None
    assert block(protocol).visits
    assert "model estimates" in written.read_text(encoding="utf-8")
    assert "se Ea_eV B, meV" in told


def test_nothing_is_overwritten(asking: Path, protocols: Path) -> None:
    """A file that is there already is named, and left alone."""
    there = asking.with_name("asking.designed.yaml")
    there.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="is there already"):
        design_command(asking, protocols / "labs" / "simulated.yaml", None)
    assert there.read_text(encoding="utf-8") == "mine"


def test_a_protocol_that_asks_nothing_is_told_how_to(tmp_path: Path, sound: str, protocols: Path) -> None:
    """Without a design block the message shows what one looks like."""
    path = tmp_path / "silent.yaml"
    path.write_text(sound, encoding="utf-8")
    with pytest.raises(InputError, match="no vt_exsy of this protocol has a design block"):
        design_command(path, protocols / "labs" / "simulated.yaml", None)


def test_ending_early_without_seeing_rows_is_warned_of(tmp_path: Path, sound: str, protocols: Path) -> None:
    """A wish that the lab cannot fulfil is said before the campaign, with the setting that would."""
    adapt = DESIGN.replace("      design:\n", "      order: as_written\n      adapt:\n        stop_early: true\n")
    adapt += "        temperatures: [25 degC, 50 degC]\n"
    path = tmp_path / "hasty.yaml"
    path.write_text(sound.replace("      increments: 48\n", f"{adapt}      increments: 48\n"), encoding="utf-8")
    findings = checked(path, protocols / "labs" / "simulated.yaml").findings
    (said,) = [one for one in findings if (one.key_path or "").endswith("stop_early")]
    assert said.severity == "warning"
    assert "live_rows: ser" in said.expected

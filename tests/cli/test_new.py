"""`labctl new`: what it writes is right as it stands, and nothing of anybody's is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from labctl import located_yaml
from labctl.cli.app import run_app
from labctl.cli.authoring import KINDS, SCHEMAS
from labctl.cli.planning import checked


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_written_checks_clean(kind: str, tmp_path: Path) -> None:
    """Neither error nor warning; the schema that its first line names accepts it; every line that matters is told."""
    assert run_app(["new", "mine", "--kind", kind, "--dir", str(tmp_path)]) == 0
    protocol, lab = tmp_path / "mine.yaml", tmp_path / "mine-lab.yaml"
    done = checked(protocol, lab)
    assert not [finding for finding in done.findings if finding.severity != "advice"]
    assert {step.station for step in done.plan.steps} == {KINDS[kind]}
    for path, what in ((protocol, "protocol"), (lab, "lab")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        named = path.parent / first.partition("$schema=")[2]
        assert named == tmp_path / SCHEMAS / f"{what}.json"
        jsonschema.validate(located_yaml.load(path).data, json.loads(named.read_text(encoding="utf-8")))


def test_flags_are_taken(tmp_path: Path) -> None:
    """Sample, lines and temperatures come from the command line, quoted where YAML needs it."""
    flags = ["--sample", "a: b # c", "--sites", "A=2,B=-2.5 ppm", "--temperatures", "30,320 K", "--nucleus", "7Li"]
    assert run_app(["new", "mine", "--kind", "exsy", "--dir", str(tmp_path), *flags]) == 0
    model = checked(tmp_path / "mine.yaml", tmp_path / "mine-lab.yaml").protocol.model
    assert model.sample.name == "a: b # c"
    assert model.sample.sites == {"A": 2.0, "B": -2.5}
    assert model.sample.nucleus == "7Li"
    assert model.procedures[0].vt_exsy.temperatures_K == pytest.approx((303.15, 320.0))


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second time with the same name is refused, and the file stays as somebody has changed it."""
    assert run_app(["new", "mine", "--kind", "eis", "--dir", str(tmp_path)]) == 0
    (tmp_path / "mine.yaml").write_text("changed", encoding="utf-8")
    assert run_app(["new", "mine", "--kind", "eis", "--dir", str(tmp_path)]) == 2
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == "changed"
    assert "left as it is" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["mine", "--kind", "xrd"],
        ["no name"],
        ["mine", "--kind", "exsy", "--sites", "A"],
        ["mine", "--kind", "exsy", "--temperatures", "20 C"],
        ["mine", "--kind", "exsy", "--nucleus", "lithium"],
    ],
)
def test_what_makes_no_sense_leaves_nothing(words: list[str], tmp_path: Path) -> None:
    """A kind, name, line, temperature or nucleus that is none: exit code 2, and no protocol or lab file."""
    assert run_app(["new", *words, "--dir", str(tmp_path)]) == 2
    assert not list(tmp_path.glob("*.yaml"))

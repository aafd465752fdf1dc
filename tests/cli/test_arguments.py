"""The command line takes what people type, and answers mistakes with a line and an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.cli.analysing import parse_sites
from labctl.cli.app import run_app, with_optional_sample
from labctl.errors import InputError


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("run P --simulate", "run P --simulate="),
        ("run --simulate P", "run --simulate= P"),
        ("run P --simulate S", "run P --simulate=S"),
        ("run --simulate S P", "run --simulate=S P"),
        ("run P --simulate --dir D", "run P --simulate= --dir D"),
        ("run --simulate P --dir D", "run --simulate= P --dir D"),
        ("run --simulate S --dir D P", "run --simulate=S --dir D P"),
        ("run P --dir D --simulate S --seed 3", "run P --dir D --simulate=S --seed 3"),
        ("run P", "run P"),
        ("check P", "check P"),
        ("simulate topspin --dir D", "simulate topspin --dir D"),
    ],
)
def test_the_sample_of_simulate_is_optional(typed: str, meant: str) -> None:
    """The word behind ``--simulate`` is the sample when the protocol stands elsewhere, else the protocol."""
    assert with_optional_sample(typed.split()) == meant.split()


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "nowhere.yaml"],
        ["plan", "nowhere.yaml"],
        ["run", "nowhere.yaml", "--simulate"],
        ["resume", "nowhere"],
        ["status", "nowhere"],
        ["verify", "nowhere"],
        ["report", "nowhere"],
        ["analyze", "nowhere"],
        ["schema", "rubbish"],
        ["simulate", "toaster", "--dir", "d"],
        ["frobnicate"],
        ["check"],
        ["run", "p.yaml", "--seed", "many"],
    ],
)
def test_a_mistake_is_answered_with_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong files, verbs and options get a message on standard error, exit code 2 and no traceback."""
    monkeypatch.chdir(tmp_path)
    assert run_app(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.strip()
    assert "Traceback" not in captured.err
    assert not captured.out.strip()


def test_a_wrong_protocol_is_blamed_by_line(
    capsys: pytest.CaptureFixture[str], protocols: Path, tmp_path: Path
) -> None:
    """`labctl check` prints file:line:column, the key path, the value and what would be right."""
    text = (protocols / "vt_exsy_demo.yaml").read_text(encoding="utf-8")
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "mixing_times" in row)
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace("[20 ms, 200 ms, 2 s]", "[20 ms, 200, 2 s]"), encoding="utf-8")
    assert run_app(["check", str(broken)]) == 2
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith(f"{broken}:{line}:")
    assert "mixing_times[1]" in first
    assert "200" in first


@pytest.mark.parametrize("name", ["vt_exsy_demo.yaml", "paper/exsy_coated.yaml"])
def test_ready_protocols_are_right(name: str, protocols: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What comes with labctl passes its own check and can be planned."""
    assert run_app(["check", str(protocols / name)]) == 0
    assert run_app(["plan", str(protocols / name), "--json"]) == 0
    out = capsys.readouterr().out
    document = json.loads(out[out.index("{") :])
    assert document["steps"]
    assert document["expected_s"] > 0


@pytest.mark.parametrize("what", ["protocol", "lab", "sample", "results"])
def test_schemas_are_schemas(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`labctl schema` prints a valid JSON Schema and nothing else."""
    assert run_app(["schema", what]) == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))


def test_a_simulated_lab_is_no_lab(protocols: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A real run on stations that exist only in simulators is refused for safety, and nothing is written."""
    folder = tmp_path / "run"
    assert run_app(["run", str(protocols / "vt_exsy_demo.yaml"), "--dir", str(folder)]) == 3
    assert "--simulate" in capsys.readouterr().err
    assert not folder.exists()


@given(
    st.dictionaries(st.from_regex(r"[A-Za-z0-9]{1,8}", fullmatch=True), st.floats(-500, 500), min_size=1, max_size=5)
)
def test_sites_read_back(sites: dict[str, float]) -> None:
    """``--sites`` gives the names and shifts that were typed."""
    assert parse_sites(", ".join(f"{name}={value!r}" for name, value in sites.items())) == sites


@pytest.mark.parametrize("text", ["", "A", "A=", "=1", "A=x", "A=1,A=2", "A=1;B=2"])
def test_sites_that_cannot_be_read_are_refused(text: str) -> None:
    """A site without a shift, or named twice, is an input error."""
    with pytest.raises(InputError, match="--sites"):
        parse_sites(text)


@pytest.mark.parametrize("verb", ["resume", "status", "verify", "report"])
def test_a_file_is_no_run_folder(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where a run folder is asked for gets one line and exit code 2."""
    (tmp_path / "file").touch()
    assert run_app([verb, str(tmp_path / "file")]) == 2
    assert "is not a run folder" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["file", "file/below", "\0"])
def test_a_run_folder_that_cannot_be_made(
    place: str, protocols: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run --dir` on a file, below one, or on what can be no name is refused with exit code 2."""
    (tmp_path / "file").touch()
    demo = str(protocols / "vt_exsy_demo.yaml")
    assert run_app(["run", demo, "--simulate", "--dir", str(tmp_path / place)]) == 2
    assert "bug" not in capsys.readouterr().err


def test_a_start_beyond_the_calendar_is_refused(protocols: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A start so late that the campaign's end has no date is a mistake of the arguments."""
    demo = str(protocols / "vt_exsy_demo.yaml")
    assert run_app(["plan", demo, "--start", "9999-12-31T23:00:00Z"]) == 2
    assert "2999" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["sample", "faults"])
def test_a_mistake_in_what_is_simulated_can_be_mended_and_run_again(
    what: str, protocols: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken sample or fault script is blamed by its own name, and no half-made run folder stands in the way."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: 1\nfaults: [{fault: meteor, at: 1 h}]\n", encoding="utf-8")
    arguments = ["run", str(protocols / "vt_exsy_demo.yaml"), "--dir", str(tmp_path / "run")]
    arguments += [f"--simulate={broken}"] if what == "sample" else ["--simulate", "--faults", str(broken)]
    assert run_app(arguments) == 2
    assert any(line.startswith(f"{broken}:2:") for line in capsys.readouterr().err.splitlines())
    assert not (tmp_path / "run").exists()

"""What the READMEs tell people to type and to write: commands have these verbs and options, YAML is right."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from labctl import located_yaml
from labctl.cli.app import app
from labctl.errors import InputError
from labctl.plan.check import examine
from labctl.protocol.lab import Lab, Station
from labctl.protocol.load import load_lab, load_protocol, read
from labctl.protocol.model import Protocol, VtExsy
from labctl_sim_faults import check_script
from labctl_sim_sample import load_sample

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("README.md")), *sorted(ROOT.glob("*/README.md")), *sorted(ROOT.glob("*/*/README.md"))]
VERBS: dict[str, click.Command] = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group
_PLACEHOLDER = re.compile(r"^(…|\.\.\.|[<\[].*)$")


def ours(pages: list[Path]) -> list[Path]:
    """Leave out what stands in folders that are not of the repository (environments, caches)."""
    return [page for page in pages if not any(part.startswith((".venv", "runs", "build")) for part in page.parts)]


def commands(text: str) -> list[str]:
    """Return every command line of ours: in code blocks, indented or fenced, and in backticks."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    fenced = "\n".join(body for kind, body in blocks if kind in {"", "sh", "bash"})
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.strip() for line in fenced.splitlines()]
    lines += [line.strip() for line in text.splitlines() if line.startswith("    ")]
    inline = re.findall(r"`([^`\n]*)`", text)
    found = [*lines, *inline]
    return [one[one.index("labctl ") :] for one in found if re.search(r"(^|bin/|&& |;\s)labctl [a-z]", one)]


def faults(command: str) -> list[str]:
    """Return what the command line does not have: its verb, or options of it."""
    words = [word for part in command.split(" · ")[:1] for word in _words(part)]
    verb = words[1] if len(words) > 1 else ""
    if "|" in verb or not re.fullmatch(r"[a-z]+", verb):
        return []
    if verb not in VERBS:
        return [f"{command}: no verb {verb}"]
    known = {name for option in VERBS[verb].params for name in (*option.opts, *option.secondary_opts)} | {
        "--help",
        "-h",
    }
    options = [word.partition("=")[0] for word in words[2:] if word.startswith("--")]
    return [f"{command}: {verb} has no {option}" for option in options if option not in known]


def _words(command: str) -> list[str]:
    text = re.split(r"\s{3,}|\s#", command)[0]
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    stripped = (word.strip("[](),;.") for word in words)
    return [word for word in stripped if word and not _PLACEHOLDER.match(word)]


@pytest.mark.parametrize("page", ours(PAGES), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_exist(page: Path) -> None:
    """No page shows a verb or an option that the command line does not have."""
    assert [fault for command in commands(page.read_text(encoding="utf-8")) for fault in faults(command)] == []


def test_commands_are_found() -> None:
    """Lines in blocks, in backticks and behind a path are seen, and one that is wrong is told."""
    text = "    .venv/bin/labctl run P --simulate\n\nuse `labctl plan P --htm F`\n\n```sh\nlabctl chek P  # why\n```\n"
    assert sorted(commands(text)) == ["labctl chek P  # why", "labctl plan P --htm F", "labctl run P --simulate"]
    assert [fault for one in sorted(commands(text)) for fault in faults(one)] == [
        "labctl chek P  # why: no verb chek",
        "labctl plan P --htm F: plan has no --htm",
    ]
    assert sum(len(commands(page.read_text(encoding="utf-8"))) for page in ours(PAGES)) > 60


BLOCKS = [
    pytest.param(textwrap.dedent(piece), id=f"{page.relative_to(ROOT).as_posix()}:{number}")
    for page in ours(PAGES)
    for number, block in enumerate(
        re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE), start=1
    )
    for piece in re.split(r"^\.\.\.\n", block, flags=re.MULTILINE)
]


@pytest.mark.parametrize("block", BLOCKS)
def test_yaml_is_right(block: str, protocols: Path, tmp_path: Path) -> None:
    """A protocol, lab, sample or fault script that a page shows is taken as it stands; a part of one in its place."""
    file = tmp_path / "shown.yaml"
    file.write_text(block, encoding="utf-8")
    data = located_yaml.load(file).data
    lab = load_lab(protocols / "labs" / "simulated.yaml")
    if isinstance(data, list):
        data = data[0]
    if "version" not in data:
        told = _part(data, protocols, lab.model)
    elif "campaign" in data:
        loaded = load_protocol(file)
        told = [str(one) for one in examine(loaded.model, lab.model, places=loaded.located).findings]
    elif "faults" in data:
        check_script(file, _simulators(lab.model))
        told = []
    elif "lab" in data:
        load_lab(file)
        told = []
    else:
        load_sample(file)
        told = []
    assert [one for one in told if ": advice: " not in one] == []


@pytest.mark.parametrize("name", ["*.yaml", "paper/*.yaml"])
def test_shipped_protocols_warn_of_nothing_unsaid(name: str, protocols: Path) -> None:
    """A protocol that ships checks without a warning, or says in the line before it that it knows, and why."""
    lab = load_lab(protocols / "labs" / "simulated.yaml").model
    for path in sorted(protocols.glob(name)):
        loaded = load_protocol(path)
        lines = path.read_text(encoding="utf-8").splitlines()
        for finding in examine(loaded.model, lab, places=loaded.located).findings:
            if finding.severity == "warning":
                assert "`labctl check` warns" in lines[finding.line - 2], str(finding)


def _part(data: dict[str, Any], protocols: Path, lab: Lab) -> list[str]:
    """Put a part of a file where it belongs: keys of a lab file, of a station, or of a `vt_exsy`."""
    if data.keys() <= {str(field.alias) for field in Lab.model_fields.values()}:
        whole = located_yaml.load(protocols / "labs" / "simulated.yaml")
        read(Lab, located_yaml.Located({**whole.data, **data}, "shown"))
        return []
    if data.keys() <= {"settings", "oven"}:
        station = lab.stations["autolab"].model_dump(by_alias=True, include={"driver"})
        Station.model_validate({**station, "settings": data.get("settings", data)})
        return []
    if data.keys() <= {str(field.alias) for field in Protocol.model_fields.values()}:
        whole = located_yaml.load(protocols / "vt_exsy_demo.yaml")
        read(Protocol, located_yaml.Located({**whole.data, **data}, "shown"))
        return []
    if data.keys() == {"published"}:
        return [str(one) for one in data["published"] if not any(_published(one, path) for path in _OF_EACH_KIND)]
    assert data.keys() <= {str(field.alias) for field in VtExsy.model_fields.values()}, sorted(data)
    whole = located_yaml.load(protocols / "vt_exsy_demo.yaml")
    named = data.get("analysis", {}).get("layers", ["A", "B"])
    whole.data["sample"]["sites"] = {name: f"{4 * number} ppm" for number, name in enumerate(named)}
    whole.data["procedures"][0]["vt_exsy"] |= data
    model = read(Protocol, located_yaml.Located(whole.data, "shown"))
    return [str(one) for one in examine(model, lab).findings if one.severity == "error"]


_OF_EACH_KIND = ("vt_exsy_demo.yaml", "paper/eis_lii.yaml", "paper/cycling_life.yaml")


def _published(entry: Any, path: str) -> bool:
    """Whether the procedure of a shipped protocol takes a published number; each kind knows its own."""
    whole = located_yaml.load(ROOT / "protocols" / path)
    (block,) = whole.data["procedures"][0].values()
    block["published"] = [entry]
    try:
        read(Protocol, located_yaml.Located({**whole.data, "published_in": "somebody"}, "shown"))
    except InputError:
        return False
    return True


def _simulators(lab: Lab) -> Any:
    return {name: (station.driver, station.simulator_settings()) for name, station in lab.stations.items()}


def test_what_is_wrong_is_told(protocols: Path) -> None:
    """A part with a key that does not exist is not taken."""
    with pytest.raises(InputError):
        _part({"notify": {"target": []}}, protocols, load_lab(protocols / "labs" / "simulated.yaml").model)

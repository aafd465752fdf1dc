"""The JSON Schema of sample files and the reader agree."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from labctl import located_yaml
from labctl_sim_sample.schema import json_schema

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = sorted((ROOT / "protocols" / "samples").glob("*.yaml"))


def _is_valid(data: Any) -> bool:
    return jsonschema.Draft202012Validator(json_schema()).is_valid(data)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_ready_samples_are_valid(path: Path) -> None:
    """What comes with labctl passes the schema that editors are given."""
    jsonschema.Draft202012Validator(json_schema()).validate(located_yaml.load(path).data)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_key_more_or_less_is_not_valid(path: Path) -> None:
    """An unknown key is refused at every level, and so is a missing one that the reader requires."""
    has = set(located_yaml.load(path).data)
    for at in (
        (),
        ("nmr",),
        ("nmr", "probe"),
        ("nmr", "exchange"),
        ("eis",),
        ("eis", "pellet"),
        ("eis", "conductivity"),
        ("cell",),
        ("cell", "active"),
    ):
        data = located_yaml.load(path).data
        if at and at[0] not in has:
            continue
        block = data
        for key in at:
            block = block[key]
        block["mistyped"] = "1 s"
        assert not _is_valid(data)
    required = {
        "nmr": ("nucleus", "sites", "relaxation", "exchange", "probe", "noise_per_scan"),
        "eis": ("pellet", "conductivity", "permittivity"),
        "cell": ("electrode", "active", "equilibrium", "exchange_current", "resistance"),
    }
    for section in required.keys() & has:
        for key in required[section]:
            data = located_yaml.load(path).data
            del data[section][key]
            assert not _is_valid(data)
    data = located_yaml.load(path).data
    for section in required:
        data.pop(section, None)
    assert not _is_valid(data), "a sample that no instrument sees is none"


def test_the_schema_names_every_key_the_reader_knows() -> None:
    """Keys that the reader's source spells out stand in the schema too, so that neither is extended alone."""
    sources = [
        ROOT / "simulators" / "labctl_sim_sample" / name for name in ("_load.py", "_load_pellet.py", "_load_cell.py")
    ]
    calls = [
        node
        for source in sources
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"
    ]
    keys = {
        leaf.value
        for call in calls
        for argument in call.keywords
        for leaf in ast.walk(argument.value)
        if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
    }
    assert {"noise_per_scan", "stray_capacitance"} <= keys
    text = str(json_schema())
    assert {key for key in keys if f"'{key}'" not in text} == set()

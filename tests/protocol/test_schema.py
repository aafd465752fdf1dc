"""JSON Schema for editors, and the tables of keys in the authoring guide."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import jsonschema
import pytest

from labctl.errors import InputError
from labctl.protocol.load import load_lab, load_protocol
from labctl.protocol.schema import TABLES, json_schema, keys, markdown_table

GUIDE = Path(__file__).parents[2] / "protocols" / "README.md"
MARK = re.compile(r"(<!-- keys: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """Return the guide with its tables made anew from the models."""
    return MARK.sub(lambda found: f"{found[1]}{markdown_table(found[2])}{found[3]}", text)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["protocol", "lab"])
def test_the_schema_is_a_schema(kind: str) -> None:
    """What is published is valid JSON Schema and refuses unknown keys."""
    schema = json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False


def test_shipped_files_pass_their_schema(protocols: Path) -> None:
    """An editor that checks by the schema is content with the files that ship."""
    labs = [protocols / "labs" / "simulated.yaml", protocols / "commissioning" / "first_day.yaml"]
    for path in [
        file for pattern in ("*.yaml", "paper/*.yaml", "commissioning/*.yaml") for file in protocols.glob(pattern)
    ]:
        if path not in labs:
            jsonschema.validate(load_protocol(path).located.data, json_schema("protocol"))
    for path in labs:
        jsonschema.validate(load_lab(path).located.data, json_schema("lab"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ramp: 2 K/min", "ramp: 2"),
        ("- 20 ms", "- 20 mm"),
        ("increments: 48", "increments: many"),
        ("scans: 8", "scan: 8"),
    ],
)
def test_an_editor_sees_plain_mistakes(old: str, new: str, tmp_path: Path) -> None:
    """A missing unit, a wrong unit, text for a number and a mistyped key are marked as one types."""
    from labctl import located_yaml

    text = (Path(__file__).parent / "sound.yaml").read_text(encoding="utf-8")
    data = located_yaml.loads(text.replace(old, new), file="text.yaml").data
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json_schema("protocol"))


def test_only_protocols_and_labs_have_a_schema_here() -> None:
    """Another word is an input error."""
    with pytest.raises(InputError, match="no schema of 'sample'"):
        json_schema("sample")


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_every_key_is_described(kind: str) -> None:
    """Each key says what to write and what it means."""
    rows = list(keys(TABLES[kind]))
    assert rows
    assert all(row.kind and row.about for row in rows), [row.path for row in rows if not (row.kind and row.about)]


def test_the_guide_is_current() -> None:
    """The guide's tables say what the models say; `python tests/protocol/test_schema.py` renews them."""
    text = GUIDE.read_text(encoding="utf-8")
    assert len(MARK.findall(text)) == len(TABLES)
    assert with_tables(text) == text


if __name__ == "__main__":
    GUIDE.write_text(with_tables(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"renewed {GUIDE}\n")

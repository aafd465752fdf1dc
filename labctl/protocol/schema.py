"""JSON Schema of protocol and lab files, and the table of all keys for people."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo

from labctl.errors import InputError
from labctl.protocol.commissioning import Commissioning
from labctl.protocol.lab import Lab
from labctl.protocol.model import EisLadder, FixedCapacityCycling, Protocol, VtExsy
from labctl.protocol.notify import Reference, TimeOfDay
from labctl.protocol.quantity import Moment, Quantity

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MODELS: Mapping[str, type[BaseModel]] = {"protocol": Protocol, "lab": Lab}


def json_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema that editors complete and check by; quantities are text with the usual units.

    Raises
    ------
    InputError
        `kind` is neither ``protocol`` nor ``lab``.
    """
    if kind not in MODELS:
        raise InputError(f"there is no schema of {kind!r} here", expected=" or ".join(MODELS))
    schema = MODELS[kind].model_json_schema(by_alias=True, mode="validation")
    _tell_units(schema)
    return {"$schema": DIALECT, **schema}


def _tell_units(node: Any) -> None:
    """Add units and range of each quantity to its description, which is what editors show."""
    if isinstance(node, list):
        for one in node:
            _tell_units(one)
    if not isinstance(node, dict):
        return
    for name, one in node.get("properties", {}).items():
        told = _units_told(one)
        if told:
            about = one.get("description", name)
            node["properties"][name] = {**one, "description": f"{about} [{told}]"}
    for one in node.values():
        _tell_units(one)


def _units_told(node: Any) -> str:
    """Units and range of a key's own text: of its optional arm, of the items of its list, of the values by name."""
    if not isinstance(node, dict):
        return ""
    if "$comment" in node:
        return str(node["$comment"])
    inner = [*node.get("anyOf", ()), node.get("items"), node.get("additionalProperties")]
    return next((told for one in inner if (told := _units_told(one))), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """One key: where it stands, what may be written, its default (empty when it must be given), what it means."""

    path: str
    kind: str
    default: str
    about: str


TABLES: Mapping[str, type[BaseModel]] = {
    **MODELS,
    "vt_exsy": VtExsy,
    "eis_ladder": EisLadder,
    "fixed_capacity_cycling": FixedCapacityCycling,
    "commissioning": Commissioning,
}
"""Models with a table of their own; tables do not repeat one another."""


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[KeyRow]:
    """Yield every key of a model in the order of the file, without those of models in `TABLES`."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner, many = _block(field.annotation)
        kind = _kind(field, inner, many)
        yield KeyRow(path=path, kind=kind, default=_default(field), about=field.description or "")
        for block in inner:
            if block in TABLES.values():
                continue
            mark = {"list": "[].", "by name": ".*.", "": "."}[many]
            if len(inner) > 1:
                tag = get_args(block.model_fields["model"].annotation)[0]
                mark = f"({tag})."
            yield from keys(block, f"{path}{mark}")


def markdown_table(
    kind: Literal["protocol", "vt_exsy", "eis_ladder", "fixed_capacity_cycling", "commissioning", "lab"],
) -> str:
    """Return all keys of one of `TABLES` in Markdown."""
    lines = ["| key | what to write | default | meaning |", "|---|---|---|---|"]
    for row in keys(TABLES[kind]):
        default = f"`{row.default}`" if row.default else "*must be given*"
        cells = (f"`{row.path}`", row.kind, default, row.about)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.default
    if isinstance(value, bool):
        return str(value).lower()
    return {None: "-", (): "[]", "": '""'}.get(value, str(value)) if not isinstance(value, dict) else "{}"


def _block(annotation: Any) -> tuple[list[type[BaseModel]], str]:
    """The models below a key, and whether it holds one, a list or a mapping of them."""
    arms = _arms(annotation)
    for arm in arms:
        if get_origin(arm) is tuple:
            return [kind for kind in _arms(get_args(arm)[0]) if _is_model(kind)], "list"
        if get_origin(arm) is Mapping:
            return [kind for kind in _arms(get_args(arm)[1]) if _is_model(kind)], "by name"
    return [kind for kind in arms if _is_model(kind)], ""


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _arms(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _arms(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return [inner for arm in get_args(annotation) for inner in _arms(arm)]
    return [annotation]


def _metadata(annotation: Any) -> list[Any]:
    """All metadata along an annotation: of its optional arm, of the items of a list, of the values of a mapping."""
    found: list[Any] = []
    if get_origin(annotation) is Annotated:
        found += get_args(annotation)[1:]
    for arm in get_args(annotation):
        if arm is not ... and not isinstance(arm, (str, int, Quantity)) and arm not in found:
            found += _metadata(arm)
    return found


def _kind(field: FieldInfo, inner: list[type[BaseModel]], many: str) -> str:
    metadata = [*field.metadata, *_metadata(field.annotation)]
    listed = {"list": "list of ", "by name": "by name: ", "": ""}[many]
    if inner:
        short = any(getattr(block, "short_form", "") for block in inner)
        return f"{listed}block" + (" or text" if short else "")
    for item in metadata:
        if isinstance(item, WithJsonSchema) and item.json_schema is not None:
            return _of_arms(item.json_schema)
        if isinstance(item, Quantity):
            return f'{listed}"{item.example}"' + (f", {item.range}" if item.range else "")
        if isinstance(item, Moment | TimeOfDay | Reference):
            return f'{listed}"{item.example}"'
    words = [word for arm in _arms(field.annotation) if get_origin(arm) is Literal for word in get_args(arm)]
    if words:
        return " or ".join(f"`{word}`" for word in words)
    bounds = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    limits = [
        f"{text} {value:g}"
        for name, text in bounds.items()
        for item in metadata
        if (value := _bound(item, name)) is not None
    ]
    plain = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    names = [plain.get(arm, "") for arm in _arms(field.annotation) if plain.get(arm)]
    return ", ".join([f"{listed}{names[0] if names else 'see the text'}", *limits])


def _of_arms(schema: dict[str, Any]) -> str:
    """Words for what may be written in several ways: one value, a list of them, or either by name."""
    arms = schema.get("anyOf", [schema])
    one: dict[str, Any] = next((arm for arm in arms if arm.get("type") in {"string", "integer"}), {})
    example = one["examples"][0] if one.get("examples") else ""
    ways = [f'"{example}"' if example else "whole number" if one.get("type") == "integer" else "text"]
    if any(arm.get("type") == "array" for arm in arms):
        ways.append("a list of these")
    if any(arm.get("type") == "object" for arm in arms):
        ways.append("either by name" if len(ways) > 1 else "by name")
    return ", or ".join(ways) if len(ways) < 3 else f"{', '.join(ways[:-1])}, or {ways[-1]}"


def _bound(item: Any, name: str) -> float | None:
    nested = getattr(item, "metadata", ())  # Field(...) inside Annotated carries its bounds in `metadata`
    for part in (item, *nested):
        value = getattr(part, name, None)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
    return None

"""Reading protocol and lab files: every mistake becomes a finding with file, line, column, key path and advice."""

from __future__ import annotations

import difflib
import functools
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from labctl import located_yaml
from labctl.errors import Finding, InputError
from labctl.located_yaml import KeyPath, Located
from labctl.protocol.lab import Lab
from labctl.protocol.model import Protocol

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[M]):
    """A model and where its parts stand: `located.finding(path, what)` points at the line of a key path."""

    model: M
    located: Located


LoadedProtocol = Loaded[Protocol]
LoadedLab = Loaded[Lab]


def load_protocol(path: Path) -> LoadedProtocol:
    """Return the protocol of a YAML file.

    Raises
    ------
    InputError
        With one finding per mistake, by line.
    """
    located = located_yaml.load(path)
    return Loaded(read(Protocol, located), located)


def load_lab(path: Path) -> LoadedLab:
    """Return the lab of a YAML file; raises as `load_protocol`. One that has not changed is not read again."""
    return _lab(located_yaml.text_of(path), str(path))


@functools.lru_cache(maxsize=8)
def _lab(text: str, file: str) -> LoadedLab:
    located = located_yaml.loads(text, file=file)
    return Loaded(read(Lab, located), located)


def read(model: type[M], located: Located) -> M:
    """Return plain data as a model; raises `InputError` with one finding per mistake, by line."""
    if not isinstance(located.data, dict):
        what = "is empty" if located.data is None else "does not hold keys and values"
        keys = ", ".join(_keys(model))
        raise InputError(findings=(located.finding((), what, expected=f"a mapping with the keys {keys}"),))
    try:
        return model.model_validate(located.data)
    except ValidationError as problem:
        errors = [error for error in problem.errors(include_url=False) if not _only_follows(error)]
        found = {_finding(model, located, error) for error in errors}
    raise InputError(findings=tuple(sorted(found, key=lambda f: (f.line, f.column, f.key_path, f.what)))) from None


def _only_follows(error: Any) -> bool:
    """Whether pydantic calls a list too short only because it dropped the items that are wrong."""
    written = error["input"]
    return error["type"] == "too_short" and isinstance(written, list) and len(written) >= error["ctx"]["min_length"]


def _finding(model: type[BaseModel], located: Located, error: Any) -> Finding:
    where = _without_tags(located, error["loc"])
    kind, context = str(error["type"]), error.get("ctx") or {}
    # What stands in `notify` may be an address with a password, written where only its place belongs.
    secret = model is Lab and where[:1] == ("notify",)
    value, expected = "" if secret else _shown(error["input"]), ""
    parent, name = where[:-1], str(where[-1]) if where else ""
    if kind == "extra_forbidden":
        known = _keys(_class_at(model, parent, located))
        return located.finding(where, "is not a key here", expected=_suggest(name, known))
    if kind == "missing":
        place = _written(located, parent)
        return located.finding(place, f"the key {name!r} is missing", expected=_about(model, parent, name, located))
    match kind:
        case "labctl":
            what, expected = str(context["what"]), str(context["expected"])
            value = "" if value and value in what else value
        case "literal_error":
            what = "is none of the words known here"
            named = "" if secret else str(error["input"])
            expected = _suggest(named, [word.strip("'") for word in _words(context["expected"])])
        case "union_tag_invalid" | "union_tag_not_found":
            what = "names no known model" if kind.endswith("invalid") else "does not name its model"
            tag = error["input"].get("model", "") if isinstance(error["input"], dict) else ""
            value, where = _shown(tag) if tag else "", (*where, "model")
            expected = _suggest(str(tag), [word.strip("'") for word in _words(context.get("expected_tags", _MODELS))])
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            what, expected = "must be a block of keys and values", ""
            if known := _keys(_class_at(model, where, located)):
                expected = "its keys: " + ", ".join(known)
        case "tuple_type" | "list_type":
            what, expected = "must be a list", "[one, two] or one item a line, each after a dash"
        case "too_short" | "too_long" | "string_too_short" | "string_too_long":
            what, expected, value = _length(kind, context), "", value if kind.startswith("string") else ""
        case "int_type" | "int_from_float" | "int_parsing":
            what, expected = "must be a whole number", "a bare number without unit, such as 8"
        case "float_type" | "float_parsing":
            what, expected = "must be a number", "a bare number without unit, such as 1.5"
        case "bool_type" | "bool_parsing":
            what, expected = "must be true or false", ""
        case "string_type":
            what, expected = "must be text", 'in quotes if it looks like a number: "8"'
        case "string_pattern_mismatch":
            what = "cannot be a name here" if error["loc"][-1] == "[key]" else "is not spelled right"
            expected = f"{_about(model, parent, name, located)} ({context['pattern']})".strip()
        case "greater_than" | "greater_than_equal":
            what = "is too small"
            expected = f"more than {context['gt']}" if "gt" in context else f"at least {context['ge']}"
        case "less_than" | "less_than_equal":
            what = "is too large"
            expected = f"less than {context['lt']}" if "lt" in context else f"at most {context['le']}"
        case _:
            what = str(error["msg"])
    if error["input"] is None and kind != "labctl":
        what, value = "is empty", ""
    return located.finding(_written(located, where), what, value=value, expected=expected)


_MODELS = "'frictional', 'table', 'offset'"


def _without_tags(located: Located, loc: KeyPath) -> KeyPath:
    """A key path as the file has it: pydantic adds the tag of a discriminated union and a mark for keys."""
    where: list[str | int] = []
    data: Any = located.data
    for part in loc:
        if part == "[key]" or (isinstance(data, dict) and part not in data and data.get("model") == part):
            continue
        where.append(part)
        data = _inside(data, part)
    return tuple(where)


def _inside(data: Any, part: str | int) -> Any:
    """The item of a mapping or list, None where there is none."""
    if isinstance(data, dict):
        return data.get(part)
    return data[part] if isinstance(data, list) and isinstance(part, int) and part < len(data) else None


def _written(located: Located, where: KeyPath) -> KeyPath:
    """The longest part of a path that stands in the file (a block written as one text has no keys of its own)."""
    while where and where not in located.places:
        where = where[:-1]
    return where


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)) or value is None:
        return ""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _length(kind: str, context: Any) -> str:
    if kind.endswith("short"):
        least = context.get("min_length")
        return "is empty" if least == 1 else f"is too short, at least {least} are needed"
    return f"is too long, at most {context.get('max_length')} are allowed"


def _words(text: object) -> list[str]:
    return [word.strip() for word in str(text).replace(" or ", ", ").split(",") if word.strip()]


def _suggest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known here: " + ", ".join(known) if known else ""


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [str(field.alias or name) for name, field in model.model_fields.items()] if model else []


def _about(model: type[BaseModel], parent: KeyPath, name: str, located: Located) -> str:
    here = _class_at(model, parent, located)
    for attribute, field in here.model_fields.items() if here else ():
        if (field.alias or attribute) == name:
            return str(field.description or "")
    return ""


def _class_at(model: type[BaseModel], path: KeyPath, located: Located) -> type[BaseModel] | None:
    """Walk a key path through the annotations; None where it leaves the models."""
    kinds: list[Any] = [model]
    for depth, part in enumerate(path):
        following: list[Any] = []
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                for attribute, field in kind.model_fields.items():
                    if (field.alias or attribute) == part:
                        following += _unwrapped(field.annotation)
            elif get_args(kind):
                following += _unwrapped(get_args(kind)[-1] if not isinstance(part, int) else get_args(kind)[0])
            elif kind is not Any and depth == len(path):
                return None
        kinds = following
    classes = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    if len(classes) > 1:  # a discriminated union: the file says which
        data = located.data
        for part in path:
            data = _inside(data, part)
        tag = data.get("model") if isinstance(data, dict) else None
        classes = [c for c in classes if tag in get_args(c.model_fields["model"].annotation)] or classes
    return classes[0] if classes else None


def _unwrapped(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _unwrapped(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return [inner for arm in get_args(annotation) for inner in _unwrapped(arm)]
    return [annotation]

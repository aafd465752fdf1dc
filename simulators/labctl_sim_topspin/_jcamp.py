"""TopSpin's dialect of JCAMP-DX, as the console writes it and reads its own files again.

Observed in files of TopSpin 3.2 to 4.2: keys sorted by their bytes, numbers in ``%.15g`` style, text in ``<>``,
booleans ``yes``/``no``, arrays as ``(0..n)`` with their values on lines of about 72 columns, and no empty line
anywhere (readers stop there).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

Scalar = bool | int | float | str
Parameter = Scalar | list[float] | list[int] | list[str]
"""A scalar, or an array of one kind."""

_COLUMNS = 72
_RECORD = re.compile(r"^##\$([^=]+)=[ ]?(.*?)(?=^##|^\$\$|\Z)", re.DOTALL | re.MULTILINE)
_ARRAY = re.compile(r"\(0\.\.(\d+)\)\s*(.*)", re.DOTALL)
_TEXTS = re.compile(r"<([^<>]*)>")


def text_of(value: Scalar) -> str:
    """Return one value as it stands in a parameter file."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f"<{value}>"
    if isinstance(value, int):
        return str(value)
    return f"{value:.15g}"


def document(records: Iterable[str], *, title: str, owner: str, comments: Sequence[str], serial: int) -> str:
    """Return a parameter file.

    Parameters
    ----------
    records : iterable of str
        What `record` made of the parameters, sorted by key.
    title : str
        What stands behind ``##TITLE=``; tells readers which version wrote the file.
    comments : sequence of str
        Lines that begin with ``$$``: time and user, full path, process.
    serial : int
        Modification sequence number (``NPOINTS``).
    """
    lines = [
        f"##TITLE= {title}",
        "##JCAMPDX= 5.0",
        "##DATATYPE= Parameter Values",
        f"##NPOINTS= {serial}\t$$ modification sequence number",
        "##ORIGIN= Bruker BioSpin GmbH",
        f"##OWNER= {owner}",
        *(f"$$ {comment}" for comment in comments),
    ]
    lines.extend(records)
    lines.append("##END=")
    return "\n".join(lines) + "\n"


def record(key: str, value: Parameter) -> str:
    """Return the lines of one parameter, without the last line end."""
    if not isinstance(value, list):
        return f"##${key}= {text_of(value)}"
    return "\n".join([f"##${key}= (0..{len(value) - 1})", *_wrapped([text_of(item) for item in value])])


def _wrapped(words: Sequence[str]) -> list[str]:
    lines: list[str] = []
    line = words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) > _COLUMNS:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}"
    return [*lines, line]


def parameters_of(text: str) -> dict[str, Parameter]:
    """Return the parameters of a file written by `document`."""
    found: dict[str, Parameter] = {}
    for match in _RECORD.finditer(text):
        body = match[2].strip()
        array = _ARRAY.fullmatch(body)
        found[match[1]] = _array(array[2]) if array else _scalar(body)
    return found


def _scalar(text: str) -> Scalar:
    if text.startswith("<"):
        return text[1:-1]
    if text in {"yes", "no"}:
        return text == "yes"
    try:
        return int(text)
    except ValueError:
        return float(text)


def _array(text: str) -> Parameter:
    if text.startswith("<"):
        return _TEXTS.findall(text)
    words = text.split()
    try:
        return [int(word) for word in words]
    except ValueError:
        return [float(word) for word in words]

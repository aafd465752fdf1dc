"""The table of faults and reactions, made of the registry and kept between two markers of a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labctl_sim_faults._kinds import FaultKind
from labctl_sim_faults._registry import Registry

BEGIN = "<!-- faults: made by `python -m labctl_sim_faults` -->"
END = "<!-- end of faults -->"


def table(known: Mapping[str, Registry]) -> str:
    """Return the table as Markdown, one part per kind of station; instruments that share faults share a part."""
    parts: list[str] = []
    shared: dict[str, list[Registry]] = {}
    for declared in known.values():
        shared.setdefault(declared.station, []).append(declared)
    for station, instruments in shared.items():
        names = ", ".join(f"`{declared.instrument}`" for declared in instruments)
        kinds = {name: kind for declared in instruments for name, kind in declared.kinds.items()}
        parts.append(f"### Faults of the {station} ({names})\n\n" + "\n".join(_rows(kinds)) + "\n")
    return "\n".join(parts)


def _rows(kinds: Mapping[str, FaultKind]) -> Iterator[str]:
    yield "| fault | takes | what happens | labctl | says | hazard |"
    yield "|---|---|---|---|---|---|"
    for name, kind in kinds.items():
        takes = [key for key in (f"`for`{'' if kind.lasts == 'needed' else '?'}",) if kind.lasts]
        for key, parameter in kind.parameters.items():
            takes.append(f"`{key}`{'?' if parameter.optional or parameter.default is not None else ''}")
        what = kind.what + (f" ({kind.only} only)" if kind.only else "")
        reaction = "" if kind.reaction is None else kind.reaction.value
        if kind.bites and kind.reaction is not None:
            reaction += f" ({', '.join(kind.bites)})"
        cells = (f"`{name}`", " ".join(takes), what, reaction, kind.message, kind.hazard)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def with_table(text: str, known: Mapping[str, Registry]) -> str:
    """Return the text with the table between its markers.

    Raises
    ------
    ValueError
        The text lacks the markers.
    """
    head, found, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"no {BEGIN} ... {END} in the text")
    return f"{head}{BEGIN}\n\n{table(known)}\n{END}{tail}"

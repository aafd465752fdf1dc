"""The table of faults and reactions, made of the registry and kept between two markers of a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from labctl.units import duration_text
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
        parts.append(f"### Faults of the {station} ({names})\n\n" + "\n".join(_rows(_merged(instruments))) + "\n")
    return "\n".join(parts)


def _merged(instruments: Sequence[Registry]) -> list[tuple[str, FaultKind]]:
    """Return each fault once, or once for each instrument that has it in a way of its own."""
    found: list[tuple[str, FaultKind]] = []
    for name in dict.fromkeys(name for declared in reversed(instruments) for name in declared.kinds):
        having = [(declared.instrument, declared.kinds[name]) for declared in instruments if name in declared.kinds]
        alike = all(kind == having[0][1] for _, kind in having)
        found += [(name, having[0][1])] if alike else [(name, replace(kind, only=whose)) for whose, kind in having]
    return found


def _rows(kinds: Iterable[tuple[str, FaultKind]]) -> Iterator[str]:
    yield "| fault | takes | what happens | labctl | says | hazard |"
    yield "|---|---|---|---|---|---|"
    for name, kind in kinds:
        takes = [key for key in (f"`for`{'' if kind.lasts == 'needed' else '?'}",) if kind.lasts]
        for key, parameter in kind.parameters.items():
            takes.append(f"`{key}`{'?' if parameter.optional or parameter.default is not None else ''}")
        what = kind.what + (f" ({kind.only} only)" if kind.only else "")
        says = f"“{kind.message}”" if kind.message else ""
        cells = (f"`{name}`", " ".join(takes), what, _reaction(kind), says, kind.hazard)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _reaction(kind: FaultKind) -> str:
    """Say what labctl does, how soon, and what it does instead in some phases."""
    text = "" if kind.reaction is None else kind.reaction.value
    if kind.within_s:
        text += f", within {duration_text(kind.within_s)}"
        if kind.growing_s:
            text += f" ({duration_text(kind.growing_s)} while an acquisition goes on)"
    others: dict[str, list[str]] = {}
    for phase, reaction in kind.otherwise.items():
        others.setdefault(reaction.value, []).append(phase)
    return "; ".join([text, *(f"{what}: {', '.join(phases)}" for what, phases in others.items())])


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

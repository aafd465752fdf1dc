"""One picture of the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: its file (SVG), what it shows, and the sentence below it.

    Attributes
    ----------
    shows : tuple of str
        Quantities that can be read off it, in the words of a protocol's ``published``.
    procedures : tuple of str
        ``station/procedure`` whose data it shows.
    """

    path: Path
    title: str
    caption: str
    shows: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()


def procedure_of(dataset: str) -> str:
    """Return ``station/procedure`` of a step id."""
    return "/".join(dataset.split("/")[:2])

"""The report a run leaves for people: one HTML file that opens anywhere, offline, years later."""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from labctl import __version__
from labctl.analysis.results import Arrhenius, Results, ResultWarning
from labctl.report import cycling_tables
from labctl.report.by_sample import views
from labctl.report.campaign_tables import campaign_fit, campaign_tables
from labctl.report.design_section import accounts
from labctl.report.figure import Figure
from labctl.report.numbers import plus_minus
from labctl.report.overview import Overview, overview
from labctl.report.tidy import csv_tables
from labctl.units import duration_text

PAIRS = "pairs_over_temperature"
"""Name of the figure beside which labctl's own energies stand, so that nobody takes the pairs' for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Where the time went, for the overview.

    Attributes
    ----------
    begun_s, ended_s : float or None
        Wall time of the first and last event [s since 1970 UTC].
    rows : tuple of dict
        One per step: id, begin, duration, attempt, outcome, remark.
    """

    begun_s: float | None = None
    ended_s: float | None = None
    state: str = ""
    rows: tuple[dict[str, Any], ...] = ()


def write_report(
    path: Path, results: Results, figures: Sequence[Figure], *, timeline: Timeline, protocol_text: str
) -> Path:
    """Write the report and return its path.

    Parameters
    ----------
    path : Path
        Where the HTML goes; an older report there is replaced (it can be made again at any time).
    figures : sequence of Figure
        Embedded as they are, so that the page needs nothing beside it; those that show what was published stand with
        it, in the order of the publication.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("labctl.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        duration=duration_text,
        when=_when,
        kelvin=_kelvin,
        celsius=_celsius,
        number=_number,
        tmix=_tmix,
        arrow=_arrow,
        span=_span,
        hours=_hours,
        raised=_raised,
    )
    environment.globals.update(
        pm=_plus_minus,
        efficiency=cycling_tables.headline,
        cell_state=cycling_tables.state,
        cell_accuracy=cycling_tables.accuracy,
    )
    cells = results.cycling.cells
    cell_names = cycling_tables.names(cells)
    told = overview(results, figures)
    names = _names(figures)
    beside = {figure for card in told.cards for figure in card.figures} if told is not None else set()
    page = environment.get_template("report.html.j2").render(
        results=results,
        views=views(results),
        overview=None if told is None else _shown(told, names),
        simulated=bool(results.provenance.get("simulated")),
        bounds=_bounds(results),
        headline=_headline(results),
        doubts=grouped(results.warnings),
        accounts=accounts(results),
        campaign_tables=campaign_tables(results),
        cell_names=cell_names,
        cycling_summary=cycling_tables.summary_table(cells),
        cycle_tables=[
            cycling_tables.cycle_table(one, name) for name, one in zip(cell_names, cells, strict=True) if one.cycles
        ],
        figures=[_embedded(one, names[one]) for one in figures if one not in beside],
        tables=[
            {
                "name": name,
                "rows": text.count("\r\n") - 1,
                "data": base64.b64encode(text.encode("utf-8-sig")).decode("ascii"),
            }
            for name, text in csv_tables(results).items()
        ],
        timeline=timeline,
        protocol_text=protocol_text,
        version=__version__,
    )
    path.write_text(page, encoding="utf-8")
    return path


def _names(figures: Sequence[Figure]) -> dict[Figure, str]:
    """Return a name for each figure, of which no two are alike on one page."""
    names: dict[Figure, str] = {}
    for one in figures:
        stem = one.path.stem
        names[one] = stem if stem not in names.values() else f"{one.path.parent.name}_{stem}"
    return names


def _embedded(figure: Figure, name: str) -> dict[str, str]:
    data = base64.b64encode(figure.path.read_bytes()).decode("ascii")
    return {"title": figure.title, "caption": figure.caption, "name": name, "data": data}


def _shown(told: Overview, names: Mapping[Figure, str]) -> dict[str, Any]:
    """Return the overview with its figures embedded."""
    cards = [
        {
            "heading": card.heading,
            "labels": card.labels,
            "rows": card.rows,
            "what": {what for figure in card.figures if figure.path.stem == PAIRS for what in figure.shows},
            "pictures": [_embedded(one, names[one]) for one in card.figures],
            "above": [{"name": names[one], "title": one.title} for one in card.above],
        }
        for card in told.cards
    ]
    return {
        "published_in": told.published_in,
        "counts": told.counts,
        "no_errors": told.no_errors,
        "cards": cards,
    }


def _bounds(results: Results) -> list[str]:
    """Return what the global fit only bounds, in words."""
    fit = campaign_fit(results)
    return [
        f"{phase.phase} {'faster' if phase.bound == 'lower' else 'slower'} than {phase.kD_per_s:.2g} 1/s"
        for phase in (fit.phases if fit is not None else ())
        if phase.bound is not None and phase.kD_per_s is not None
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """Warnings of one code: the gravest (the first, or of the largest number), what to do, and all of them."""

    code: str
    gravest: ResultWarning
    all: tuple[ResultWarning, ...]


def grouped(warnings: Sequence[ResultWarning]) -> list[Doubts]:
    """Return warnings by code, in the order in which the codes first appear: what holds often is told once."""
    by_code: dict[str, list[ResultWarning]] = {}
    for one in warnings:
        by_code.setdefault(one.code, []).append(one)
    return [
        Doubts(code=code, gravest=max(members, key=lambda one: abs(one.value or 0.0)), all=tuple(members))
        for code, members in by_code.items()
    ]


def _headline(results: Results) -> list[Arrhenius]:
    """Return the activation energies that answer the campaign's question: never those of pairs fitted one by one."""
    own = [one for one in results.exsy.arrhenius if one.model != "product"]
    return sorted(own, key=lambda one: (one.model != "global", one.model, one.quantity))


def _when(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _kelvin(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} K"


def _celsius(value: float | None) -> str:
    return "" if value is None else f"{value - 273.15:.1f} °C"


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}g}"


def _hours(value: float) -> str:
    return f"{value:.0f}" if value >= 100.0 else f"{value:.1f}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _raised(text: str) -> str:
    """Return text with raised exponents."""
    return re.sub(r"10\^(-?\d+)", lambda power: "10" + power[1].translate(_RAISED), text)


def _plus_minus(value: float | None, error: float | None, unit: str = "") -> str:
    """`plus_minus` with raised exponents."""
    return _raised(plus_minus(value, error, unit))


def _span(T_K: Sequence[float]) -> str:
    """Return ``"5 from 293.1 to 373.1 K"``."""
    return "" if not T_K else f"{len(T_K)} from {min(T_K):.1f} to {max(T_K):.1f} K" if len(T_K) > 1 else _kelvin(T_K[0])


def _arrow(quantity: str) -> str:
    return quantity.replace("->", "→")


def _tmix(value: float) -> str:
    return duration_text(value)

"""The plan as a time line: what each station is at, acquiring and waiting apart; as text and as a page. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from html import escape
from typing import Literal

from labctl.plan.estimate import Estimate
from labctl.plan.steps import Step
from labctl.ports import Measurement
from labctl.units import duration_text

Kind = Literal["acquiring", "waiting", "tending", "person"]

SYMBOLS: Mapping[Kind, str] = {"acquiring": "█", "waiting": "░", "tending": "▒", "person": "?"}
"""How a stretch is drawn in text: by what most of it is."""
WORDS: Mapping[Kind, str] = {
    "acquiring": "data that are kept",
    "waiting": "temperatures, blackouts",
    "tending": "tuning, pulse and spinning checks",
    "person": "a person changes the sample",
}
_WAITS = frozenset({"ramp", "settle", "cool"})
_COLOURS: Mapping[Kind, str] = {
    "acquiring": "#0072B2",
    "waiting": "#B8C4CE",
    "tending": "#E69F00",
    "person": "#D55E00",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of one station's time of one kind, in seconds after the start; `label` names procedure and visit."""

    station: str
    kind: Kind
    begin_s: float
    end_s: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one station's time goes into [s]; `ends_s` after the start of the campaign."""

    station: str
    acquiring_s: float
    waiting_s: float
    tending_s: float
    ends_s: float
    disk_bytes: int


def kind_of(step: Step) -> Kind:
    """Return what a step's time is spent on: data that are kept, a temperature, or looking after the instrument."""
    if step.role in _WAITS or step.role == "line":
        return "waiting"
    return "acquiring" if isinstance(step.task, Measurement) and step.role != "pulse" else "tending"


def spans(estimate: Estimate) -> tuple[Span, ...]:
    """Return each station's time in order, neighbours of one kind and one visit joined, idle time left out."""
    found: list[Span] = []
    last: dict[str, int] = {}

    def add(span: Span) -> None:
        index = last.get(span.station)
        before = found[index] if index is not None else None
        if before is not None and (before.kind, before.label) == (span.kind, span.label) and index is not None:
            found[index] = replace(before, end_s=span.end_s)
            return
        last[span.station] = len(found)
        found.append(span)

    for timing in estimate.timings:
        step = timing.step
        label = step.id.removeprefix(f"{step.station}/").rpartition("/")[0] or step.role
        if timing.waits_s > 0.0:
            why = timing.waits_for.name if timing.waits_for is not None else label
            add(_span(step, "waiting", timing.begin_s - timing.waits_s, timing.begin_s, why))
        if step.person:
            add(_span(step, "person", timing.begin_s, timing.begin_s, step.person))
        if timing.end_s > timing.begin_s:
            add(_span(step, kind_of(step), timing.begin_s, timing.end_s, label))
    return tuple(found)


def _span(step: Step, kind: Kind, begin_s: float, end_s: float, label: str) -> Span:
    return Span(station=step.station, kind=kind, begin_s=begin_s, end_s=end_s, label=label)


def loads(estimate: Estimate) -> tuple[Load, ...]:
    """Return what each station's time goes into, in the order of the plan."""
    found = []
    drawn = spans(estimate)
    for station, ends_s in estimate.station_s.items():
        sums = dict.fromkeys(SYMBOLS, 0.0)
        for span in drawn:
            if span.station == station:
                sums[span.kind] += span.end_s - span.begin_s
        disk = sum(one.step.disk_bytes for one in estimate.timings if one.step.station == station)
        found.append(
            Load(
                station=station,
                acquiring_s=sums["acquiring"],
                waiting_s=sums["waiting"],
                tending_s=sums["tending"],
                ends_s=ends_s,
                disk_bytes=disk,
            )
        )
    return tuple(found)


def bars(estimate: Estimate, width: int) -> tuple[tuple[str, str], ...]:
    """Return (station, bar of `width` characters) over the whole campaign; a change of sample is always seen."""
    total_s = max(estimate.expected_s, 1e-9)
    rows = []
    drawn = spans(estimate)
    for station in estimate.station_s:
        shares: list[dict[Kind, float]] = [{} for _ in range(width)]
        asked: set[int] = set()
        for span in drawn:
            if span.station != station:
                continue
            first, last = (min(width - 1, int(at / total_s * width)) for at in (span.begin_s, span.end_s))
            if span.kind == "person":
                asked.add(first)
            for cell in range(first, last + 1):
                low, high = cell * total_s / width, (cell + 1) * total_s / width
                part_s = max(0.0, min(high, span.end_s) - max(low, span.begin_s))
                shares[cell][span.kind] = shares[cell].get(span.kind, 0.0) + part_s
        text = "".join(
            SYMBOLS["person"]
            if index in asked
            else (SYMBOLS[max(share, key=lambda kind: share[kind])] if any(share.values()) else " ")
            for index, share in enumerate(shares)
        )
        rows.append((station, text))
    return tuple(rows)


_STYLE = """
:root{color-scheme:light dark;--ink:#1c2733;--paper:#fff;--line:#c9d2da}
@media (prefers-color-scheme:dark){:root{--ink:#e4eaf0;--paper:#11181f;--line:#3a4652}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:1.2rem auto;max-width:70rem;
padding:0 1rem}h1{font-size:1.3rem}svg{width:100%;height:auto;display:block}
text{fill:var(--ink);font:12px system-ui,sans-serif}
line{stroke:var(--line)}table{border-collapse:collapse;margin-top:1rem}td,th{padding:.25rem .8rem;text-align:right;
border-bottom:1px solid var(--line)}td:first-child,th:first-child{text-align:left}.key span{display:inline-block;
width:.9em;height:.9em;margin:0 .4em 0 1.2em;vertical-align:-.1em}@media print{body{max-width:none}}
"""
_LEFT, _WIDE, _ROW = 110, 1000, 26


def gantt_html(estimate: Estimate, *, campaign: str, start_s: float, utc_offset_s: float = 0.0) -> str:
    """Return a page of its own that draws all stations over time; nothing is fetched, nothing runs in it.

    Parameters
    ----------
    start_s : float
        Wall time of the start [s since 1970 UTC].
    utc_offset_s : float
        The zone in which times are written, east of Greenwich.
    """
    zone = timezone(timedelta(seconds=utc_offset_s))
    total_s = max(estimate.expected_s, 1.0)
    rows = {station: index for index, station in enumerate(estimate.station_s)}
    height = _ROW * len(rows) + 30
    drawn = [
        f'<text x="0" y="{_ROW * index + 17}">{escape(station)}</text>'
        f'<line x1="{_LEFT}" x2="{_LEFT + _WIDE}" y1="{_ROW * (index + 1)}" y2="{_ROW * (index + 1)}"/>'
        for station, index in rows.items()
    ]
    for span in spans(estimate):
        x = _LEFT + _WIDE * span.begin_s / total_s
        wide = max(1.5 if span.kind == "person" else 0.3, _WIDE * (span.end_s - span.begin_s) / total_s)
        told = f"{span.station}: {span.label}, {span.kind}, {_when(start_s + span.begin_s, zone)}"
        told += f", {duration_text(span.end_s - span.begin_s)}" if span.end_s > span.begin_s else ""
        drawn.append(
            f'<rect x="{x:.2f}" y="{_ROW * rows[span.station] + 4}" width="{wide:.2f}" height="{_ROW - 8}"'
            f' fill="{_COLOURS[span.kind]}"><title>{escape(told)}</title></rect>'
        )
    for quarter in range(5):
        x = _LEFT + _WIDE * quarter / 4
        anchor = "start" if quarter == 0 else "end" if quarter == 4 else "middle"
        at = _when(start_s + total_s * quarter / 4, zone)
        drawn.append(f'<text x="{x:.0f}" y="{height - 6}" text-anchor="{anchor}">{at}</text>')
    key = "".join(
        f'<span style="background:{_COLOURS[kind]}"></span>{escape(f"{kind}: {words}")}'
        for kind, words in WORDS.items()
    )
    body = "".join(
        f"<tr><td>{escape(one.station)}</td><td>{_hours(one.acquiring_s)}</td><td>{_hours(one.waiting_s)}</td>"
        f"<td>{_hours(one.tending_s)}</td><td>{_when(start_s + one.ends_s, zone)}</td>"
        f"<td>{one.disk_bytes / 1e6:.0f} MB</td></tr>"
        for one in loads(estimate)
    )
    title = escape(campaign)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: plan</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{title}: {_when(start_s, zone)} to"
        f" {_when(start_s + estimate.expected_s, zone)}</h1>"
        f'<svg viewBox="0 0 {_LEFT + _WIDE} {height}" role="img" aria-label="time line of all stations">'
        f'{"".join(drawn)}</svg><p class="key">{key}</p>'
        "<table><tr><th>station</th><th>acquiring</th><th>waiting</th><th>tending</th><th>ends</th><th>disk</th></tr>"
        f"{body}</table><p>Expected times: settling judged at the first occasion.</p></body></html>\n"
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"


def _when(epoch_s: float, zone: timezone) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M")

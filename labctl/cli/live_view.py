"""A running campaign drawn for a terminal: stations, phases, temperatures, progress, last results, last alarms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from labctl.units import duration_text

if TYPE_CHECKING:
    from labctl.run.following import Followed, News

_STYLES = {
    "running": "green",
    "collecting": "green",
    "intended": "cyan",
    "ready": "cyan",
    "checking": "cyan",
    "examining": "cyan",
    "waiting": "yellow",
    "held": "yellow",
    "paused": "bold yellow",
    "safing": "bold red",
    "safe": "bold red",
    "unconfirmed": "bold white on red",
    "finished": "dim",
}
_LONGEST = 150
_STALE_S = 60.0  # longer than analysis between two looks of a dry run


def live_view(
    followed: Followed,
    *,
    simulated: bool,
    results: int = 4,
    incidents: int = 4,
    zone: dt.tzinfo | None = None,
) -> RenderableType:
    """Return what a person sees of a campaign.

    Parameters
    ----------
    results, incidents : int
        How many of the last ones are shown.
    zone : tzinfo or None
        Of the times; None: of this computer.
    """
    parts: list[RenderableType] = [_head(followed, simulated=simulated, zone=zone)]
    stations: Mapping[str, Any] = followed.shown.get("stations", {})
    steps = {name: _step(name, station) for name, station in stations.items()}
    widths = max(map(len, steps), default=0), max(map(len, steps.values()), default=0)
    for name, station in stations.items():
        parts += _station(name, steps[name], station, widths, zone)
    if not stations:
        parts.append(Text("no engine has shown anything yet", style="dim"))
    parts += _news("last results", list(followed.results)[-results:], zone, style="")
    parts += _news("last alarms", list(followed.incidents)[-incidents:], zone, style="yellow")
    return Group(*parts)


def _head(followed: Followed, *, simulated: bool, zone: dt.tzinfo | None) -> RenderableType:
    shown = followed.shown
    title = Text(followed.campaign or "campaign", style="bold")
    title.append(" (simulated)" if simulated else "", style="dim")
    if not shown:
        return title
    at_s, eta_s, phase = shown["at_s"], shown["eta_s"], shown["phase"]
    facts = [f"{shown['steps_behind']} of {shown['steps']} steps behind"]
    if phase != "running":
        facts.append(phase)
    elif eta_s:
        facts.append(f"{duration_text(max(0.0, eta_s - at_s))} left, ends {_moment(eta_s, zone, '%a %H:%M')}")
    facts.append(_moment(at_s, zone, "now %a %H:%M:%S"))
    head = Table.grid(padding=(0, 2), expand=True)
    head.add_column(no_wrap=True)
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True)
    share = 1.0 if phase == "done" else shown["fraction"]
    head.add_row(title, ProgressBar(total=1.0, completed=share), f"{100 * share:.0f} %")
    lines: list[RenderableType] = [head, Text(", ".join(facts), style="dim")]
    if phase == "running" and followed.shown_age_s > _STALE_S:
        age = duration_text(followed.shown_age_s)
        lines.append(Text(f"the engine has shown nothing for {age}: `labctl status` says whether it lives", "bold red"))
    return Group(*lines)


def _step(name: str, station: Mapping[str, Any]) -> str:
    """What the station is at, or what comes next."""
    step = str(station["step"]).removeprefix(f"{name}/")
    if step and station["attempt"] > 1:
        return f"{step}, attempt {station['attempt']}"
    return step or (f"next {station['next'].removeprefix(f'{name}/')}" if station["next"] else "")


def _station(
    name: str, step: str, station: Mapping[str, Any], widths: tuple[int, int], zone: dt.tzinfo | None
) -> Iterator[RenderableType]:
    phase = station["phase"]
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=widths[0], no_wrap=True)
    row.add_column(width=max(map(len, _STYLES)), no_wrap=True)
    row.add_column(width=widths[1], no_wrap=True, overflow="ellipsis")
    row.add_column(ratio=1)  # the bar takes what is left
    row.add_column(width=5, justify="right", no_wrap=True)
    fraction = station["fraction"] if station["step"] else None
    row.add_row(
        Text(name, style="bold"),
        Text(phase, style=_STYLES.get(phase, "")),
        Text(step),
        "" if fraction is None else ProgressBar(total=1.0, completed=fraction),
        "" if fraction is None else f"{100 * fraction:.0f} %",
    )
    yield Rule(style="dim")
    yield row
    about = _readings(station)
    if "steps" in station:
        about.append(f"{station['steps_behind']} of {station['steps']} steps")
    if station["waits_for"]:
        about.append(f"waits until {_moment(station['waits_until_s'], zone, '%a %H:%M')} for {station['waits_for']}")
    elif station["detail"]:
        about.append(station["detail"])
    yield _indented(", ".join(about), widths[0], "dim")
    for reason in dict.fromkeys(filter(None, (station["fault"], station["hold"], station["needs_person"]))):
        yield _indented(f"a person is needed: {reason}", widths[0], "bold red")


def _indented(text: str, by: int, style: str) -> RenderableType:
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=by)
    row.add_column(ratio=1)
    row.add_row("", Text(text, style=style))
    return row


def _readings(station: Mapping[str, Any]) -> list[str]:
    """What is worth watching, in the units of the bench."""
    values: Mapping[str, float] = station["readings"]
    said = []
    if "sensor_K" in values:
        wanted_K, sample_K = station.get("setpoint_K"), station.get("sample_wanted_K")  # older engines show neither
        within = "" if sample_K is None else f" for {sample_K - 273.15:.1f} in the sample"
        of = "" if wanted_K is None else f" (set {wanted_K - 273.15:.1f}{within})"
        said.append(f"{values['sensor_K'] - 273.15:.1f} °C{of}")
    if values.get("spinning_Hz"):
        said.append(f"{values['spinning_Hz'] / 1000:.2f} kHz")
    if "voltage_V" in values:
        said.append(f"{values['voltage_V']:.3f} V")
    if "current_A" in values:
        said.append(f"{1e3 * values['current_A']:.3f} mA")
    return said


def _news(title: str, news: Iterable[News], zone: dt.tzinfo | None, *, style: str) -> Iterator[RenderableType]:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    before = ""
    for one in news:
        who = one.step_id or one.station or "all"
        said = one.text.removesuffix(before).rstrip(": ") or one.text  # a fault, then that it is safe from it
        said = said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"  # whole where a person is asked for
        table.add_row(_moment(one.at_s, zone, "%a %H:%M"), Text(f"{who}: {said}", style=style))
        before = one.text
    if table.row_count:
        yield Rule(title, style="dim", align="left")
        yield table


def _moment(at_s: float, zone: dt.tzinfo | None, form: str) -> str:
    return dt.datetime.fromtimestamp(at_s, dt.UTC).astimezone(zone).strftime(form)

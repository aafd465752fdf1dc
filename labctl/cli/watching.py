"""``labctl watch``: a running campaign seen from another terminal; plain lines where there is none."""

from __future__ import annotations

import datetime as dt
import sys
import time
from pathlib import Path

from labctl.cli.operating import engine_runs
from labctl.cli.run_folder import JOURNAL, thaw
from labctl.run.following import Follower, News

_EVERY_S = 1.0
_FRESH_S = 10.0  # a living engine shows itself every second or at each poll


def watch_command(directory: Path) -> int:
    """Show a campaign until no engine runs it any more; Ctrl-C leaves it as it is."""
    start = thaw(directory)
    follower = Follower(directory)
    try:
        if sys.stdout.isatty():
            _draw(follower, directory, simulated=start.simulated)
        else:
            _tell(follower, directory)
    except KeyboardInterrupt:
        return 0
    return 0


def _runs(follower: Follower, directory: Path) -> bool:
    """Whether an engine is there; its lock is tried only where nothing else tells, for it might want it just then."""
    followed = follower.followed
    if followed.shown_age_s < _FRESH_S and followed.shown["phase"] == "running":
        return True
    return (directory / JOURNAL).is_file() and engine_runs(directory / JOURNAL)


def _draw(follower: Follower, directory: Path, *, simulated: bool) -> None:
    from rich.live import Live

    from labctl.cli.console import console
    from labctl.cli.live_view import live_view

    follower.look()
    with Live(live_view(follower.followed, simulated=simulated), console=console(), auto_refresh=False) as live:
        while _runs(follower, directory):
            time.sleep(_EVERY_S)
            follower.look()
            live.update(live_view(follower.followed, simulated=simulated), refresh=True)
    print(f"no engine runs it now; `labctl status {directory}` says how it stands")


def _tell(follower: Follower, directory: Path) -> None:
    for one in follower.look()[-10:]:
        print(line_of(one), flush=True)
    while _runs(follower, directory):
        time.sleep(_EVERY_S)
        for one in follower.look():
            print(line_of(one), flush=True)


def line_of(news: News) -> str:
    """Return news as a line of a log."""
    moment = dt.datetime.fromtimestamp(news.at_s, dt.UTC)
    who = news.step_id or news.station or "all"
    again = f", attempt {news.attempt}" if news.what == "begun" and news.attempt > 1 else ""
    said = f"begun{again}" if news.what == "begun" else news.text
    return f"{moment:%Y-%m-%d %H:%M:%S}Z {who}: {said}"

"""Following a campaign from outside while it goes: only what is new is read, and no lock is taken.

What the engine shows of itself (``standing.json``) tells where the stations are, the journal what came out and what
went wrong. Like `labctl.run.standing` this loads neither pydantic nor the engine.
"""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.run.standing import open_journal, words

SHOWN = "standing.json"
_KEPT = 50
_KINDS = ("intent", "handed_off", "verified", "failed", "operator", "safe_state", "alarm")


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something the journal tells.

    Attributes
    ----------
    at_s : float
        Wall time, simulated in a dry run [s since 1970 UTC].
    what : str
        ``begun`` a step's attempt, ``result`` of analysis, or ``incident``: fault, alarm, safe state, a person's verb.
    """

    at_s: float
    what: str
    station: str
    step_id: str
    attempt: int
    text: str


@dataclass(slots=True, kw_only=True)
class Followed:
    """A campaign as it stands, for people.

    Attributes
    ----------
    shown : dict
        What the engine shows of itself; empty if none ever did (`labctl.run.noticeboard`).
    shown_age_s : float
        How long ago it was shown, in real time [s]; infinity if never.
    results, incidents : deque of News
        The last ones, oldest first.
    """

    campaign: str = ""
    shown: dict[str, Any] = field(default_factory=dict)
    shown_age_s: float = float("inf")
    results: deque[News] = field(default_factory=lambda: deque(maxlen=_KEPT))
    incidents: deque[News] = field(default_factory=lambda: deque(maxlen=_KEPT))


class Follower:
    """Looks at a run folder again and again.

    Parameters
    ----------
    run_dir : Path
        Of a campaign that may not have begun yet.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._seq = 0
        self.followed = Followed()

    def look(self) -> list[News]:
        """Bring `followed` up to date and return what is new since the last look, oldest first.

        Raises
        ------
        InputError
            The journal cannot be read.
        """
        self._read_shown()
        path = self._run_dir / "journal.sqlite"
        if not path.is_file():
            return []
        new: list[News] = []
        with open_journal(path) as db:
            if not self.followed.campaign:
                row = db.execute("SELECT campaign FROM journal WHERE seq=1").fetchone()
                self.followed.campaign = row[0] if row else ""
            for seq, kind, station, step_id, attempt, at_s, body in db.execute(
                "SELECT seq, kind, station, step_id, attempt, wall_s, body FROM journal WHERE seq>? ORDER BY seq",
                (self._seq,),
            ):
                self._seq = seq
                if kind in _KINDS and (told := _told(kind, body)) is not None:
                    what, text = told
                    new.append(News(at_s=at_s, what=what, station=station, step_id=step_id, attempt=attempt, text=text))
        for one in new:
            if one.what == "result":
                self.followed.results.append(one)
            elif one.what == "incident":
                self.followed.incidents.append(one)
        return new

    def _read_shown(self) -> None:
        path = self._run_dir / SHOWN
        try:
            shown = json.loads(path.read_text(encoding="utf-8"))
            self.followed.shown_age_s = max(0.0, time.time() - path.stat().st_mtime)
        except (OSError, ValueError):
            return  # not there yet, or just being renewed on Windows: what was read last holds
        if isinstance(shown, dict):
            self.followed.shown = shown


def _told(kind: str, text: str) -> tuple[str, str] | None:
    """Return whether an event is a beginning, a result or an incident, and what it says to people."""
    if kind == "intent":
        return "begun", ""
    body = json.loads(text)
    verdict = body["verdict"] if body["event"] in {"HandedOff", "PartJudged"} else {"message": ""}
    if verdict["message"] and verdict["gate"] != "stop":
        warnings = sum(one != verdict["message"] for one in verdict["warnings"])
        more = f" ({warnings} warning{'s' if warnings > 1 else ''})" if warnings else ""
        return "result", f"{verdict['message']}{more}"
    incident = words(body)
    return ("incident", incident) if incident else None

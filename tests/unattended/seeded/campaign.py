"""A whole campaign from one seed: stations, plan, faults, deaths of the engine, persons, clocks and a full disk.

`SeededCampaign(seed, folder).run()` returns what must never happen and did; nothing else tells of success. What is true
is asked of the stations (`tests.unattended.seeded.sites`), not of labctl's journal: the journal is held against it.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

from labctl.clock import VirtualClock
from labctl.dataset.model import Dataset, Verdict
from labctl.errors import ForeignDataError, InstrumentError, LabctlError
from labctl.plan.steps import Plan
from labctl.run.desk import Refused, operated_event
from labctl.run.engine import CampaignOutcome, Engine
from labctl.run.events import Operated
from labctl.run.journal import Journal, JournalUnwritable
from labctl.run.lifecycle import StationPhase
from labctl.run.options import EngineOptions, StationOptions
from labctl.run.requests import Request
from tests.run.campaigns import CAMPAIGN
from tests.unattended.seeded.drawing import START_S, draw
from tests.unattended.seeded.host import HostClock
from tests.unattended.seeded.judging import Judge, Waits
from tests.unattended.seeded.spectrometer import Spectrometer
from tests.unattended.seeded.watched import Death, Gone, Life, Stuck, Watched

Ending = CampaignOutcome | LabctlError | None
"""How an engine's life ended; None: it died."""

FOREIGN = b"somebody else's spectrum\n"
_LIVES = 12
_PERSONS = 2
_DISK_GIVE_UP_S = 1800.0
_LEFT = (StationPhase.PAUSED, StationPhase.SAFE, StationPhase.UNCONFIRMED)


class SeededCampaign:
    """One campaign, drawn from a seed.

    Parameters
    ----------
    kinds : tuple of str
        Only these faults, and only the spectrometer; empty: whatever is drawn.
    """

    def __init__(self, seed: int, folder: Path, *, kinds: tuple[str, ...] = ()) -> None:
        self.seed = seed
        self.folder = folder
        self.run_dir = folder / "run"
        self.clock = VirtualClock(START_S)
        self.chance = random.Random(seed)
        folder.mkdir(parents=True, exist_ok=True)
        self.sites, self.schedule = draw(self.chance, self.clock, folder, kinds)
        self.told = self.schedule.lines()
        steps = tuple(step for site in self.sites.values() for step in site.steps)
        self.plan = Plan(campaign=CAMPAIGN, steps=steps)
        self._verbs = list(self.schedule.verbs)
        self._deaths = list(self.schedule.deaths)
        self._calls: dict[str, Counter[str]] = {name: Counter() for name in self.sites}
        self._judge = Judge(self.sites, self.run_dir, self.clock)
        self.foreign = self._put_foreign_data() if self.schedule.taken_slot else None
        self.clock.add_source(self._next_moment_s)
        self.story: list[str] = []
        self._engine: Engine | None = None

    def _put_foreign_data(self) -> Path:
        task: Any = self.plan.step(self.schedule.taken_slot).task
        path = self.run_dir / "nmr" / str(task.expno_slot + 1) / "data.txt"
        path.parent.mkdir(parents=True)
        path.write_bytes(FOREIGN)
        return path

    def _next_moment_s(self) -> float | None:
        moments = [at_s for at_s, _ in self._verbs] + list(self.schedule.full or ())
        return min((at_s for at_s in moments if at_s > self.clock.now_s()), default=None)

    def disk_is_full(self) -> bool:
        """Whether nothing can be written now."""
        full = self.schedule.full
        return full is not None and full[0] <= self.clock.now_s() < full[1]

    # ------------------------------------------------------------------------------------------ lives

    def run(self) -> list[str]:
        """Let engines live and die until the campaign rests and nobody comes any more; return what was broken."""
        attended, persons, lives = "", 0, 0
        while True:
            lives += 1
            ending = self._life(self._deaths.pop(0) if self._deaths else Death(), attended)
            self.story.append(f"{self.clock.now_s() - START_S:.0f} s: {told(ending)}")
            self._judge.look_at_files()
            attended = ""
            if self._judge.broken:
                return self._judge.broken
            if ending is None:
                self._pass(self.chance.choice((0.0, 30.0, 600.0, 12_000.0)))
                continue
            if isinstance(ending, CampaignOutcome) and ending.exit_code == 0:
                break
            if persons >= _PERSONS or lives >= _LIVES or self.chance.random() < 0.3:
                break
            if self.chance.random() < 0.2:  # started once more, by something that starts what has ended
                self._pass(60.0)
                continue
            persons += 1
            self._pass(self.chance.choice((60.0, 3600.0, 36_000.0)))
            attended = "looked after everything"
            for site in self.sites.values():
                site.mend()
            self._move_foreign_data(ending)
        self._judge.foreign(self.foreign, FOREIGN)
        if self._engine is not None:
            self._judge.judge(self._engine.state, ending, began=len(self.story) > 1)
        return self._judge.broken + [what for site in self.sites.values() for what in site.truth.broken]

    def _pass(self, for_s: float) -> None:
        """Let time pass with no engine; what the console does by itself it does on time."""
        until_s = self.clock.now_s() + for_s
        nmr = self.sites.get("nmr")
        while self.clock.now_s() < until_s:
            due_s = nmr.next_event_s() if isinstance(nmr, Spectrometer) else None
            self.clock._now_s = min(until_s, due_s) if due_s is not None else until_s
            if isinstance(nmr, Spectrometer):
                nmr.live()

    def _move_foreign_data(self, ending: Ending) -> None:
        """A person moves what stood in our place."""
        if self.foreign is not None and isinstance(ending, ForeignDataError) and self.foreign.exists():
            self._judge.foreign(self.foreign, FOREIGN)
            self.foreign.rename(self.folder / "theirs.txt")
            self._judge.forget(self.foreign)
            self.foreign = None

    def _life(self, death: Death, attended: str) -> Ending:
        host = HostClock(self.clock, boot_s=START_S - 1e4 * self.chance.random(), jumps=self.schedule.jumps)
        life = Life(death, host, self.run_dir / "journal.sqlite", self.disk_is_full)
        life.fill_disk()

        def operator() -> list[Operated]:
            life.turn()
            return self._verbs_due()

        instruments: dict[str, Any] = {
            name: Watched(site.driver(host), site, life, self.schedule.losses[name], self._calls[name])
            for name, site in self.sites.items()
        }
        self._engine_lives(True)
        try:
            self._engine = Engine(
                self.plan,
                instruments,
                clock=host,
                run_dir=self.run_dir,
                journal=life.journal,
                options=EngineOptions(
                    policy=self.schedule.policy,
                    state_dir=self.folder / "state",
                    stations={name: StationOptions(limits=site.limits) for name, site in self.sites.items()},
                    operator=operator,
                    operator_continues=any(verb == "continue" for _, verb in self._verbs),
                    attended=attended,
                    disk_give_up_s=_DISK_GIVE_UP_S,
                ),
                on_dataset=_verdict,
            )
            return self._engine.run()
        except Gone:
            return None
        except Stuck:
            if life.asks_for_person():
                return Waits("it waits for a person, and has said so")
            self._judge.broken.append("an engine went round and round for hours, and nothing came of it")
            return None
        except (ForeignDataError, InstrumentError, JournalUnwritable) as error:
            return error
        finally:
            life.journal.close()
            self._engine_lives(False)

    def _engine_lives(self, lives: bool) -> None:
        for site in self.sites.values():
            site.engine_lives = lives

    def _verbs_due(self) -> list[Operated]:
        asked: list[Operated] = []
        while self._verbs and self._verbs[0][0] <= self.clock.now_s() and self._engine is not None:
            _, verb = self._verbs.pop(0)
            state = self._engine.state
            wanted = Request.model_construct(
                id=f"asked-{len(self._verbs)}",
                verb=verb,
                reason="a person's wish",
                by="somebody",
                station=self.chance.choice(("", *self.sites)),
                step_id=self.chance.choice(self.plan.steps).id if verb == "skip" else "",
                protocol="",
                base="",
            )
            try:
                event = operated_event(wanted, state)
            except Refused:
                continue
            if verb == "continue":
                for name in [event.station] if event.station else list(self.sites):
                    if state.stations[name].phase in _LEFT:
                        self.sites[name].mend()
            asked.append(event)
        return asked

    def events(self) -> str:
        """Kinds and times of all that the journal holds."""
        journal = Journal(self.run_dir / "journal.sqlite", clock=self.clock, read_only=True)
        try:
            return "\n".join(f"{row.wall_s} {row.kind} {row.station} {row.step_id}" for row in journal.rows())
        finally:
            journal.close()

    def account(self) -> str:
        """What a person needs to see what went wrong: seed, stations, schedule, how each engine ended."""
        told_lives = "\n".join(f"  {line}" for line in self.story)
        schedule = "\n".join(f"  {line}" for line in self.told)
        return f"seed {self.seed}: {', '.join(self.sites)}\n{schedule}\nlives:\n{told_lives}"


def _verdict(path: Path, dataset: Dataset) -> Verdict:
    """No analysis: now and then a person is asked for, by the step alone."""
    assert path.is_file()
    return Verdict(gate="stop", message="look at it") if dataset.key.startswith("7") else Verdict()


def told(ending: Ending) -> str:
    """How an engine's life ended, in a line."""
    if ending is None:
        return "the engine died"
    if isinstance(ending, CampaignOutcome):
        return f"{ending.phase.value}: {dict(ending.reasons)}"
    return f"{type(ending).__name__}: {ending}"

"""What must be true of a campaign, however it went: asked of the stations, held against journal and run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from labctl.clock import VirtualClock
from labctl.dataset.model import Dataset
from labctl.dataset.store import damaged_files, read_manifests
from labctl.errors import ForeignDataError, InstrumentError, LabctlError
from labctl.ports import Effect
from labctl.run.events import Failed, Finished, Intended
from labctl.run.journal import Journal, JournalUnwritable
from labctl.run.lifecycle import StationPhase
from labctl.run.outcome import CampaignOutcome
from labctl.run.state import BEHIND, State
from tests.unattended.seeded.sites import Site
from tests.unattended.seeded.spectrometer import Spectrometer


class Waits(LabctlError):
    """The engine waits for a person, and has said so."""


class Judge:
    """Collects what was broken.

    Attributes
    ----------
    broken : list of str
        What must never happen and did, beyond what the stations noted themselves.
    """

    def __init__(self, sites: Mapping[str, Site], run_dir: Path, clock: VirtualClock) -> None:
        self._sites = sites
        self._run_dir = run_dir
        self._clock = clock
        self._digests: dict[str, str] = {}
        self.broken: list[str] = []

    # ------------------------------------------------------------------------------------------- between lives

    def look_at_files(self) -> None:
        """Nothing is overwritten: what has come into the run folder stays there as it came."""
        for name in self._sites:
            for path in sorted((self._run_dir / name).rglob("*")):
                if not path.is_file():
                    continue
                here = path.relative_to(self._run_dir).as_posix()
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                if self._digests.setdefault(here, digest) != digest:
                    self.broken.append(f"{here} was overwritten")
        self.broken += [f"{here} is gone" for here in self._digests if not (self._run_dir / here).is_file()]

    def forget(self, path: Path) -> None:
        """A person has moved that file."""
        self._digests.pop(path.relative_to(self._run_dir).as_posix(), None)

    def foreign(self, path: Path | None, data: bytes) -> None:
        """Somebody else's data stay as they are."""
        if path is not None and path.read_bytes() != data:
            self.broken.append("somebody else's data were touched")

    # ------------------------------------------------------------------------------------------- at the end

    def judge(self, state: State, ending: CampaignOutcome | LabctlError | None, *, began: bool) -> None:
        """Hold all that happened against all that was written down."""
        unwritten = isinstance(ending, JournalUnwritable)  # every station was asked to go safe; no more can be told
        intents = self._intents(state, unwritten=unwritten or isinstance(ending, Waits))
        manifests = {f"{dataset.key[:8]}-{dataset.attempt}": dataset for dataset in read_manifests(self._run_dir)}
        for dataset in manifests.values():
            if damaged := damaged_files(self._run_dir, dataset):
                self.broken.append(f"{dataset.step_id}: files are not as recorded: {damaged}")
        for name, site in self._sites.items():
            self._begun(site, intents)
            if unwritten or isinstance(ending, Waits):
                continue
            if isinstance(ending, InstrumentError) and not isinstance(ending, ForeignDataError):
                if site.truth.begun and not began:
                    self.broken.append(f"{name}: begun although not every station could be opened")
                continue
            self._rests(site, state)
            if isinstance(site, Spectrometer):
                self._kept(site, state, manifests)

    def _intents(self, state: State, *, unwritten: bool) -> dict[str, float]:
        """Return when each token was intended [lab's time]; every intent came to something, or somebody is asked."""
        journal = Journal(self._run_dir / "journal.sqlite", clock=self._clock, read_only=True)
        intents: dict[str, float] = {}
        ended: set[tuple[str, int]] = set()
        attempts: dict[tuple[str, int], str] = {}
        try:
            journal.verify_chain()
            for row in journal.rows(("intent", "outcome", "failed")):
                event = row.event
                if isinstance(event, Intended):
                    intents[f"{event.key[:8]}-{event.attempt}"] = row.wall_s
                    attempts[event.step_id, event.attempt] = event.station
                elif isinstance(event, Finished | Failed):
                    ended.add((event.step_id, event.attempt))
        finally:
            journal.close()
        for (step_id, attempt), name in attempts.items():
            record, station = state.steps[step_id], state.stations[name]
            if (step_id, attempt) in ended or record.status in {"skipped", "failed"} or record.attempt > attempt:
                continue
            if not (station.hold or station.fault or unwritten):
                self.broken.append(
                    f"{step_id}, attempt {attempt}, was intended and nothing came of it: {record.status}"
                )
        return intents

    def _begun(self, site: Site, intents: Mapping[str, float]) -> None:
        """No measurement without its intent, none twice, and what changes the sample once in all."""
        tokens = [token for token, _ in site.truth.begun]
        for token in sorted({token for token in tokens if tokens.count(token) > 1}):
            self.broken.append(f"{site.name}: {token} was begun {tokens.count(token)} times")
        self.broken += [f"{site.name}: {token} was begun without intent" for token in tokens if token not in intents]
        if site.steps[0].effect is Effect.IRREVERSIBLE and len(tokens) > 1:
            self.broken.append(f"{site.name}: the cell was cycled {len(tokens)} times")

    def _rests(self, site: Site, state: State) -> None:
        """Every station has come to its end, or a person is told why it stands; and nothing is left on."""
        name, station = site.name, state.stations[site.name]
        match station.phase:
            case StationPhase.FINISHED:
                undone = [step.id for step in site.steps if state.steps[step.id].status not in BEHIND]
                if undone and not state.aborted:
                    self.broken.append(f"{name} is finished and {undone} are not")
            case StationPhase.SAFE | StationPhase.PAUSED | StationPhase.UNCONFIRMED:
                if not (station.hold or station.fault):
                    self.broken.append(f"{name} is {station.phase.value} and nobody is told why")
            case _:
                self.broken.append(f"{name} was left {station.phase.value}")
        if station.phase is not StationPhase.UNCONFIRMED:
            if site.heats():
                self.broken.append(f"{name} is {station.phase.value} and heats")
            if site.measures() and station.phase is not StationPhase.PAUSED:
                self.broken.append(f"{name} is {station.phase.value} and measures")

    def _kept(self, site: Spectrometer, state: State, manifests: Mapping[str, Dataset]) -> None:
        """What was acquired to its end is in the run folder once its station is through, and is not done again."""
        ends = {token: site.console.entries[token] for token, _ in site.truth.begun}
        whole = {token for token, entry in ends.items() if entry.end == "done" and entry.ends_s <= self._clock.now_s()}
        for token in sorted(whole - manifests.keys()):
            record = state.steps[ends[token].order.step_id]
            if record.attempt > ends[token].order.attempt:
                self.broken.append(f"{token} was acquired to its end, and then again")
            if state.stations[site.name].phase is StationPhase.FINISHED and record.status != "skipped":
                self.broken.append(f"{token} was acquired and is lost")

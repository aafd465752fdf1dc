"""Each finished dataset is judged here: by this process, or for it by a second one where a rehearsal is long."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.cli.adapting import plans_itself
from labctl.cli.planning import checked
from labctl.cli.second_process import Lost
from labctl.ports import Measurement

if TYPE_CHECKING:
    from labctl.analysis.results import Results
    from labctl.cli.second_process import SecondProcess
    from labctl.dataset.model import Dataset, Verdict
    from labctl.plan.steps import Plan
    from labctl.run.events import Amended
    from labctl.run.handoff import Promise

_FIRST_PARTS, _EACH_PART = 5, 25
LONG = 60
"""A rehearsal of so many acquisitions is worth a second process."""


class Judging:
    """Hands each finished dataset to the analysis, with the ones before it; after a part of one, renews the report.

    Attributes
    ----------
    plan : Plan
        As it stands now.
    promises : bool
        Whether `promise` may be used: in a long rehearsal that does not plan itself. By the plan alone, so that what
        comes in when does not depend on the computer.
    """

    def __init__(self, run_dir: Path, plan: Plan, protocol: Path, *, rehearsal: bool) -> None:
        from labctl.cli.adapting import Following
        from labctl.cli.finishing import finish
        from labctl.cli.refreshing import Refreshing
        from labctl.dataset.store import manifest_path, read_manifests, read_verdict

        self._run_dir = run_dir
        self.plan = plan
        self._protocol = protocol
        self._rehearsal = rehearsal
        self.following = Following(run_dir, lambda: self._protocol)
        self._refresh = Refreshing(run_dir, finish)
        self._earlier: list[tuple[Dataset, Verdict]] = []
        for dataset in read_manifests(run_dir):
            verdict = read_verdict(manifest_path(run_dir, dataset.step_id, dataset.attempt))
            if verdict is not None:
                self._earlier.append((dataset, verdict))
        acquisitions = sum(isinstance(step.task, Measurement) for step in plan.steps)
        self.promises = rehearsal and acquisitions >= LONG and not self._plans_itself()
        self._second: SecondProcess | None = None
        self._latest: dict[str, str] = {}
        self._complete: set[str] = set()

    def amended(self, event: Amended) -> None:
        """Judge by another protocol from now on."""
        self.follow_protocol(self._run_dir / event.protocol_file)

    def follow_protocol(self, protocol: Path) -> None:
        """Judge by this protocol from now on."""
        if protocol != self._protocol:
            self._protocol = protocol
            self.plan = checked(self._protocol, self._run_dir / "lab.yaml").plan

    def _plans_itself(self) -> bool:
        return plans_itself(checked(self._protocol, self._run_dir / "lab.yaml").protocol.model)

    # ------------------------------------------------------------------------------------ beside a second process

    def have_second(self, second: SecondProcess) -> None:
        """Let another process judge what `promise` is asked for."""
        self._second = second

    def promise(self, manifest: Path, dataset: Dataset) -> Promise | None:
        """Promise a verdict that decides nothing; None for one on which what happens next may depend."""
        if self._second is not None:
            self._look_ahead(self._second, dataset)
        if _decides(dataset) or self._plans_itself():  # which an amendment may have brought about
            return None
        here = partial(self, manifest, dataset)
        if self._second is None or (dataset.part and not _is_looked_at(dataset.part)):
            return here
        try:
            there = self._second.judge(manifest, self._protocol)
        except Lost:
            return here

        def wherever() -> Verdict:
            try:
                verdict = there()
            except Lost:
                return here()
            if not dataset.part:
                self._earlier.append((dataset, verdict))
            return verdict

        return wherever

    def finish(self) -> Results:
        """Make results, figures and report, and return the results."""
        from labctl.cli.finishing import finish

        try:
            if self._second is not None:
                return self._second.finish(self._run_dir)
        except Lost:
            pass
        return finish(self._run_dir)

    def _look_ahead(self, second: SecondProcess, dataset: Dataset) -> None:
        """Tell the other process what gets no more data, as far as the order of datasets shows it."""
        station, procedure, temperature = (*dataset.step_id.split("/"), "", "")[:3]
        known = len(self._complete)
        now, before = f"{station}/{procedure}/{temperature}", self._latest.get(station, "")
        if before and before != now:
            self._complete.add(before)
            if not now.startswith(f"{before.rpartition('/')[0]}/"):
                self._complete.add(before.rpartition("/")[0])
        self._latest[station] = now
        last = next(one for one in reversed(self.plan.of_station(station)) if isinstance(one.task, Measurement))
        if dataset.step_id == last.id and not dataset.part:
            self._complete.add(f"{station}/{procedure}")
        if len(self._complete) > known:
            second.look_ahead(self._protocol, self._complete)

    # ------------------------------------------------------------------------------------------------ in this one

    def __call__(self, _manifest: Path, dataset: Dataset) -> Verdict:
        from labctl.analysis.judge import judge
        from labctl.cli.finishing import analysis_context
        from labctl.dataset.model import Verdict

        if dataset.part and dataset.kind == "exsy":
            return self._of_rows_so_far(dataset)
        if dataset.part and self._rehearsal and not _is_looked_at(dataset.part):
            return Verdict()
        context = analysis_context(self.plan, f"{dataset.station}/{dataset.procedure}")
        verdict = judge(self._run_dir, dataset, context, tuple(self._earlier))
        verdict = self._with_decision(verdict, dataset)
        if dataset.part:  # nothing waits for the verdict on a part; a rehearsal's report is made once, at its end
            if not self._rehearsal:
                self._refresh()
        else:
            self._earlier.append((dataset, verdict))
        return verdict

    def _of_rows_so_far(self, dataset: Dataset) -> Verdict:
        """Say what the rows of a 2D that goes on tell; no report is made of them, and nothing is lost if that fails."""
        from labctl.analysis.judge import judge
        from labctl.cli.finishing import analysis_context
        from labctl.dataset.model import Verdict

        try:
            told, enough = self.following.look_at_part(dataset, tuple(self._earlier))
        except Exception as problem:  # noqa: BLE001 - the acquisition goes on and is judged as a whole
            text = f"the rows so far could not be judged: {type(problem).__name__}: {problem}"
            return Verdict(message=text, warnings=(text,))
        if told:
            return Verdict(gate="enough" if enough else "pass", message=told)
        context = analysis_context(self.plan, f"{dataset.station}/{dataset.procedure}")
        found = judge(self._run_dir, dataset, context, tuple(self._earlier))
        rows = f"{dataset.settings.get('rows_acquired')} of {dataset.settings.get('rows')} rows"
        return Verdict(measured=found.measured, message=f"{rows}: {found.message}")

    def _with_decision(self, verdict: Verdict, dataset: Dataset) -> Verdict:
        """Add what an adaptive procedure decided; if it cannot decide, the campaign ends as planned."""
        try:
            decided = self.following.consider(dataset, tuple(self._earlier))
        except Exception as problem:  # noqa: BLE001 - whatever a decision stumbles over must not cost a dataset
            text = f"what to measure next could not be decided: {type(problem).__name__}: {problem}"
            return replace(verdict, warnings=(*verdict.warnings, text))
        if not decided:
            return verdict
        return replace(verdict, message=f"{verdict.message}; {decided}" if verdict.message else decided)


def _decides(dataset: Dataset) -> bool:
    """Whether what happens next may depend on the verdict: recycle delay, pulse, settled or not, enough rows."""
    from labctl.analysis.gather import role_of

    match dataset.kind:
        case "impedance" | "cycling":
            return False
        case "one_pulse":
            return role_of(dataset) != "reference"
        case "exsy":
            return bool(dataset.part)
        case _:
            return True


def _is_looked_at(part: int) -> bool:
    """Whether a rehearsal judges a part on the way: the first ones and then some, for each takes all those before."""
    return part <= _FIRST_PARTS or part % _EACH_PART == 0

"""An adaptive procedure while it runs: after its last planned 2D, what the data want measured next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.cli.planning import checked
from labctl.cli.run_folder import JOURNAL
from labctl.ports import Acquire, Exsy

if TYPE_CHECKING:
    from labctl.cli.planning import Checked
    from labctl.dataset.model import Dataset, Verdict
    from labctl.design.ask import Question
    from labctl.plan.steps import Step
    from labctl.protocol.model import Procedure, Protocol
    from labctl.run.events import HandedOff


class Following:
    """Decides in analysis' thread, and tells the engine's when the verdict comes in.

    Nothing is kept that a new engine would miss: the decision follows from the datasets, the protocol as it stands, the
    verdicts and what persons said by the journal, so that one taken again after a death is the same.

    Parameters
    ----------
    current : callable
        The protocol that the campaign follows now. A decision that was taken from an older one, because a person
        amended it meanwhile, is taken again.
    """

    def __init__(self, run_dir: Path, current: Callable[[], Path]) -> None:
        self._run_dir = run_dir
        self._current = current
        self._lock = threading.Lock()
        self._wanted: dict[tuple[str, int], _Wanted] = {}

    def consider(self, dataset: Dataset, earlier: Sequence[tuple[Dataset, Verdict]]) -> str:
        """Return what was decided after a dataset, in a sentence; empty if there was nothing to decide."""
        if dataset.kind not in {"exsy", "one_pulse"} or dataset.part:
            return ""
        protocol = self._current()
        done = checked(protocol, self._run_dir / "lab.yaml")
        place = _place(done, dataset)
        if place is None:
            return ""
        prefix = f"{dataset.station}/{dataset.procedure}/"
        steps = [step for step in done.plan.steps if step.id.startswith(prefix)]
        said = said_by_people(self._run_dir / JOURNAL, prefix)
        if dataset.kind != "exsy" and not (said.since_last_2d and _is_reference(dataset, steps)):
            return ""  # behind a 2D it was decided already, unless a person has said something since
        behind = {one.step_id for one, _ in earlier} | {dataset.step_id} | said.skipped
        if any(step.role == "exsy" and step.id not in behind for step in steps):
            return ""  # something is planned already
        from labctl.analysis.matrices import exchange_matrices
        from labctl.design.follow import what_follows
        from labctl.design.written import yaml_text

        asked = question_of(done, place, steps)
        matrices, own = exchange_matrices(
            self._run_dir, dataset.station, dataset.procedure, _sites(done, place), asked.model.phases
        )
        T1 = _measured_T1(earlier, prefix)
        found = what_follows(
            asked,
            done.protocol.located.data,
            place,
            matrices,
            T1,
            spent_s=dataset.ended_s - min(one.started_s for one in own),
            vetoed=[
                (step.task.sample_K, step.task.experiment.mixing_time_s)
                for step in steps
                if step.id in said.skipped and isinstance(step.task, Acquire) and isinstance(step.task.experiment, Exsy)
            ],
        )
        decision = found.decision
        if found.document is None:
            return f"nothing more is measured: {decision.reason}"
        answer = (yaml_text(found.document), f"adapt: {decision.reason}")
        with self._lock:
            self._wanted[dataset.step_id, dataset.attempt] = _Wanted(protocol, answer, dataset, tuple(earlier))
        return f"next: {decision.reason}"

    def look_at_part(self, dataset: Dataset, earlier: Sequence[tuple[Dataset, Verdict]]) -> tuple[str, bool]:
        """Return what the rows of a 2D that goes on tell already, and whether it is to be ended for that.

        Only an adaptive procedure has a belief that few rows could be held against, and only where its `adapt` says
        `stop_early` is anything ended.
        """
        rows, asked_rows = int(dataset.settings["rows_acquired"]), int(dataset.settings["rows"])
        done = checked(self._current(), self._run_dir / "lab.yaml")
        place = _place(done, dataset)
        if place is None:
            return "", False
        from labctl.analysis.matrices import exchange_matrices
        from labctl.design.live import least_rows, live

        prefix = f"{dataset.station}/{dataset.procedure}/"
        steps = [step for step in done.plan.steps if step.id.startswith(prefix)]
        asked = question_of(done, place, steps)
        if rows < least_rows(asked.model.encoding):
            return f"{rows} of {asked_rows} rows, too few to tell the lines apart", False
        *complete, part = exchange_matrices(
            self._run_dir, dataset.station, dataset.procedure, _sites(done, place), asked.model.phases, also=dataset
        )[0]
        found = live(asked, complete, part, asked_rows, _measured_T1(earlier, prefix))
        adapt = done.protocol.model.procedures[place].vt_exsy.adapt
        if adapt is None or not adapt.stop_early or not found.enough:
            return found.words(rows, asked_rows), False
        return f"{found.words(rows, asked_rows)}: {found.enough}", True

    def __call__(self, event: HandedOff) -> tuple[str, str] | None:
        """Return the protocol that follows from a dataset, and the reason."""
        with self._lock:
            wanted = self._wanted.pop((event.step_id, event.attempt), None)
        if wanted is None or wanted.protocol == self._current():
            return None if wanted is None else wanted.answer
        self.consider(wanted.dataset, wanted.earlier)
        with self._lock:
            again = self._wanted.pop((event.step_id, event.attempt), None)
        return None if again is None else again.answer


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Text of a protocol and the reason, and what they were decided from."""

    protocol: Path
    answer: tuple[str, str]
    dataset: Dataset
    earlier: tuple[tuple[Dataset, Verdict], ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What persons said of a procedure: steps that are to be left out, and whether any word came since its last 2D."""

    skipped: frozenset[str]
    since_last_2d: bool


def said_by_people(journal: Path, prefix: str) -> Said:
    """Return what the journal has of persons about the steps below ``station/procedure/``; amendments concern all."""
    from labctl.run.standing import open_journal

    with open_journal(journal) as db:
        words = db.execute(
            "SELECT seq, json_extract(body, '$.step_id') FROM journal WHERE kind='operator' AND"
            " (json_extract(body, '$.verb')='skip' AND json_extract(body, '$.step_id') LIKE ?"
            " OR json_extract(body, '$.event')='Amended' AND json_extract(body, '$.by')<>'labctl')",
            (f"{prefix}%",),
        ).fetchall()
        (last_2d,) = db.execute(
            "SELECT coalesce(max(seq), 0) FROM journal WHERE kind='handed_off' AND step_id LIKE ?",
            (f"{prefix}%/tmix%",),
        ).fetchone()
    return Said(frozenset(step_id for _, step_id in words if step_id), any(seq > last_2d for seq, _ in words))


def question_of(done: Checked, place: int, steps: Sequence[Step]) -> Question:
    """Return what the procedure at a place of the protocol asks; `steps` are its own."""
    from labctl.design.ask import question

    model = done.protocol.model
    procedure = model.procedures[place]
    wanted, sample = procedure.vt_exsy, model.sample_of(procedure)
    frequency_Hz = done.lab.model.station(wanted.station).nuclei[sample.nucleus or ""].frequency_Hz
    return question(wanted, sample, frequency_Hz / 1e6, steps)


def _sites(done: Checked, place: int) -> Mapping[str, float]:
    model = done.protocol.model
    return model.sample_of(model.procedures[place]).sites


def _measured_T1(earlier: Sequence[tuple[Dataset, Verdict]], prefix: str) -> dict[float, dict[str, float]]:
    """Sample temperature [K] to T1 [s] by phase, where it was resolved."""
    T1: dict[float, dict[str, float]] = {}
    for one, verdict in earlier:
        if one.kind == "saturation_recovery" and one.step_id.startswith(prefix) and one.temperature is not None:
            values = {name[5:]: value for name, value in verdict.measured.items() if name.startswith("T1_s/")}
            T1.setdefault(one.temperature.sample_K, {}).update(values)
    return T1


def _is_reference(dataset: Dataset, steps: Sequence[Step]) -> bool:
    return any(step.id == dataset.step_id and step.role == "reference" for step in steps)


def _place(done: Checked, dataset: Dataset) -> int | None:
    """Which procedure of the protocol a dataset belongs to, if that one is adaptive."""
    counted: dict[tuple[str, str], int] = {}
    for place, procedure in enumerate(done.protocol.model.procedures):
        of = (procedure.wanted.station, procedure.name)
        counted[of] = counted.get(of, 0) + 1
        name = procedure.name if counted[of] == 1 else f"{procedure.name}.{counted[of]}"
        if (procedure.wanted.station, name) == (dataset.station, dataset.procedure):
            return place if _is_adaptive(procedure) else None
    return None


def plans_itself(protocol: Protocol) -> bool:
    """Whether any procedure of a protocol decides while it runs what is measured next."""
    return any(_is_adaptive(procedure) for procedure in protocol.procedures)


def _is_adaptive(procedure: Procedure) -> bool:
    return procedure.exsy is not None and procedure.exsy.adapt is not None

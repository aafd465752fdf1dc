"""An adaptive procedure while it runs: after its last planned 2D, what the data want measured next."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.cli.planning import checked

if TYPE_CHECKING:
    from labctl.cli.planning import Checked
    from labctl.dataset.model import Dataset, Verdict
    from labctl.protocol.model import Procedure
    from labctl.run.events import HandedOff


class Following:
    """Decides in analysis' thread, and tells the engine's when the verdict comes in.

    Nothing is kept that a new engine would miss: the decision follows from the datasets, the protocol as it stands and
    the verdicts, so that one taken again after a death is the same.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._lock = threading.Lock()
        self._wanted: dict[tuple[str, int], tuple[str, str]] = {}

    def consider(self, protocol: Path, dataset: Dataset, earlier: Sequence[tuple[Dataset, Verdict]]) -> str:
        """Return what was decided after a dataset, in a sentence; empty if there was nothing to decide."""
        if dataset.kind != "exsy" or dataset.part:
            return ""
        done = checked(protocol, self._run_dir / "lab.yaml")
        place = _place(done, dataset)
        if place is None:
            return ""
        prefix = f"{dataset.station}/{dataset.procedure}/"
        acquired = {one.step_id for one, _ in earlier} | {dataset.step_id}
        steps = [step for step in done.plan.steps if step.id.startswith(prefix)]
        if any(step.role == "exsy" and step.id not in acquired for step in steps):
            return ""  # something is planned already
        from labctl.analysis.matrices import exchange_matrices
        from labctl.design.ask import question
        from labctl.design.follow import what_follows
        from labctl.design.written import yaml_text

        model = done.protocol.model
        procedure = model.procedures[place]
        wanted, sample = procedure.vt_exsy, model.sample_of(procedure)
        frequency_Hz = done.lab.model.station(wanted.station).nuclei[sample.nucleus or ""].frequency_Hz
        asked = question(wanted, sample, frequency_Hz / 1e6, steps)
        matrices, own = exchange_matrices(
            self._run_dir, dataset.station, dataset.procedure, sample.sites, asked.model.phases
        )
        T1: dict[float, dict[str, float]] = {}
        for one, verdict in earlier:
            if one.kind == "saturation_recovery" and one.step_id.startswith(prefix) and one.temperature is not None:
                values = {name[5:]: value for name, value in verdict.measured.items() if name.startswith("T1_s/")}
                T1.setdefault(one.temperature.sample_K, {}).update(values)
        found = what_follows(
            asked,
            done.protocol.located.data,
            place,
            matrices,
            T1,
            spent_s=dataset.ended_s - min(one.started_s for one in own),
        )
        decision = found.decision
        if found.document is None:
            return f"nothing more is measured: {decision.reason}"
        with self._lock:
            self._wanted[dataset.step_id, dataset.attempt] = (yaml_text(found.document), f"adapt: {decision.reason}")
        return f"next: {decision.reason}"

    def __call__(self, event: HandedOff) -> tuple[str, str] | None:
        """Return the protocol that follows from a dataset, and the reason."""
        with self._lock:
            return self._wanted.get((event.step_id, event.attempt))


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


def _is_adaptive(procedure: Procedure) -> bool:
    return procedure.exsy is not None and procedure.exsy.adapt is not None

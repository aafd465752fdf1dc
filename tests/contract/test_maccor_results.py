"""From the simulated cycler through driver and engine to results: cycle by cycle while it runs, and the whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.analysis.campaign import analyze_campaign
from labctl.analysis.context import AnalysisContext
from labctl.analysis.cycling.cell import cell_beside, description
from labctl.analysis.judge import judge
from labctl.clock import VirtualClock
from labctl.dataset.model import Dataset, Verdict
from labctl.dataset.store import read_manifests, read_parts
from labctl.plan.steps import Plan, Step, step_key
from labctl.ports import Effect, Order, Progress
from labctl.run.engine import run_campaign
from labctl.run.history import History, history
from labctl.run.journal import Journal
from labctl.run.options import EngineOptions
from labctl_maccor import open_driver
from labctl_sim_maccor import open_simulator
from tests.contract.test_maccor_cycler import PAPER, TASK

START_S = 1_767_636_000.0
"""5 January 2026: an export writes it 01/05/2026."""
STEP_ID = "maccor/fixed_capacity_cycling/cell"
CELL = replace(
    TASK,
    charges_Ah=tuple(PAPER.charge_Ah(target, "Li2S") for target in (40.0, 80.0)),
    then_cycles=2,
    then_charge_Ah=PAPER.charge_Ah(80.0, "Li2S"),
    mass_se_mg=0.0203,
    sample="mLi2S(LiI)-mLPSC",
    theoretical_mAh_per_g=PAPER.theoretical_mAh_per_g("Li2S"),
    reference="In-Li",
    reference_offset_V=0.62,
    equilibrium_V=1.59,
)
CONTEXT = AnalysisContext(campaign="cycling")


class Campaign:
    """One cell, cycled once for all tests of this file; what results said while it ran."""

    def __init__(self, folder: Path, sample: Path) -> None:
        self.run_dir = folder / "run"
        clock = VirtualClock(START_S)
        settings = {"channel": 3, "current_accuracy": "0.02 %"}
        simulated = open_simulator(
            station="maccor",
            state_dir=folder / "sim",
            clock=clock,
            seed=1,
            sample=sample,
            settings=settings,
            faults=None,
        )
        clock.add_source(simulated.next_event_s)
        driver = open_driver(station="maccor", settings=settings, limits={}, clock=clock, link=simulated.link())
        step = Step(
            id=STEP_ID,
            station="maccor",
            procedure="fixed_capacity_cycling",
            role="cycle",
            task=CELL,
            effect=Effect.IRREVERSIBLE,
            key=step_key(campaign="cycling", step_id=STEP_ID, task=CELL, recycle=None),
            estimate_s=CELL.duration_s,
        )
        self.meanwhile: list[tuple[int, str, list[bool]]] = []
        self.outcome = run_campaign(
            Plan(campaign="cycling", steps=(step,)),
            {"maccor": driver},
            clock=clock,
            run_dir=self.run_dir,
            options=EngineOptions(state_dir=folder / "state"),
            on_dataset=self._seen,
        )
        simulated.close()
        journal = Journal(self.run_dir / "journal.sqlite", clock=clock, read_only=True)
        self.history: History = history(journal)
        journal.close()

    def _seen(self, _manifest: Path, dataset: Dataset) -> Verdict:
        if dataset.part:
            (cell,) = analyze_campaign(self.run_dir, CONTEXT).cycling.cells
            self.meanwhile.append((dataset.part, cell.completeness, [one.counts for one in cell.cycles]))
        return judge(self.run_dir, dataset, CONTEXT)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory, protocols: Path) -> Campaign:
    """The campaign, at its end."""
    return Campaign(tmp_path_factory.mktemp("cycling"), protocols / "samples" / "in_li_lpsc_li2s.yaml")


def test_results_are_there_while_the_cell_goes_on(campaign: Campaign) -> None:
    """At each cycle's end the run folder gives its results, marked partial; the cycle under way does not count."""
    assert campaign.outcome.exit_code == 0
    assert [(part, state) for part, state, _ in campaign.meanwhile] == [(n, "partial") for n in (1, 2, 3)]
    for part, _, counts in campaign.meanwhile:
        assert counts[:part] == [True] * part
        assert not any(counts[part:])


def test_people_are_told_of_each_cycle(campaign: Campaign) -> None:
    """The journal keeps one line a cycle, with capacities per named gram and the efficiency, and no doubt."""
    told = [one.message for one in campaign.history.parts]
    assert [text.split(":")[0] for text in told] == ["cycle 1", "cycle 2", "cycle 3"]
    assert all("mAh/g of Li2S, CE " in text for text in told), told
    assert [one.warnings for one in campaign.history.parts] == [(), (), ()]


def test_the_whole_agrees_with_its_parts(campaign: Campaign) -> None:
    """Pieces in order are the beginning of the export, and the whole alone is what results rest on at the end."""
    (whole,) = read_manifests(campaign.run_dir)
    (export,) = [one.path for one in whole.files if one.path.endswith(".003.txt")]
    pieces = b"".join((campaign.run_dir / part.files[0].path).read_bytes() for part in read_parts(campaign.run_dir))
    assert (campaign.run_dir / export).read_bytes().startswith(pieces)
    results = analyze_campaign(campaign.run_dir, CONTEXT)
    (cell,) = results.cycling.cells
    assert (cell.completeness, cell.dataset) == ("complete", STEP_ID)
    assert [(one.counts, one.flags) for one in cell.cycles] == [(True, [])] * CELL.cycles


def test_a_run_describes_its_cell_as_the_analysis_reads_it(campaign: Campaign) -> None:
    """Manifest and card say the same, in keys that analysis knows, and nothing the order stated is missing."""
    (whole,) = read_manifests(campaign.run_dir)
    (export,) = [one.path for one in whole.files if one.path.endswith(".003.txt")]
    card = cell_beside(campaign.run_dir / export)
    assert card == description(whole.settings, file="manifest", strict=False)
    assert card is not None
    charges_mAh = [1000 * one for one in (*CELL.charges_Ah, CELL.then_charge_Ah)]
    assert card.charges_to_mAh == pytest.approx(charges_mAh, rel=1e-8)
    assert (card.mass_mg, card.mass_se_mg, card.mass_basis) == (CELL.mass_mg, CELL.mass_se_mg, "Li2S")
    assert (card.reference, card.reference_offset_V, card.equilibrium_V) == ("In-Li", 0.62, 1.59)
    assert card.discharge_to_V == CELL.discharge_to_V
    assert card.current_se_A is not None


def test_the_cell_is_found_as_it_was_made(campaign: Campaign) -> None:
    """Charges are those of the plan, efficiency is the sample file's, errors of mass and current stand apart."""
    (cell,) = analyze_campaign(campaign.run_dir, CONTEXT).cycling.cells
    charged = [one.charge.Q_mAh_per_g for one in cell.cycles if one.charge]
    assert charged == pytest.approx([40.0, 80.0, 80.0, 80.0], rel=1e-4)
    assert cell.summary.CE_last == pytest.approx(1.0 - 0.008, abs=2e-4)
    assert (cell.summary.alike, cell.summary.retention_cycle) == (3, 2)
    half = cell.cycles[-1].discharge
    assert half is not None
    assert half.Q_mAh_per_g is not None
    assert half.Q_se_mass_mAh_per_g is not None
    assert half.Q_se_mass_mAh_per_g == pytest.approx(half.Q_mAh_per_g * 0.0203 / CELL.mass_mg)
    assert half.Q_se_mAh_per_g is not None
    assert half.Q_se_mAh_per_g < half.Q_se_mass_mAh_per_g
    assert not any("state " in one for one in cell.warnings), "nothing that was stated is asked for again"
    assert not any("month/day" in one for one in cell.warnings), "the manifest knows when the test began"
    assert json.loads(cell.model_dump_json())["summary"]["equilibrium_V"] == 1.59


class Impatient(VirtualClock):
    """A virtual clock that does not let anybody wait without end."""

    waits = 0

    def wait_until(self, deadline_s: float) -> None:
        self.waits += 1
        assert self.waits < 5000, "somebody waits for what nobody lets happen"
        super().wait_until(deadline_s)


def test_testers_on_one_clock_do_not_wait_for_each_other(tmp_path: Path, protocols: Path) -> None:
    """While one tester takes its time to answer, something of another may be due that nobody looks at meanwhile."""
    clock = Impatient(START_S)
    sample = protocols / "samples" / "in_li_lpsc_li2s.yaml"
    drivers, simulators = [], []
    for name in ("one", "two"):
        simulated = open_simulator(
            station=name,
            state_dir=tmp_path / name,
            clock=clock,
            seed=1,
            sample=sample,
            settings={"channel": 1},
            faults=None,
        )
        clock.add_source(simulated.next_event_s)
        simulators.append(simulated)
        drivers.append(
            open_driver(station=name, settings={"channel": 1}, limits={}, clock=clock, link=simulated.link())
        )
    order = Order(token="0a1b2c3d-1", title="t", step_id=STEP_ID, attempt=1, epoch=1, task=CELL)
    for driver in drivers:
        driver.open(1)
        driver.begin(order)
    for _ in range(20):
        clock.wait_until(clock.monotonic_s() + 3600.0)
        assert [driver.look(order).progress for driver in drivers] == [Progress.RUNNING] * 2
    for simulated in simulators:
        simulated.close()

"""What the command line tells the engine, and how results tell paths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labctl.analysis.results import DatasetEntry, Results, ResultWarning
from labctl.cli.finishing import _move_into
from labctl.cli.planning import checked
from labctl.cli.run_folder import Start
from labctl.cli.running import _options

START = Start(simulated=False, seed=0, start_s=0.0, protocol_sha256="", lab_sha256="", protocol_from="", lab_from="")


@pytest.mark.parametrize("simulated", [False, True])
def test_only_a_rehearsal_does_not_wait_for_the_disk(simulated: bool, protocols: Path, tmp_path: Path) -> None:
    """What a real instrument did is on the disk before anything follows from it."""
    done = checked(protocols / "vt_exsy_demo.yaml", protocols / "labs" / "simulated.yaml")
    options = _options(done, ["nmr500"], replace(START, simulated=simulated), tmp_path, "", list)
    assert options.durable is not simulated


def test_no_word_of_results_tells_where_the_folder_stood(tmp_path: Path) -> None:
    """Paths below the run folder are told as they stand in it, in every text and at any depth; others stay."""
    inside, elsewhere = (tmp_path / "run" / "nmr500" / "11").as_posix(), (tmp_path / "other" / "11").as_posix()
    text = f"while {inside} was acquired, not {elsewhere}"
    entry = DatasetEntry(
        dataset="nmr/p/t1", path=inside, kind="one_pulse", completeness="complete", shape=[1, 1], remarks=[text]
    )
    warning = ResultWarning(code="drift", message=text, where=elsewhere)
    results = Results(campaign="moved", datasets=[entry], warnings=[warning])
    _move_into(tmp_path / "run", results)
    told = f"while nmr500/11 was acquired, not {elsewhere}"
    assert (warning.message, warning.where) == (told, elsewhere)
    assert (entry.path, entry.remarks) == ("nmr500/11", [told])

"""A test that goes on is brought in cycle by cycle: pieces of its export, each a new file, none ever rewritten."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.errors import InstrumentError
from labctl_maccor._collect import about_cell, cell_card, put, put_piece
from tests.drivers.maccor.conftest import Bench
from tests.drivers.maccor.orders import TASK, TEST, order
from tests.drivers.maccor.peer import ACTIVE, COMPLETED
from tests.formats.maccor_variants import VARIANTS, fixed_capacity

WHOLE = VARIANTS[1].text(fixed_capacity(cycles=4, points=6))


def grown(folder: Path, size: int, data: bytes = WHOLE) -> Path:
    """An export as far as it has grown."""
    path = folder / "cell.003.txt"
    path.write_bytes(data[:size])
    return path


@given(
    cuts=st.lists(st.integers(200, len(WHOLE)), min_size=1, max_size=6, unique=True), killed=st.sets(st.integers(0, 5))
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_in_order_are_the_beginning_of_the_export(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], killed: set[int]
) -> None:
    """Wherever the export stands at a look, also in a row; and where the engine died after a piece, before its row."""
    folder = tmp_path_factory.mktemp("pieces")
    kept: list[bytes] = []
    first_of: list[int] = []
    after = 0
    for part, size in enumerate(sorted(cuts), start=1):
        try:
            path, first = put_piece(grown(folder, size), folder / "parts", part=part, after=after, station="maccor")
        except InstrumentError:
            continue  # nothing new
        again = put_piece(grown(folder, len(WHOLE)), folder / "parts", part=part, after=after, station="maccor")
        assert again == (path, first), "the same question has the same answer, however far the export has come"
        if part - 1 in killed:
            continue  # nobody wrote it down
        assert first == after + 1
        kept.append(path.read_bytes())
        first_of.append(first)
        after = part
    told = b"".join(kept)
    assert WHOLE.startswith(told)
    assert not told or told.endswith(b"\n")


def test_an_export_written_anew_is_brought_in_whole(tmp_path: Path) -> None:
    """A head with another date makes the pieces before no beginning of it: the next piece stands for itself."""
    source = grown(tmp_path, 2000)
    put_piece(source, tmp_path / "parts", part=1, after=0, station="maccor")
    anew = WHOLE.replace(b"25 March", b"26 March", 1)
    path, first = put_piece(grown(tmp_path, 4000, anew), tmp_path / "parts", part=2, after=1, station="maccor")
    assert first == 1
    assert anew.startswith(path.read_bytes())
    path, first = put_piece(grown(tmp_path, 6000, anew), tmp_path / "parts", part=3, after=2, station="maccor")
    assert first == 3, "from here on it goes on by pieces again"


def test_a_death_while_writing_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """Half a file stands beside its name, never under it, and the next engine writes the whole."""
    (tmp_path / "piece.tmp").write_bytes(b"half")
    put(tmp_path / "piece", b"the whole", station="maccor")
    put(tmp_path / "piece", b"the whole", station="maccor")
    assert [path.name for path in tmp_path.iterdir()] == ["piece"]
    with pytest.raises(InstrumentError, match="different"):
        put(tmp_path / "piece", b"another", station="maccor")
    assert (tmp_path / "piece").read_bytes() == b"the whole"


def test_the_driver_brings_in_the_cycles_that_are_complete(bench: Bench) -> None:
    """The tester's counter tells how many; what describes the cell comes with each part; a finished test has none."""
    driver, peer = bench.driver(current_accuracy="0.02 %"), bench.peer
    peer.run(1, TEST, ACTIVE)
    peer.status[1]["Cycle"] = 2
    assert driver.look(order()).parts == 2
    with pytest.raises(InstrumentError, match="no export"):
        driver.collect_part(order(), 2, 0, bench.folder / "run")
    (bench.link.export_dir / f"{TEST}.002").write_bytes(b"\x00\x01 the tester's own binary file\n" * 50)
    (bench.link.export_dir / f"{TEST}.002.txt").write_bytes(WHOLE[:3000])
    part = driver.collect_part(order(), 2, 0, bench.folder / "run")
    assert part.part_from == 1
    assert part.files == (f"{TEST}/parts/{TEST}.002.txt.c0001-0002",)
    assert part.settings["cycles_done"] == 2
    assert part.settings["charges_to_mAh"] == "0.4871 0.7306 0.9741 1.2177 1.4612 1.4612"
    assert part.settings["current_full_scale_A"] == pytest.approx(150e-6)
    assert part.settings["current_accuracy"] == pytest.approx(2e-4)
    peer.status[1]["Stat"] = COMPLETED
    with pytest.raises(InstrumentError, match="does not run"):
        driver.collect_part(order(), 2, 0, bench.folder / "run")


def test_what_nobody_stated_is_not_there() -> None:
    """A description holds what was said and no stand-in for the rest."""
    told = about_cell(TASK, full_scale_A=150e-6, accuracy=None)
    assert not {"mass_se_mg", "equilibrium_V", "reference", "current_full_scale_A", "current_accuracy"} & told.keys()
    assert b'"mass_basis": "Li2S"' in cell_card(told)

"""The scripted instrument is an `Instrument`, and truthful about what it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.clock import VirtualClock
from labctl.errors import InstrumentError, InstrumentSilent
from labctl.ports import Exsy, Instrument, Order, Progress, Standing
from labctl.testing import ScriptedInstrument
from tests.run.campaigns import acquire


@pytest.fixture
def clock() -> VirtualClock:
    """Virtual time."""
    return VirtualClock(1_700_000_000.0)


@pytest.fixture
def instrument(clock: VirtualClock) -> ScriptedInstrument:
    """A spectrometer, opened."""
    made = ScriptedInstrument(station="nmr", clock=clock)
    clock.add_source(made.next_event_s)
    port: Instrument = made  # mypy holds the fake to the port
    port.open(1)
    return made


ORDER = Order(
    token="0123-1",
    title="campaign nmr/T00 0123-1",
    step_id="nmr/vt/T00",
    attempt=1,
    epoch=1,
    task=acquire(Exsy(mixing_time_s=0.1, rows=4, increment_s=1e-3), slot=100, duration_s=500.0),
)


def test_evidence_follows_the_acquisition(instrument: ScriptedInstrument, clock: VirtualClock) -> None:
    """Not started, running, finished: evidence and look agree at every stage."""
    assert instrument.evidence(ORDER).standing is Standing.NOT_STARTED
    instrument.begin(ORDER)
    assert instrument.evidence(ORDER).standing is Standing.RUNNING
    assert instrument.look(ORDER).data_growing
    clock.wait_until(clock.now_s() + 10_000.0)
    assert clock.now_s() == 1_700_000_500.0
    assert instrument.evidence(ORDER).standing is Standing.FINISHED
    assert instrument.look(ORDER).progress is Progress.DONE


def test_token_is_begun_once(instrument: ScriptedInstrument) -> None:
    """The same token twice is one acquisition, unless the instrument is told to have no memory."""
    instrument.begin(ORDER)
    instrument.begin(ORDER)
    assert instrument.starts == {"0123-1": 1}
    instrument.remembers_tokens = False
    instrument.begin(ORDER)
    assert instrument.starts == {"0123-1": 2}


def test_power_cut_leaves_partial_data(instrument: ScriptedInstrument, clock: VirtualClock, tmp_path: Path) -> None:
    """What was acquired before a power cut is collected as partial, and a second collect changes nothing."""
    instrument.begin(ORDER)
    instrument.power_cut()
    assert instrument.evidence(ORDER).standing is Standing.INTERRUPTED
    first = instrument.collect(ORDER, tmp_path)
    assert first == instrument.collect(ORDER, tmp_path)
    assert first.completeness == "partial"


def test_other_data_are_never_overwritten(instrument: ScriptedInstrument, clock: VirtualClock, tmp_path: Path) -> None:
    """A different file in the place of the data is refused and stays."""
    instrument.begin(ORDER)
    clock.wait_until(clock.now_s() + 10_000.0)
    place = tmp_path / "101" / "data.txt"
    place.parent.mkdir()
    place.write_bytes(b"theirs")
    with pytest.raises(InstrumentError, match="other data"):
        instrument.collect(ORDER, tmp_path)
    assert place.read_bytes() == b"theirs"


def test_older_epoch_is_refused(instrument: ScriptedInstrument) -> None:
    """An engine of an older epoch can neither open nor begin."""
    instrument.open(5)
    with pytest.raises(InstrumentError, match="older"):
        instrument.open(4)
    with pytest.raises(InstrumentError, match="older"):
        instrument.begin(ORDER)


def test_silence(instrument: ScriptedInstrument) -> None:
    """A silent instrument answers nothing; a lost reply was an action all the same."""
    instrument.silent = True
    with pytest.raises(InstrumentSilent):
        instrument.readings()
    instrument.silent = False
    instrument.unheard = 1
    with pytest.raises(InstrumentSilent):
        instrument.begin(ORDER)
    assert instrument.evidence(ORDER).standing is Standing.RUNNING

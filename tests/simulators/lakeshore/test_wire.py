"""PyVISA with PyVISA-py, which know nothing of labctl, talk to the simulated Model 335 over TCP."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.resources import MessageBasedResource

from labctl.clock import Clock
from labctl_sim_oven import Lab
from tests.contract.oven_bench import served

UNPACED = {"message_gap": "0 s"}


@contextmanager
def visa(folder: Path, **options: Any) -> Iterator[tuple[MessageBasedResource, Lab, Clock]]:
    """A VISA session with the 335's terminators, as any user's script opens it."""
    options.setdefault("simulator", UNPACED)
    with served("lakeshore", folder, **options) as (resource, lab, clock):
        manager = pyvisa.ResourceManager("@py")
        session = manager.open_resource(resource, read_termination="\r\n", write_termination="\r\n", timeout=2000)
        assert isinstance(session, MessageBasedResource)
        try:
            yield session, lab, clock
        finally:
            session.close()
            manager.close()


def test_it_says_who_it_is_and_what_it_reads(tmp_path: Path) -> None:
    """Identification and readings have the 335's form; chained queries come back in one line."""
    with visa(tmp_path) as (session, lab, _):
        assert session.query("*IDN?").split(",")[:2] == ["LSCI", "MODEL335"]
        reading = session.query("KRDG? A")
        assert reading[0] == "+"
        assert float(reading) == pytest.approx(lab.device.oven.nodes.sensor_K, abs=0.2)
        kelvin, celsius, status = session.query("KRDG? A;CRDG? A;RDGST? A").split(";")
        assert float(kelvin) - float(celsius) == pytest.approx(273.15, abs=1e-9)
        assert status == "000"


def test_commands_have_no_answer_and_errors_no_voice(tmp_path: Path) -> None:
    """Unknown commands and impossible parameters show in the event register only."""
    with visa(tmp_path) as (session, _, _):
        assert int(session.query("*ESR?")) == 128  # it has been switched on
        assert int(session.query("*ESR?")) == 0
        session.write("FOO 1")
        assert int(session.query("*ESR?")) == 32
        session.write("RANGE 1,9")
        assert int(session.query("*ESR?")) == 16
        session.timeout = 100
        with pytest.raises(pyvisa.errors.VisaIOError) as caught:
            session.query("BAR?")
        assert caught.value.error_code == StatusCode.error_timeout


def test_a_set_point_is_in_the_preferred_unit(tmp_path: Path) -> None:
    """On a rig set to Celsius, 75 is 75 °C."""
    with visa(tmp_path, simulator={**UNPACED, "units": "C", "readback_lag": "0 s"}) as (session, lab, _):
        assert session.query("INTYPE? A").split(",")[4] == "2"
        assert float(session.query("SETP 1,75;SETP? 1")) == 75.0
        assert lab.device.oven.regulator.target_K == pytest.approx(348.15)


def test_a_read_back_that_comes_too_early_shows_the_old_value(tmp_path: Path) -> None:
    """`SETP?` right behind `SETP` is not yet right; after the lag it is."""
    with visa(tmp_path, speed=100.0, simulator={**UNPACED, "readback_lag": "30 s"}) as (session, _, clock):
        asked_s = clock.now_s()
        assert float(session.query("SETP 1,350;SETP? 1")) == pytest.approx(298.15)
        while float(session.query("SETP? 1")) != 350.0:
            assert clock.now_s() < asked_s + 3600.0
        assert clock.now_s() >= asked_s + 30.0


def test_the_loop_heats_by_the_ramp(tmp_path: Path) -> None:
    """With range, closed loop and ramp the set point moves at the rate set, and the oven follows."""
    with visa(tmp_path, speed=2000.0) as (session, lab, clock):
        began_s = clock.now_s()
        session.write("SETP 1,298.15;OUTMODE 1,1,1,0;RAMP 1,1,5;RANGE 1,3")
        session.write("SETP 1,320")
        while session.query("RAMPST? 1") != "0":
            told_K = float(session.query("SETP? 1"))
            assert told_K <= 298.15 + 5.0 / 60.0 * (clock.now_s() - began_s + 5.0)
        assert float(session.query("SETP? 1")) == pytest.approx(320.0)
        while lab.device.oven.nodes.sensor_K < 318.0:
            assert float(session.query("HTR? 1")) >= 0.0
        session.write("RANGE 1,0")
        assert float(session.query("HTR? 1")) == pytest.approx(0.005)
        assert float(session.query("SETP? 1")) == pytest.approx(320.0), "the classic: off, and the set point reads fine"


def test_above_its_limit_it_shuts_down(tmp_path: Path) -> None:
    """TLIMIT trips the heater by itself."""
    with visa(tmp_path, speed=2000.0) as (session, lab, _):
        session.write("TLIMIT A,305;SETP 1,340;OUTMODE 1,1,1,0;RANGE 1,3")
        while session.query("RANGE? 1") != "0":
            assert lab.device.oven.nodes.sensor_K < 310.0


def test_messages_too_close_are_lost(tmp_path: Path) -> None:
    """A client that does not keep the distance (50 ms unless a test wants more) between messages loses some."""
    with visa(tmp_path, simulator={"message_gap": "5 s"}) as (session, lab, _):
        session.timeout = 150
        session.write("*IDN?")
        session.write("*OPC?")
        assert session.read().startswith("LSCI")
        with pytest.raises(pyvisa.errors.VisaIOError):
            session.read()
        assert any("too soon" in message for message in lab.messages)


def test_a_mute_controller_times_out_and_comes_back(tmp_path: Path) -> None:
    """While it is mute nothing is acted on either."""
    faults = "  - {fault: mute, at: 0 s, for: 10 min}\n"
    with visa(tmp_path, speed=600.0, faults=faults) as (session, lab, clock):
        session.timeout = 100
        with pytest.raises(pyvisa.errors.VisaIOError) as caught:
            session.query("SETP 1,400;SETP? 1")
        assert caught.value.error_code == StatusCode.error_timeout
        mended_s = lab.device.oven.born_s + 605.0
        while clock.now_s() < mended_s:
            clock.wait_until(mended_s)
        session.timeout = 2000
        assert float(session.query("SETP? 1")) == pytest.approx(298.15)


def test_a_late_answer_is_what_the_next_question_gets(tmp_path: Path) -> None:
    """The trap: after a time-out the old answer comes first; PyVISA's `clear` restores the order."""
    faults = "  - {fault: reply_late, at: 0 s, by: 600 ms}\n"
    with visa(tmp_path, faults=faults) as (session, _, _):
        session.timeout = 100
        with pytest.raises(pyvisa.errors.VisaIOError):
            session.query("KRDG? A")
        session.timeout = 2000
        assert float(session.query("*IDN?")) == pytest.approx(295.15, abs=0.2), "the temperature answers *IDN?"
        assert session.read().startswith("LSCI")
        session.write("*OPC?")
        session.clear()
        assert session.query("*IDN?").startswith("LSCI")


def test_a_spoilt_answer_is_spoilt_once(tmp_path: Path) -> None:
    """Garbled, truncated, doubled and lost answers are what they are called, and the next is whole."""
    kinds = ("reply_garbled", "reply_truncated", "reply_twice", "reply_lost")
    for number, kind in enumerate(kinds):
        folder = tmp_path / kind
        folder.mkdir()
        with visa(folder, faults=f"  - {{fault: {kind}, at: 0 s}}\n") as (session, _, _):
            session.timeout = 100
            whole = "LSCI,MODEL335,335SIM1/#######,1.4"
            if kind == "reply_lost":
                with pytest.raises(pyvisa.errors.VisaIOError):
                    session.query("*IDN?")
            elif kind == "reply_twice":
                assert [session.query("*IDN?"), session.read()] == [whole, whole]
            else:
                assert session.query("*IDN?") != whole
            assert session.query("*IDN?") == whole, (number, kind)


def test_after_a_mains_dip_the_heater_is_off_and_the_set_point_reads_fine(tmp_path: Path) -> None:
    """Power-up behaviour 0: range 0, event bit 7, set point kept."""
    faults = "  - {fault: power_dip, at: 20 min}\n"
    with visa(tmp_path, speed=1000.0, faults=faults) as (session, _, _):
        session.write("SETP 1,320;OUTMODE 1,1,1,0;RANGE 1,3;*CLS")
        assert session.query("RANGE? 1") == "3"
        seen = itertools.takewhile(lambda told: told == "3", iter(lambda: session.query("RANGE? 1"), ""))
        assert all(told == "3" for told in seen)
        assert int(session.query("*ESR?")) & 128
        assert float(session.query("SETP? 1")) == pytest.approx(320.0)
        assert float(session.query("HTR? 1")) == pytest.approx(0.005)


def test_a_broken_sensor_reads_over_range(tmp_path: Path) -> None:
    """The status says so; the reading is none."""
    with visa(tmp_path, faults="  - {fault: sensor_break, at: 0 s}\n") as (session, _, _):
        assert int(session.query("RDGST? A")) & 128
        assert float(session.query("KRDG? A")) == 0.0
        assert session.query("RDGST? B") == "000"

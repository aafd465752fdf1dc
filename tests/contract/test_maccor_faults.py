"""Each fault of the simulated tester, driven through our driver: those of the link in process and over TCP."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labctl.clock import SystemClock, VirtualClock
from labctl.errors import ForeignDataError, InstrumentError, InstrumentSilent
from labctl.ports import Instrument, Observation, Progress, Standing
from labctl_maccor import open_driver
from labctl_sim_maccor import SimulatedMaccor, open_simulator
from labctl_sim_maccor.faults import FAULTS
from labctl_sim_maccor.server import serve
from tests.contract.test_maccor_cycler import START_S, _order

SAMPLE = Path(__file__).resolve().parents[2] / "protocols" / "samples" / "in_li_lpsc_li2s.yaml"
START = "[6, 2]"
ON_THE_WAY = ("[4, 7]", "[4, 6]", "[6, 11]", START)
"""Of what is asked on the way to a start: the status, the names, the check, the start itself."""
HARMLESS = {"reply_stale", "reply_twice", "reply_dribbles", "reply_split", "id_constant"}
"""What a client that reads to the end of an object, and matches what it reads, does not even notice."""
LASTING = {"refuses", "slow"}
ONCE = [name for name, kind in FAULTS.items() if kind.where == "link" and name not in LASTING]
REST = [name for name, kind in FAULTS.items() if kind.where != "link"]


def _script(folder: Path, *lines: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "faults.yaml"
    path.write_text("version: 1\nfaults:\n" + "".join(f"  - {{{line}}}\n" for line in lines), encoding="utf-8")
    return path


class CountingLink:
    """A link that writes down what passes."""

    simulated = True

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.procedures_dir: Path = inner.procedures_dir
        self.export_dir: Path = inner.export_dir
        self.asked: list[tuple[int, int]] = []

    def exchange(self, request: bytes) -> bytes:
        params = json.loads(request)["params"]
        self.asked.append((params["FClass"], params["FNum"]))
        reply: bytes = self._inner.exchange(request)
        return reply

    def close(self) -> None:
        self._inner.close()


@dataclass
class Lab:
    """A simulated tester in process and our driver of its channel 1."""

    simulator: SimulatedMaccor
    driver: Instrument
    link: CountingLink
    clock: VirtualClock

    def live(self, for_s: float) -> None:
        """Let time pass, from event to event."""
        until_s = self.clock.monotonic_s() + for_s
        while self.clock.monotonic_s() < until_s:
            self.clock.wait_until(until_s)
            self.simulator.advance()

    def look(self) -> Observation:
        """Look as an engine does."""
        return self.driver.look(_order())


@contextmanager
def _lab(folder: Path, *faults: str, **simulator: Any) -> Iterator[Lab]:
    clock = VirtualClock(START_S)
    settings = {"channel": 1, "simulator": {"channels": 2, **simulator}}
    simulated = open_simulator(
        station="maccor",
        state_dir=folder / "lab",
        clock=clock,
        seed=1,
        sample=SAMPLE,
        settings=settings,
        faults=_script(folder, *faults) if faults else None,
    )
    clock.add_source(simulated.next_event_s)
    link = CountingLink(simulated.link())
    driver = open_driver(station="maccor", settings=settings, limits={}, clock=clock, link=link)
    yield Lab(simulated, driver, link, clock)
    driver.close()
    simulated.close()


def _until_running(driver: Instrument, wait: Callable[[], None], tries: int = 60) -> list[str]:
    """Open and begin as an engine does: evidence after each silence, begin only where there is nothing."""
    silences: list[str] = []
    opened = False
    for _ in range(tries):
        try:
            if not opened:
                driver.open(1)
                opened = True
            if driver.evidence(_order()).standing is Standing.RUNNING:
                return silences
            driver.begin(_order())
        except InstrumentSilent as problem:
            silences.append(str(problem))
        wait()
    raise AssertionError(f"never begun: {silences}")


@pytest.mark.parametrize("kind", ONCE)
@pytest.mark.parametrize("function", ON_THE_WAY)
def test_a_fault_of_the_link_anywhere_on_the_way_leaves_one_test(tmp_path: Path, kind: str, function: str) -> None:
    """Late, lost, garbled, doubled or cut: one test runs in the end, and a start is sent again only if it was lost."""
    with _lab(tmp_path, f"fault: {kind}, at: 0 s, function: {function}, requests: 2") as lab:
        silences = _until_running(lab.driver, lambda: lab.live(12.0))
        starts = lab.link.asked.count((6, 2))
        assert starts == (3 if (kind, function) == ("request_lost", START) else 1)
        hidden = sum("on its way" in one for one in silences)  # of waiting before an idle channel is believed
        assert (len(silences) == hidden) == (kind in HARMLESS)
        assert lab.look().progress is Progress.RUNNING


def test_a_tester_that_refuses_connections_or_is_slow(tmp_path: Path) -> None:
    """While it refuses each look is silence at once, and later the test is found as it was; slow is only slow."""
    faults = ("fault: refuses, at: 1 h, for: 20 s", "fault: slow, at: 2 h, for: 1 h, by: 1 s")
    with _lab(tmp_path, *faults) as lab:
        _until_running(lab.driver, lambda: lab.live(12.0))
        lab.live(START_S + 3601.0 - lab.clock.now_s())
        with pytest.raises(InstrumentSilent, match="closes connections"):
            lab.look()
        lab.live(20.0)
        assert lab.look().progress is Progress.RUNNING
        lab.live(3600.0)
        before_s = lab.clock.now_s()
        assert lab.look().progress is Progress.RUNNING
        assert lab.clock.now_s() - before_s >= 2.0
        assert lab.link.asked.count((6, 2)) == 1


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        ("fault: occupied, at: 0 s", ForeignDataError, "somebody-elses-test"),
        ("fault: start_refused, at: 0 s, by: 21", InstrumentError, "Chamber in use"),
        ("fault: limits_clamped, at: 0 s, by: 1.5 V", InstrumentError, "VSafeMax.*reads back as 1.5"),
        ("fault: login_needed, at: 0 s", InstrumentError, "Is a login needed"),
    ],
)
def test_what_forbids_a_start_is_said_and_nothing_runs(tmp_path: Path, fault: str, error: type, told: str) -> None:
    """A channel in use, a refused start, limits that are not taken, a login: each is told as what it is."""
    with _lab(tmp_path, fault) as lab:
        lab.live(15.0)
        with pytest.raises(error, match=told):
            _until_running(lab.driver, lambda: lab.live(12.0))
        names = [channel.test.test_name for channel in lab.simulator.tester.channels if channel.test is not None]
        assert not any("0a1b2c3d-1" in name for name in names)


AFTERWARDS: dict[str, tuple[str, Progress | type[InstrumentError], str]] = {
    "suspended": ("", Progress.RUNNING, "stands suspended"),
    "forced_step": ("", Progress.RUNNING, ""),
    "reset_by_operator": ("", Progress.FAILED, "ended early|is not on"),
    "safety_trip": ("by: 189", Progress.FAILED, "safety: capacity"),
    "hardware_fault": ("by: 254", Progress.FAILED, "lost current control"),
    "short": ("by: 50 ohm", Progress.RUNNING, "stands suspended"),
    "resistance": ("by: 200", Progress.RUNNING, "stands suspended"),
    "chamber_busy": ("", Progress.RUNNING, ""),
    "power_failure": ("", Progress.RUNNING, "lost power"),
    "no_controller": ("for: 6 h", InstrumentSilent, "no controller"),
    "shut_down": ("for: 6 h", InstrumentSilent, "shut down"),
    "blocked": ("for: 6 h", InstrumentSilent, "blocked"),
    "remote_maintenance": ("for: 6 h", InstrumentSilent, "remote maintenance"),
    "clock_skew": ("by: 2 h", Progress.RUNNING, ""),
}
"""Fault at 3 h: its size, and what a look at 4 h finds and says (in the error, the detail, or to a person)."""


@pytest.mark.parametrize("kind", AFTERWARDS)
def test_what_befalls_a_test_is_told_and_nothing_is_resumed_or_reset(tmp_path: Path, kind: str) -> None:
    """Whatever happens to a running test, a look says so in the tester's words, and only looks."""
    size, found, told = AFTERWARDS[kind]
    with _lab(tmp_path, f"fault: {kind}, at: 3 h" + f", {size}" * bool(size)) as lab:
        _until_running(lab.driver, lambda: lab.live(12.0))
        lab.live(4 * 3600.0)
        asked = len(lab.link.asked)
        if isinstance(found, Progress):
            seen = lab.look()
            assert seen.progress is found
            assert re.search(told, seen.needs_person or seen.detail)
            assert bool(seen.needs_person) == (found is Progress.RUNNING and bool(told))
            ahead_s = {one.quantity: one.value for one in lab.driver.readings()}["tester_clock_ahead_s"]
            assert ahead_s - 3600.0 == pytest.approx(7200.0 if kind == "clock_skew" else 0.0, abs=2.0)
        else:
            with pytest.raises(found, match=told):
                lab.look()
            lab.live(6 * 3600.0)
            assert lab.look().progress is Progress.RUNNING
        assert {fclass for fclass, _ in lab.link.asked[asked:]} <= {1, 4}, "only reads"


def test_a_channel_that_somebody_took_is_theirs(tmp_path: Path) -> None:
    """The test of an operator who reset ours is named, and neither looked into nor touched."""
    with _lab(tmp_path, "fault: channel_stolen, at: 3 h") as lab:
        _until_running(lab.driver, lambda: lab.live(12.0))
        lab.live(4 * 3600.0)
        asked = len(lab.link.asked)
        with pytest.raises(ForeignDataError, match="another test than"):
            lab.look()
        assert "somebody-elses-test" in lab.driver.evidence(_order()).detail
        lab.driver.make_safe("a test")
        assert {fclass for fclass, _ in lab.link.asked[asked:]} <= {1, 4}, "only reads"


def test_every_fault_is_driven_once() -> None:
    """The tables above name all faults there are."""
    forbidding = {"occupied", "start_refused", "limits_clamped", "login_needed"}
    assert set(AFTERWARDS) | forbidding | {"channel_stolen"} == set(REST)


def test_a_small_channel_and_another_type_of_system(tmp_path: Path) -> None:
    """More than a channel carries is refused before anything is written; other types of system run procedures too."""
    with _lab(tmp_path / "small", most_A="5 mA") as lab:
        lab.driver.open(1)
        lab.live(15.0)
        with pytest.raises(InstrumentError, match="refused for safety"):
            lab.driver.begin(_order(current_A=6e-3))
        assert list(lab.link.procedures_dir.iterdir()) == []
    with _lab(tmp_path / "other", system_type=4) as lab:
        _until_running(lab.driver, lambda: lab.live(12.0))


class _Out(io.StringIO):
    """Where the server's ready line goes."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = threading.Event()

    def flush(self) -> None:
        self.ready.set()


def test_faults_of_the_link_over_tcp(tmp_path: Path) -> None:
    """The same faults on a real socket, all of them on what leads to one start: one test, and the driver goes on."""
    script = [
        f"fault: {kind}, at: 0 s, function: {function}" + ", by: 0.4 s" * (kind == "reply_late")
        for kind, function in zip(ONCE, ON_THE_WAY * 3, strict=False)
    ]
    script += [f"fault: {kind}, at: 0 s, function: {START}" for kind in ("request_lost", "reply_half")]
    out, stop = _Out(), threading.Event()
    server = threading.Thread(
        target=serve,
        kwargs={
            "station": "maccor",
            "state_dir": tmp_path / "lab",
            "sample": SAMPLE,
            "settings": {"simulator": {"channels": 2, "service": "1 ms", "starting": "10 ms"}},
            "seed": 1,
            "faults": _script(tmp_path, *script),
            "stopped": stop.is_set,
            "out": out,
        },
    )
    server.start()
    try:
        assert out.ready.wait(30.0)
        ready = json.loads(out.getvalue().splitlines()[0])
        clock = SystemClock()
        settings = {
            "host": "127.0.0.1",
            "port": ready["json_port"],
            "channel": 1,
            "procedures_dir": ready["procedures_dir"],
            "export_dir": ready["export_dir"],
            "reply_timeout": "200 ms",
            "start_settle": "300 ms",
        }
        driver = open_driver(station="maccor", settings=settings, limits={}, clock=clock)
        silences = _until_running(driver, lambda: clock.wait_until(clock.monotonic_s() + 0.35))
        assert silences
        assert driver.look(_order()).progress is Progress.RUNNING
        driver.close()
    finally:
        stop.set()
        server.join(30.0)
    assert [path.name for path in (tmp_path / "lab" / "Active").iterdir()] == ["mLi2S-0a1b2c3d-1.001"]

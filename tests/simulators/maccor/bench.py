"""A simulated cycler in virtual time, and procedures written as plain XML."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from labctl.clock import VirtualClock
from labctl_sim_maccor import SimulatedMaccor, open_simulator
from labctl_sim_maccor._records import Record, read

SAMPLE = Path(__file__).resolve().parents[3] / "protocols" / "samples" / "in_li_lpsc_li2s.yaml"
START_s = 1_772_400_000.0  # a spring day of 2026
CURRENT_A = 1.0367e-4  # 0.132 mA/cm^2 on 10 mm
Q_600_Ah = 1.4612e-3  # 600 mAh per gram of Li2S


def step(
    kind: str,
    value: str = "",
    *,
    ends: Iterable[tuple[str, str, str, int]] = (),
    safety: Iterable[tuple[str, str, str, int]] = (),
    every: str = "00:01:00",
    every_V: str = "",
    mode: str = "",
    limit_V: str = "",
    range_: str = "4",
) -> str:
    """Return one step; an end is (type, operator, value, target)."""

    def entry(end: tuple[str, str, str, int], last: str) -> str:
        name, oper, level, target = end
        return (
            f"<EndEntry><EndType>{name:<8}</EndType><SpecialType> </SpecialType><Oper>{escape(oper)} </Oper>"
            f"<Step>{target:03d}</Step><Value>{level}</Value>{last}</EndEntry>"
        )

    timed = kind in {"Rest", "Charge", "Dischrge"}
    conditions = "".join(entry(end, "") for end in ends)
    conditions += "".join(entry(end, "<ChanSafetyEnd>True</ChanSafetyEnd>") for end in safety)
    report = f"<ReportEntry><ReportType>StepTime</ReportType><Value>{every}</Value></ReportEntry>" if timed else ""
    if every_V:
        report += f"<ReportEntry><ReportType>Voltage</ReportType><Value>{every_V}</Value></ReportEntry>"
    limits = f"<Limits><Voltage>{limit_V}</Voltage></Limits>" if limit_V else "<Limits/>"
    return (
        f"<TestStep><StepType>{kind:^8}</StepType><StepMode>{mode:<8}</StepMode><StepValue>{value}</StepValue>{limits}"
        f"<Ends>{conditions}</Ends><Reports>{report}</Reports><Range>{range_}</Range><Option1>N</Option1>"
        "<Option2>N</Option2><Option3>N</Option3><StepNote></StepNote></TestStep>"
    )


def document(steps: Iterable[str]) -> str:
    """Return a whole procedure."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<?maccor-application progid="Maccor Procedure File"?>\n'
        "<MaccorTestProcedure><header><ProcDesc><desc>fixed capacity</desc></ProcDesc></header>"
        f"<ProcSteps>{''.join(steps)}</ProcSteps></MaccorTestProcedure>"
    )


def cycling(cycles: int, capacity: str = "1.4612E-3", current: str = "1.0367E-4") -> str:
    """Return fixed-capacity cycling: guards lead to step 9, which pauses for a person."""
    charge = [("Amp Hour", ">=", capacity, 4), ("Voltage", ">=", "3.0", 9), ("StepTime", "=", "40:00:00", 9)]
    discharge = [("Voltage", "<=", "0.8", 6), ("StepTime", "=", "40:00:00", 9)]
    return document(
        [
            step("Rest", ends=[("StepTime", "=", "01:00:00", 2)]),
            step("Do 1"),
            step("Charge", current, mode="Current", ends=charge, range_="1"),
            step("Rest", ends=[("StepTime", "=", "00:05:00", 5)]),
            step("Dischrge", current, mode="Current", ends=discharge, range_="1"),
            step("Rest", ends=[("StepTime", "=", "00:05:00", 7)]),
            step("AdvCycle"),
            step("Loop 1", ends=[("Loop Cnt", "=", str(cycles), 10)]),
            step("Pause"),
            step("End"),
        ]
    )


class Bench:
    """A cycler that lives in virtual time, spoken to over its in-process link."""

    def __init__(self, folder: Path, *, faults: str = "", start_s: float = START_s, **simulator: Any) -> None:
        self.folder = folder
        script = None
        if faults:
            folder.mkdir(parents=True, exist_ok=True)
            script = folder / "faults.yaml"
            script.write_text(f"version: 1\nfaults:\n{faults}", encoding="utf-8")
        self.clock = VirtualClock(start_s)
        settings = {"simulator": {"channels": 2, "starting": "0.5 s", **simulator}}
        self.simulator: SimulatedMaccor = open_simulator(
            station="maccor",
            state_dir=folder,
            clock=self.clock,
            seed=7,
            sample=SAMPLE,
            settings=settings,
            faults=script,
        )
        self.clock.add_source(self.simulator.next_event_s)
        self.link = self.simulator.link()
        self._ids = itertools.count(1)

    def put(self, name: str, text: str) -> None:
        """Lay a procedure into the tester's folder."""
        (self.link.procedures_dir / f"{name}.000").write_text(text, encoding="utf-8")

    def ask(self, fclass: int, fnum: int, **params: Any) -> dict[str, Any]:
        """Return the whole reply to a call."""
        request = {
            "jsonrpc": "2.0",
            "method": "MacNet",
            "params": {"FClass": fclass, "FNum": fnum, **params},
            "id": next(self._ids),
        }
        found = json.loads(self.link.exchange(json.dumps(request).encode("utf-8")))
        assert isinstance(found, dict)
        return found

    def call(self, fclass: int, fnum: int, **params: Any) -> dict[str, Any]:
        """Return the result of a call that succeeds as a call."""
        found = self.ask(fclass, fnum, **params)["result"]
        assert isinstance(found, dict)
        return found

    def start(self, name: str, procedure: str, channel: int = 0, **params: Any) -> str:
        """Start a test and return what the tester says."""
        return str(self.call(6, 2, Chan=channel, TestName=name, ProcName=procedure, **params)["Result"])

    def stat(self, channel: int = 0) -> int:
        """Return the state of a channel."""
        return int(self.call(4, 7, Chan=channel)["Stat"])

    def live(self, for_s: float) -> None:
        """Let time pass, from event to event."""
        until_s = self.clock.now_s() + for_s
        while self.clock.now_s() < until_s:
            self.clock.wait_until(until_s)
            self.simulator.advance()

    def live_until_over(self, channel: int = 0, at_most_s: float = 4e7) -> None:
        """Let time pass until the channel does not run any more."""
        until_s = self.clock.now_s() + at_most_s
        while self.simulator.tester.channels[channel].stat in {2, 12} and self.clock.now_s() < until_s:
            self.clock.wait_until(until_s)
            self.simulator.advance()

    def records(self, name: str, channel: int = 0) -> list[Record]:
        """Return what the data file of a test holds."""
        tester = self.simulator.tester
        folder = tester.active_dir
        return list(read(tester.test_file(folder, name, channel)))

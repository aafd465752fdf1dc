"""Ctrl-C while a campaign runs."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from labctl.cli.keyboard import keyboard, told_again
from labctl.run.events import Operated
from labctl.run.lifecycle import CampaignPhase, StationPhase
from tests.run.bench import Bench
from tests.run.campaigns import small_plan


def test_one_key_pauses_a_second_makes_safe(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C strikes in the middle of an instrument's answer and loses nothing: pause, then abort, both journaled."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,)))
    pressed = 0
    look = bench.nmr.look

    def look_and_press(order: object) -> object:
        nonlocal pressed
        if "tmix00" in str(order) and pressed < 2:
            pressed += 1
            signal.raise_signal(signal.SIGINT)
        return look(order)  # type: ignore[arg-type]  # passed on as it came

    bench.nmr.look = look_and_press  # type: ignore[assignment, method-assign]  # the test's own finger on the key
    with keyboard() as operator:
        outcome = bench.run(operator=operator, operator_continues=False)
    assert (outcome.phase, outcome.exit_code) == (CampaignPhase.ABORTED, 4)
    assert outcome.stations["nmr"] is StationPhase.SAFE
    assert [event.verb for event in bench.events() if isinstance(event, Operated)] == ["pause", "abort"]
    assert capfd.readouterr().err.count("Ctrl-C again") == 2
    assert bench.run(attended="looked at it").exit_code == 0


def test_the_third_key_leaves() -> None:
    """Whoever presses a third time is let go, and the keyboard is given back; what keys did is said once heard."""
    before = signal.getsignal(signal.SIGINT)
    said: list[str] = []
    with keyboard() as keys:
        operator = told_again(keys, said.append)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert not said, "not in the middle of somebody's writing"
        assert [word.verb for word in operator()] == ["pause", "abort"]
        assert not operator()
        assert [text.partition(":")[0] for text in said] == ["pausing", "aborting"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before

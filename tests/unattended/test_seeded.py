"""Seeded random campaigns: whatever goes wrong, nothing is lost, repeated or overwritten, and hardware is left safe.

Run one alone, with its schedule: ``python -m tests.unattended.seeded SEED``; and many: ``... SEED COUNT --quiet``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unattended.seeded.breaking import INTERLOCKS, run_broken
from tests.unattended.seeded.campaign import SeededCampaign

_TOGETHER, _MANY_TOGETHER = 10, 100
CAMPAIGNS = 300
MANY = 10_000
_ENOUGH = 40
WAYS_NOTICED: dict[str, tuple[str, ...]] = {
    "no evidence": (),
    "no write-ahead": (),
    "begun again": (),
    "lease forgotten": (),
    "never cools": (),
    "goes on alone": (),
    "spins up": ("spin_loss",),
    "heats unseen": ("spin_loss", "gas_loss"),
    "heater re-armed": ("heater_trip", "gas_loss"),
}
"""Ways to break labctl, and the faults that bring them to light; empty: any."""


def failures(first: int, count: int, folder: Path) -> list[str]:
    """Run the campaigns of `count` seeds; return an account of each in which something was broken."""
    found = []
    for seed in range(first, first + count):
        campaign = SeededCampaign(seed, folder / str(seed))
        if broken := campaign.run():
            again = f"python -m tests.unattended.seeded {seed}"
            found.append("\n".join((*broken, campaign.account(), f"run it alone: {again}")))
    return found


@pytest.mark.parametrize("first", range(0, CAMPAIGNS, _TOGETHER))
def test_nothing_is_lost_repeated_or_left_unsafe(first: int, tmp_path: Path) -> None:
    """Faults, deaths, lost replies, clock jumps, full disks and persons: every invariant holds in every campaign."""
    assert failures(first, _TOGETHER, tmp_path) == []


@pytest.mark.parametrize("seed", [947, 1204])
def test_what_once_went_wrong_does_not(seed: int, tmp_path: Path) -> None:
    """Seeds that found a bug: a tester without channels passed for safe, the intent of a dead engine stayed open."""
    assert failures(seed, 1, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(CAMPAIGNS, CAMPAIGNS + MANY, _MANY_TOGETHER))
def test_the_same_of_many_more(first: int, tmp_path: Path) -> None:
    """The same for ten thousand campaigns more."""
    assert failures(first, _MANY_TOGETHER, tmp_path) == []


def noticed(way: str, kinds: tuple[str, ...], folder: Path) -> int | None:
    """Return the first seed whose campaign notices that labctl is broken that way; the whole labctl passes it."""
    for seed in range(_ENOUGH):
        _, broken = run_broken(seed, folder / f"{seed}", way, kinds=kinds)
        if broken:
            assert run_broken(seed, folder / f"{seed} whole", kinds=kinds)[1] == []
            return seed
    return None


@pytest.mark.parametrize("limit", INTERLOCKS)
def test_an_interlock_that_is_off_is_missed(limit: str, tmp_path: Path) -> None:
    """With one interlock switched off, the campaigns with its faults report it."""
    assert noticed(f"without {limit}", INTERLOCKS[limit], tmp_path) is not None


@pytest.mark.parametrize("way", WAYS_NOTICED)
def test_a_broken_engine_is_noticed(way: str, tmp_path: Path) -> None:
    """No evidence, no write-ahead, a forgotten lease, a second start...: the campaigns report each."""
    assert noticed(way, WAYS_NOTICED[way], tmp_path) is not None


def test_a_seed_is_a_campaign(tmp_path: Path) -> None:
    """The same seed gives the same schedule, the same lives, and the same events at the same times."""
    accounts = []
    for name in ("once", "again"):
        campaign = SeededCampaign(3, tmp_path / name)
        campaign.run()
        accounts.append(campaign.account().replace(str(tmp_path / name), "") + campaign.events())
    assert accounts[0] == accounts[1]

"""Seeded random campaigns: whatever goes wrong, nothing is lost, repeated or overwritten, and hardware is left safe.

Run one alone, with its schedule: ``python -m tests.unattended.seeded SEED``; and many: ``... SEED COUNT --quiet``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unattended.seeded.campaign import SeededCampaign

_TOGETHER, _MANY_TOGETHER = 10, 100
CAMPAIGNS = 300
MANY = 10_000


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


@pytest.mark.slow
@pytest.mark.parametrize("first", range(CAMPAIGNS, CAMPAIGNS + MANY, _MANY_TOGETHER))
def test_the_same_of_many_more(first: int, tmp_path: Path) -> None:
    """The same for ten thousand campaigns more."""
    assert failures(first, _MANY_TOGETHER, tmp_path) == []


def test_a_seed_is_a_campaign(tmp_path: Path) -> None:
    """The same seed gives the same schedule, the same lives, and the same events at the same times."""
    accounts = []
    for name in ("once", "again"):
        campaign = SeededCampaign(3, tmp_path / name)
        campaign.run()
        accounts.append(campaign.account().replace(str(tmp_path / name), "") + campaign.events())
    assert accounts[0] == accounts[1]

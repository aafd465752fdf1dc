"""Runs seeded campaigns: ``python -m tests.unattended.seeded SEED [COUNT] [--broken WHAT]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.unattended.seeded.breaking import WAYS, run_broken


def main() -> int:
    """Run COUNT campaigns from SEED on; say what was broken, with the schedule of each such campaign."""
    parser = argparse.ArgumentParser(prog="python -m tests.unattended.seeded", description=main.__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--broken", choices=sorted(WAYS), help="a way to break labctl first")
    parser.add_argument("--quiet", action="store_true", help="no schedules")
    chosen = parser.parse_args()
    found, spent_s = 0, []
    for seed in range(chosen.seed, chosen.seed + chosen.count):
        with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
            began_s = time.process_time()
            campaign, broken = run_broken(seed, Path(folder) / "lab", chosen.broken or "")
            spent_s.append((time.process_time() - began_s, seed))
        found += bool(broken)
        if broken or chosen.count == 1:
            print(f"seed {seed}: {'; '.join(broken[:3]) or 'all is well'}")
            if not chosen.quiet:
                print(campaign.account())
    spent_s.sort()
    mean_s = sum(cpu_s for cpu_s, _ in spent_s) / len(spent_s)
    print(
        f"{found} of {chosen.count} broken; {mean_s:.3f} s each, at most {spent_s[-1][0]:.2f} s (seed {spent_s[-1][1]})"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Campaigns small enough to be run whole in a test."""

from __future__ import annotations

from pathlib import Path

import pytest

SMALL = """\
version: 1
campaign: small
sample: {name: two sites, nucleus: 6Li, sites: {A: 2.0 ppm, B: -2.0 ppm}, simulated_as: two_site_demo}
procedures:
  - vt_exsy:
      station: nmr500
      temperatures: [30 degC, 60 degC]
      spinning: 10 kHz
      tune: none
      t1: {expect: 3 s, delays: {from: 50 ms, to: 20 s, points: 8, spacing: log}}
      recycle_delay: {times_T1: 1.5, of: slowest, max: 10 s}
      mixing_times: [20 ms, 1 s]
      increments: 24
      increment: 0.8 ms
      scans: 8
      points: 1024
"""


@pytest.fixture
def small_protocol(tmp_path: Path) -> Path:
    """A protocol of two temperatures, two mixing times and 24 rows."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path

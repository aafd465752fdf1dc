"""Campaigns small enough to be run whole in a test."""

from __future__ import annotations

import contextlib
import io

from labctl.cli import finishing
from labctl.cli.app import run_app

SMALL = """\
version: 1
campaign: small
sample: {name: two sites, nucleus: 6Li, sites: {A: 2.0 ppm, B: -2.0 ppm}, simulated_as: two_site_demo}
procedures:
  - vt_exsy:
      station: nmr500
      temperatures: [40 degC]
      ramp: 4 K/min
      settle: {within: 0.5 K, for: 10 min, give_up: 60 min, shift: none}
      spinning: 10 kHz
      tune: none
      p90: {each_temperature: false}
      t1: {expect: 3 s, delays: {from: 50 ms, to: 15 s, points: 8, spacing: log}}
      recycle_delay: {times_T1: 1.5, of: slowest, max: 6 s}
      mixing_times: [20 ms, 1 s]
      increments: 16
      increment: 0.8 ms
      scans: 8
      points: 1024
      return_to_first_temperature: false
"""


def run_without_report(arguments: list[str]) -> int:
    """Run one command line, drawing no report; for processes of their own."""
    finishing._write_report = lambda *_: None  # twenty reports nobody looks at
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return run_app(arguments)

"""Two rotors in one campaign: the second is put in on the way, and what it gives is kept apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labctl.cli.app import run_app

PROCEDURE = """
  - vt_exsy:
      station: nmr500
      {sample}temperatures: [30 degC]
      ramp: 5 K/min
      settle: {{within: 0.5 K, for: 2 min, give_up: 60 min, shift: none}}
      spinning: 10 kHz
      tune: none
      p90: {{each_temperature: false, points: 8, recovery: 2 s}}
      recycle_delay: 4 s
      mixing_times: [20 ms, 500 ms]
      increments: 48
      increment: 0.8 ms
      points: 512
      spectral_width: 5 kHz
      reference_1d: {{around_each_2d: false}}
      return_to_first_temperature: false
"""
HEAD = """version: 1
campaign: two-rotors
sample: {name: first, nucleus: 6Li, sites: {A: 2.0 ppm, B: -2.0 ppm}, simulated_as: two_site_demo}
procedures:"""
SECOND = "sample: {name: second, nucleus: 6Li, sites: {Li2S: 2.31 ppm, LPSC: 1.29 ppm}, simulated_as: uncoated}\n      "


def test_each_rotor_has_its_own_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of the second are found where the second has them; no site, matrix or rate of the two is mixed."""
    protocol, run_dir = tmp_path / "two.yaml", tmp_path / "run"
    text = HEAD + PROCEDURE.format(sample="") + PROCEDURE.format(sample=SECOND)
    protocol.write_text(text, encoding="utf-8")
    assert run_app(["run", str(protocol), "--simulate", "--dir", str(run_dir)]) == 0
    told = capsys.readouterr()
    assert "a person is needed" not in told.out
    results = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    assert {site["name"] for site in results["exsy"]["sites"]} == {"A", "B"}
    (other,) = results["other_samples"]
    assert (other["sample"], other["procedure"]) == ("second", "nmr500/vt_exsy.2")
    assert {site["name"]: site["ppm"] for site in other["exsy"]["sites"]} == {
        "Li2S": pytest.approx(2.31, abs=0.05),
        "LPSC": pytest.approx(1.29, abs=0.05),
    }
    assert {entry["dataset"].split("/")[1] for entry in results["exsy"]["matrices"]} == {"vt_exsy"}
    assert {entry["dataset"].split("/")[1] for entry in other["exsy"]["matrices"]} == {"vt_exsy.2"}
    assert len(results["exsy"]["matrices"]) == len(other["exsy"]["matrices"]) == 2

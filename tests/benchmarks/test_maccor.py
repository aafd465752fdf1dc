"""What a million rows of a Maccor export cost, against pandas and cellpy on the same file in the same run.

Run with ``pytest tests/benchmarks/test_maccor.py --benchmark-enable``. Every reader has a process of its own, which
tells its time, the processor time it took of all cores (which a busy machine hardly changes) and its peak memory.
``LABCTL_PEERS=<folder>`` asks for the peers too: each lives in a virtual environment
of that folder, made where it is missing. Compare figures of one run only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

ROWS = 1_000_000
PER_HALF = 500
DT_S = 60.0
CURRENT_A = 2.0735e-4
PEERS = os.environ.get("LABCTL_PEERS", "")

_TELL = """
import json, sys, time
try:
    import resource
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
except ImportError:
    peak = lambda: 0.0
{imports}
path = sys.argv[1]
begun, cpu = time.perf_counter(), time.process_time()
{read}
told = {{"seconds": time.perf_counter() - begun, "cpu_s": time.process_time() - cpu, "peak_MB": peak()}}
print(json.dumps({{**told, "rows": rows, "charged_Ah": charged}}))
"""
LABCTL = _TELL.format(
    imports="from pathlib import Path\nfrom labctl.formats.maccor_export import read_maccor_file",
    read="f = read_maccor_file(Path(path)).frame\nrows, charged = f.height, f['Charging Capacity / Ah'][-1]",
)
PANDAS = _TELL.format(
    imports="import pandas as pd",
    read="""
f = pd.read_csv(path, sep="\\t", skiprows=3, encoding="latin-1")
for name in ("TestTime", "StepTime"):
    f[name] = pd.to_timedelta(f[name].str.strip().str.replace("d ", " days ", regex=False)).dt.total_seconds()
f["DPt Time"] = pd.to_datetime(f["DPt Time"], format="%m/%d/%Y %H:%M:%S")
ended = f[(f["State"] == "C") & (f["ES"] >= 128)]
rows, charged = len(f), float(ended["Amp-hr"].sum())""",
)
CELLPY = _TELL.format(
    imports="import cellpy",
    read="""
c = cellpy.get(path, instrument="maccor_txt", model="one", mass=1.0)
f = c.data.raw
rows, charged = len(f), float(f["charge_capacity"].max())""",
)


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of fixed-capacity cycling: 1 000 half-cycles of 500 rows, durations, dates and 15 variables."""
    k = np.arange(ROWS)
    half, r = k // PER_HALF, k % PER_HALF
    charging = half % 2 == 0
    step_s = r * DT_S + 0.05
    test_s = half * PER_HALF * DT_S + step_s
    voltage_V = np.where(charging, 1.66 + 0.16 * r / PER_HALF, 1.48 - 0.68 * r / PER_HALF)
    slope = np.where(charging, 0.16, -0.68) / (PER_HALF * DT_S)
    ah = CURRENT_A * step_s / 3600.0
    wh = ah * (voltage_V - slope * (step_s - 0.05) / 2)
    clock = np.datetime64("2026-03-01T22:10:00", "ms") + (1000 * test_s).astype("timedelta64[ms]")
    frame = pl.DataFrame(
        {
            "Rec#": k + 1,
            "Cyc#": half // 2,
            "Step": np.where(charging, 3, 5),
            "TestTime": _durations(test_s),
            "StepTime": _durations(step_s),
            "Amp-hr": pl.Series(ah).round(10),
            "Watt-hr": pl.Series(wh).round(10),
            "Amps": np.full(ROWS, CURRENT_A),
            "Volts": pl.Series(voltage_V).round(5),
            "State": np.where(charging, "C", "D"),
            "ES": np.where(r == PER_HALF - 1, np.where(charging, 136, 133), np.where(r == 0, 0, 1)),
            "DPt Time": pl.Series(clock).dt.strftime("%m/%d/%Y %H:%M:%S"),
            **{f"VAR{n}": np.zeros(ROWS, dtype=np.int8) for n in range(1, 16)},
        }
    )
    path = tmp_path_factory.mktemp("maccor") / "million.txt"
    head = (
        "Today's Date:\t1 June 2026\tDate of Test:\t1 March 2026, 10:10:00 PM\n"
        "    Filename:\tmillion\tTester Channel:\t1\nProcedure:\tfix.000\tDescription:\n"
    )
    with path.open("wb") as stream:
        stream.write(head.encode())
        frame.write_csv(stream, separator="\t", quote_style="never", float_scientific=False)
    return path


def _durations(seconds: NDArray[np.floating[Any]]) -> pl.Series:
    hundredths = np.round(seconds * 100).astype(np.int64)
    s, h = hundredths // 100, hundredths % 100
    parts = pl.DataFrame({"d": s // 86400, "h": s // 3600 % 24, "m": s // 60 % 60, "s": s % 60, "c": h})
    two = [pl.col(name).cast(pl.String).str.zfill(2) for name in "hmsc"]
    return parts.select(pl.format("  {}d {}:{}:{}.{}", pl.col("d"), *two)).to_series()


def _told(python: str, program: str, path: Path) -> dict[str, float]:
    done = subprocess.run([python, "-c", program, str(path)], capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def _peer(name: str) -> str:
    """Python of a peer's own environment."""
    if not PEERS:
        pytest.skip("peers are not asked for (LABCTL_PEERS=<folder>)")
    folder = Path(PEERS) / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", name], check=True)
    return str(python)


@pytest.mark.slow
@pytest.mark.parametrize(("reader", "program"), [("labctl", LABCTL), ("pandas", PANDAS), ("cellpy", CELLPY)])
def test_a_million_rows(benchmark: BenchmarkFixture, million: Path, reader: str, program: str) -> None:
    """Time and peak memory of one reader; what it makes of the charge is told beside, right or wrong."""
    python = sys.executable if reader == "labctl" else _peer(reader)
    told: list[dict[str, float]] = []
    rounds = 3 if benchmark.enabled and reader != "cellpy" else 1
    benchmark.pedantic(lambda: told.append(_told(python, program, million)), rounds=rounds)  # type: ignore[no-untyped-call]  # pytest-benchmark is untyped
    best = min(told, key=lambda one: one["seconds"])
    benchmark.extra_info.update(best)
    took = f"{best['seconds']:.2f} s ({best['cpu_s']:.2f} s of processor time)"
    print(f"\n{reader}: {took}, {best['peak_MB']:.0f} MB, charged {best['charged_Ah']:.6f} Ah")
    expected_Ah = ROWS / PER_HALF / 2 * CURRENT_A * ((PER_HALF - 1) * DT_S + 0.05) / 3600.0
    if reader == "labctl":
        assert best["rows"] == ROWS
        assert best["charged_Ah"] == pytest.approx(expected_Ah, rel=1e-6)

"""Sample files: what ships can be read, and every mistake is told its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import Finding, InputError
from labctl_sim_sample import load_sample

GOOD = """\
version: 1
name: layered
nmr:
  nucleus: 6Li
  reference_temperature: 20 degC
  sites:
    Li2S: {shift: 2.31 ppm, width: 30 Hz}
    LPSC: {shift: 1.29 ppm, width: 15 Hz}
  relaxation:
    Li2S: {T1: 16.7 s, Ea: 0.09 eV}
    LPSC: {T1: 5 s}
  exchange:
    layered:
      geometry: sphere
      layers:
        - {phase: Li2S, outer: 1, density: 43.5 1/nm^3, kD: 0.003 1/s, Ea: 0.142 eV, flux: 0.5 1/s}
        - {phase: LPSC, outer: 1.5, density: 22.1 1/nm^3, kD: 1 1/s}
  probe: {p90: 4.9 us}
  noise_per_scan: 0.1
"""
LAYERED = GOOD[GOOD.index("    layered:") : GOOD.index("  probe:")]
DISCRETE = """\
    discrete:
      populations: {Li2S: 0.6, LPSC: 0.4}
      rates:
        - {from: Li2S, to: LPSC, rate: 2 1/s}
"""
PAIRWISE = """\
    pairwise:
      populations: {Li2S: 0.6, LPSC: 0.4}
      contacts:
        - {between: [Li2S, LPSC], kD: 0.01 1/s, Ea: 0.1 eV}
"""
NONE = """\
    none:
      populations: {Li2S: 0.6, LPSC: 0.4}
"""


def written(folder: Path, text: str) -> Path:
    """Put a sample file into a folder."""
    path = folder / "sample.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("model", [LAYERED, DISCRETE, PAIRWISE, NONE])
def test_every_exchange_model_can_be_written(tmp_path: Path, model: str) -> None:
    """A file with each of the models loads and conserves the label."""
    nmr = load_sample(written(tmp_path, GOOD.replace(LAYERED, model))).nmr
    assert nmr.site_names == ("Li2S", "LPSC")
    assert nmr.mixing_matrix(293.15, 0.0) == pytest.approx(np.diag(nmr.populations), abs=1e-12)


def test_what_ships_can_be_read_and_is_what_it_says(protocols: Path) -> None:
    """All shipped samples load; the demo's truth is a two-site exchange seen within its mixing times."""
    files = sorted((protocols / "samples").glob("*.yaml"))
    assert len(files) >= 3
    for path in files:
        sample = load_sample(path)
        assert sample.name
        sections = {line.rstrip(":\n ") for line in path.read_text(encoding="utf-8").splitlines() if line[:1].isalpha()}
        assert sections & {"nmr", "eis", "cell"}
        if "eis" in sections:
            assert sample.eis.resistance_ohm(298.15) > 0.0
        if "cell" in sections:
            assert sample.cell.theory_Ah >= sample.cell.limit_Ah > 0.0
        if "nmr" in sections:
            assert sample.nmr.nucleus == ("79Br" if path.stem in {"kbr", "dummy_load"} else "6Li")
    demo = load_sample(protocols / "samples" / "two_site_demo.yaml").nmr
    plateau = float(np.prod(demo.populations))
    shares = [demo.mixing_matrix(313.15, t_s)[0, 1] / demo.mixing_matrix(313.15, t_s).sum() for t_s in (0.01, 1.0)]
    assert shares[0] < 0.1 * plateau
    assert shares[1] > 0.5 * plateau


def test_the_demo_is_quiet_enough_and_the_paper_like_sample_is_not_too_quiet(protocols: Path) -> None:
    """Amplitudes by linear least squares have errors of 0.003-0.005 in 48 rows x 8 scans, 0.005-0.02 in 320 x 8."""
    for name, rows, least, most in (("two_site_demo", 48, 0.003, 0.005), ("paper_like", 320, 0.005, 0.02)):
        nmr = load_sample(protocols / "samples" / f"{name}.yaml").nmr
        decay = 2j * np.pi * 73.578 * nmr.shifts_ppm(293.15) - np.pi * nmr.widths_Hz(293.15)
        encode = np.exp(np.outer(0.4e-3 + 0.8e-3 * np.arange(rows // 2), decay))
        E1 = np.concatenate([encode.real, encode.imag])
        E2 = np.exp(np.outer(np.arange(1024) / 20e3, decay))
        variances = (np.diag(np.linalg.inv(gram)).real for gram in (E1.T @ E1, E2.conj().T @ E2))
        sigma = nmr.noise_per_scan / np.sqrt(8) * np.sqrt(np.outer(*variances))
        assert least < sigma.max() < most


MISTAKES = {
    "unknown key": ("name: layered", "nmae: layered", 2, "did you mean 'name'"),
    "missing section": ("  probe: {p90: 4.9 us}\n", "", 3, "'probe' is missing"),
    "other version": ("version: 1", "version: 2", 1, "version"),
    "empty name": ("name: layered", "name: ''", 2, "must be text"),
    "no nucleus": ("nucleus: 6Li", "nucleus: lithium", 4, "6Li"),
    "bare temperature": ("20 degC", "20", 5, "no unit"),
    "below absolute zero": ("20 degC", "-300 degC", 5, "more than 0 K"),
    "wrong unit": ("shift: 2.31 ppm", "shift: 2.31 Hz", 7, "ppm"),
    "no width": ("Li2S: {shift: 2.31 ppm, width: 30 Hz}", "Li2S: {shift: 2.31 ppm}", 7, "'width' is missing"),
    "negative width": ("width: 15 Hz", "width: -15 Hz", 8, "more than 0 Hz"),
    "unknown shape": ("width: 15 Hz", "width: 15 Hz, shape: pascal", 8, "lorentz"),
    "fraction over one": ("width: 15 Hz", "width: 15 Hz, inhomogeneous: 1.5", 8, "at most 1"),
    "fraction over hundred": ("width: 15 Hz", "width: 15 Hz, inhomogeneous: 150 %", 8, "at most 1"),
    "site of no phase": ("LPSC: {shift", "glass: {shift", 8, "no phase 'glass'"),
    "phase without site": ("    LPSC: {shift: 1.29 ppm, width: 15 Hz}\n", "", 6, "no site shows phase 'LPSC'"),
    "fractions that do not sum": ("width: 15 Hz", "width: 15 Hz, fraction: 0.5", 6, "sum to 0.5"),
    "T1 of no phase": ("    LPSC: {T1: 5 s}", "    LPSX: {T1: 5 s}", 11, "no phase 'LPSX'"),
    "phase without T1": ("    LPSC: {T1: 5 s}\n", "", 9, "nothing of phase 'LPSC'"),
    "T1 zero": ("T1: 5 s", "T1: 0 s", 11, "more than 0 s"),
    "two models": (
        "    layered:",
        "    none: {populations: {Li2S: 0.6, LPSC: 0.4}}\n    layered:",
        12,
        "one exchange model",
    ),
    "no model": (LAYERED, "    {}\n", 12, "one exchange model"),
    "unknown model": (LAYERED, "    diffuse: {}\n", 13, "unknown key 'diffuse'"),
    "unknown geometry": ("geometry: sphere", "geometry: cube", 14, "sphere, slab"),
    "radius of text": ("outer: 1.5", "outer: 1.5 um", 17, "plain number"),
    "layer inside the other": ("outer: 1.5", "outer: 0.5", 17, "more than 1"),
    "first radius": ("outer: 1,", "outer: 1.2,", 16, "unit of length"),
    "phase twice": ("{phase: LPSC", "{phase: Li2S", 17, "twice"),
    "flux through the outside": ("kD: 1 1/s", "kD: 1 1/s, flux: 1 1/s", 17, "outermost"),
    "Ea in the wrong unit": ("Ea: 0.142 eV", "Ea: 0.142 V", 16, "eV"),
    "one layer": (LAYERED[LAYERED.index("        - {phase: LPSC") :], "", 15, "1 layers"),
    "populations that do not sum": (LAYERED, DISCRETE.replace("0.4", "0.5"), 14, "sums to 1.1"),
    "jump to nowhere": (LAYERED, DISCRETE.replace("to: LPSC", "to: glass"), 16, "no phase 'glass'"),
    "jump to itself": (LAYERED, DISCRETE.replace("to: LPSC", "to: Li2S"), 16, "with itself"),
    "jump given twice": (LAYERED, DISCRETE + "        - {from: LPSC, to: Li2S, rate: 1 1/s}\n", 17, "detailed balance"),
    "contact of one": (LAYERED, PAIRWISE.replace("[Li2S, LPSC]", "[Li2S]"), 16, "two phases"),
    "p90 too long": ("p90: 4.9 us", "p90: 4.9 s", 18, "at most 0.001 s"),
    "noise as text": ("noise_per_scan: 0.1", "noise_per_scan: 1 uV", 19, "plain number"),
    "noise negative": ("noise_per_scan: 0.1", "noise_per_scan: -1", 19, "at least 0"),
    "list for a mapping": ("  probe: {p90: 4.9 us}", "  probe: [4.9 us]", 18, "must be a mapping"),
    "key given twice": ("name: layered", "name: layered\nname: again", 3, "given twice"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_its_line(tmp_path: Path, mistake: str) -> None:
    """The first finding names file and line, and says what would be right."""
    old, new, line, said = MISTAKES[mistake]
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        load_sample(path)
    finding = next(found for found in caught.value.findings if said in str(found))
    assert str(finding).startswith(f"{path}:{line}:")
    assert caught.value.exit_code == 2


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Three mistakes, three findings, in the order of the file."""
    text = GOOD.replace("2.31 ppm", "2.31").replace("T1: 5 s", "T1: 5").replace("4.9 us", "4.9")
    with pytest.raises(InputError) as caught:
        load_sample(written(tmp_path, text))
    assert [found.line for found in caught.value.findings] == [7, 11, 18]


@pytest.mark.parametrize("text", ["", "- 1", "nonsense", "version: 1\nname: x\nnmr: []", "version: 1\nname: x\nnmr:"])
def test_what_is_no_sample_is_refused(tmp_path: Path, text: str) -> None:
    """An empty file, a list or a word is an input error, never a traceback."""
    with pytest.raises(InputError):
        load_sample(written(tmp_path, text))


lines = GOOD.splitlines()


@settings(max_examples=150, deadline=None)
@given(
    line=st.integers(0, len(lines) - 1),
    change=st.sampled_from(["drop", "0", "[]", "{}", "null", "x", "-1 s", "1e999", "'5 %'"]),
)
def test_no_damage_to_a_line_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, line: int, change: str
) -> None:
    """A file with any one line dropped, or its value replaced, is read or refused as input."""
    damaged = lines.copy()
    damaged[line] = "" if change == "drop" else f"{lines[line].split(':')[0]}: {change}"
    findings: tuple[Finding, ...] = ()
    try:
        load_sample(written(tmp_path_factory.getbasetemp(), "\n".join(damaged)))
    except InputError as refused:
        findings = refused.findings or (Finding(file="", what="refused without a finding"),)
    assert all(found.line for found in findings)


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Numpy and scipy come with the first sample, not with the name."""
    code = "import sys, labctl_sim_sample; print([m for m in ('numpy', 'scipy', 'ruamel.yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

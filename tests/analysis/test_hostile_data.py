"""Folders of a simulated console, then spoilt: a refusal or a bound that says why, never a number without a doubt."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from labctl.analysis.campaign import analyze_paths
from labctl.analysis.results import ExchangeFit, Results, ResultWarning
from tests.analysis.console_data import ConsoleData, Truth

T_K, TMIX_S = 298.15, (0.2, 1.0)
SITES = Truth().sites
Spoil = Callable[[Path], None]


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> ConsoleData:
    """Return two 2Ds and a recovery of two sites at one temperature, without noise."""
    return ConsoleData(tmp_path_factory.mktemp("hostile") / "quiet").acquire((T_K,), TMIX_S)


@pytest.fixture
def folder(quiet: ConsoleData, tmp_path: Path) -> Path:
    """Return the same with a little noise, to be spoilt: 100 and 101 are 2Ds, 150 the recovery."""
    return quiet.drawn(tmp_path / "data", noise=0.05, seed=1)


def _fits(results: Results) -> list[ExchangeFit]:
    return [one for one in results.exsy.fits if isinstance(one, ExchangeFit)]


def _of(results: Results, code: str) -> list[ResultWarning]:
    return [one for one in results.warnings if one.code == code]


def _one(results: Results, code: str) -> ResultWarning:
    (warning,) = _of(results, code)
    assert warning.message
    assert warning.advice
    return warning


def _unlisted(results: Results) -> float:
    """Shift of a line that was told to be missing from the list."""
    told = (re.search(r"a line at ([-\d.]+) ppm is not in the list", one.message) for one in _of(results, "lines"))
    return next(float(found[1]) for found in told if found is not None)


def _numbers(path: Path) -> NDArray[np.float64]:
    return np.fromfile(path, "<f8")


def _change(folder: Path, name: str, text: str) -> None:
    """Replace one parameter of an ``acqus``; its values may go over several lines."""
    path = folder / "acqus"
    before = path.read_text(encoding="utf-8")
    after = re.sub(rf"##\${name}=[^#]*", f"##${name}= {text}\n", before, count=1)
    assert after != before
    path.write_text(after, encoding="utf-8")


def test_whole_data_are_no_case_for_doubt(folder: Path) -> None:
    """Unspoilt, the same folder gives the rate within its error, and no doubt of the data."""
    results = analyze_paths([folder], sites=SITES)
    (fit,) = _fits(results)
    assert abs(fit.k_per_s[0][1] - Truth().k_AB_per_s) < 4 * fit.k_se[0][1]
    assert {one.code for one in results.warnings} <= {"chi2", "no_arrhenius"}


def test_noise_alone_is_refused(folder: Path) -> None:
    """Noise gives no rate, no bound and no T1 that anything may rest on; how far below the noise all is, is told."""
    rng = np.random.default_rng(0)
    for ser in folder.glob("*/ser"):
        ser.write_bytes((1e5 * rng.standard_normal(_numbers(ser).size)).tobytes())
    results = analyze_paths([folder], sites=SITES)
    assert not results.exsy.fits
    assert not results.exsy.matrices
    assert any("no line stands out of the noise" in one.message for one in _of(results, "not_analysed"))
    for T1 in results.t1:
        assert T1.T1_se_s >= T1.T1_s
        assert any("is not seen" in text for text in T1.warnings)


def test_noise_alone_without_sites_is_refused(folder: Path) -> None:
    """Nothing is found in noise: no sites, no rates, no T1."""
    rng = np.random.default_rng(0)
    for ser in folder.glob("*/ser"):
        ser.write_bytes((1e5 * rng.standard_normal(_numbers(ser).size)).tobytes())
    results = analyze_paths([folder])
    assert not results.exsy.fits
    assert not results.t1
    assert any("stands out of the noise" in one.message for one in _of(results, "not_analysed"))


def test_lines_too_weak_for_exchange_give_no_rate(quiet: ConsoleData, tmp_path: Path) -> None:
    """Diagonal peaks of a few standard errors carry neither a rate nor a bound, which is told with their size."""
    results = analyze_paths([quiet.drawn(tmp_path, noise=6.0, seed=2)], sites=SITES)
    assert not results.exsy.fits
    assert not results.exsy.arrhenius
    assert _of(results, "not_seen") or _of(results, "not_analysed")


def test_no_exchange_is_a_bound_and_not_a_rate(tmp_path: Path) -> None:
    """Strong lines without cross peaks: an upper limit that holds the truth, and no doubt whether it counts."""
    none = ConsoleData(tmp_path / "quiet", Truth(k_AB_per_s=1e-9)).acquire((T_K,), TMIX_S)
    results = analyze_paths([none.drawn(tmp_path / "data", noise=0.05, seed=3)], sites=SITES)
    (fit,) = _fits(results)
    told = _one(results, "not_resolved") if len(_of(results, "not_resolved")) == 1 else _of(results, "not_resolved")[0]
    limit = re.search(r"below ([\d.e-]+) 1/s with 95 %", told.message)
    assert limit is not None
    assert 0 < float(limit[1]) < 0.05
    assert fit.k_per_s[0][1] < float(limit[1])
    assert not _of(results, "no_null_result")


def test_no_exchange_without_T1_is_no_null_result(tmp_path: Path) -> None:
    """Without recoveries the sources may have been saturated: the bound comes with that doubt."""
    none = ConsoleData(tmp_path / "quiet", Truth(k_AB_per_s=1e-9)).acquire((T_K,), TMIX_S, recoveries=False)
    results = analyze_paths([none.drawn(tmp_path / "data", noise=0.05, seed=3)], sites=SITES)
    assert len(_of(results, "no_null_result")) == 2
    assert all("T1" in one.advice for one in _of(results, "no_null_result"))


def test_one_site_has_nothing_to_exchange_with(folder: Path) -> None:
    """With one of two lines named there is no rate; the other line is told with its shift."""
    results = analyze_paths([folder], sites={"A": SITES["A"]})
    assert not results.exsy.fits
    assert _one(results, "one_site").value == 1
    assert _unlisted(results) == pytest.approx(SITES["B"], abs=0.05)


def test_a_site_that_is_not_there_is_left_out(folder: Path) -> None:
    """A third name on the list moves no rate of the two that are there, and is told with what was seen of it."""
    (plain,) = _fits(analyze_paths([folder], sites=SITES))
    results = analyze_paths([folder], sites={**SITES, "C": 6.0})
    (fit,) = _fits(results)
    assert fit.sites == ["A", "B"]
    assert fit.k_per_s == plain.k_per_s
    warning = _one(results, "not_seen")
    assert warning.where == "C"
    assert warning.value is not None
    assert warning.value < 5


def test_a_list_of_sites_for_another_sample_is_refused(folder: Path) -> None:
    """Lines 3 ppm and more from all that was named: no rate, and the refusal says where lines stand."""
    results = analyze_paths([folder], sites={"A": 4.5, "B": 8.5})
    assert not results.exsy.fits
    told = _of(results, "not_analysed")[0].message
    assert "none of" in told
    assert "+109 Hz, -109 Hz" in told or "-109 Hz, +109 Hz" in told


def test_one_wrong_site_of_two_gives_no_rate(folder: Path) -> None:
    """A name where no line is does not borrow the line of another: the one that is not listed is told."""
    results = analyze_paths([folder], sites={"A": 1.5, "B": 0.2})
    assert not results.exsy.fits
    assert _unlisted(results) == pytest.approx(SITES["B"], abs=0.05)


def test_sites_within_one_width_are_refused(tmp_path: Path) -> None:
    """Lines 3 Hz apart and 15 Hz wide: no rate, and a warning that says that they cannot be told apart."""
    close = ConsoleData(tmp_path / "quiet", Truth(ppm=(0.02, -0.02))).acquire((T_K,), TMIX_S)
    results = analyze_paths([close.drawn(tmp_path / "data", noise=0.05, seed=1)], sites=close.truth.sites)
    for fit in _fits(results):
        assert any("not resolved" in text for text in fit.warnings)
    if not _fits(results):
        assert any(
            "cannot be told apart" in one.message for one in (*_of(results, "not_seen"), *_of(results, "not_analysed"))
        )


def test_a_2d_without_its_mixing_time_is_left_out(folder: Path) -> None:
    """D8 of 0 is no mixing time: this 2D is not used, and the warning says which parameter."""
    before = (folder / "100" / "acqus").read_text(encoding="utf-8")
    delays = re.search(r"##\$D= \(0\.\.\d+\)\n([^#]*)", before)
    assert delays is not None
    values = delays[1].split()
    values[8] = "0"
    (folder / "100" / "acqus").write_text(before.replace(delays[1], " ".join(values) + "\n"), encoding="utf-8")
    results = analyze_paths([folder], sites=SITES)
    assert "D[8]" in _one(results, "no_mixing_time").message
    assert [one.tmix_s for one in results.exsy.matrices] == [1.0]
    assert _one(results, "one_mixing_time").value == 1.0


def test_a_2d_without_delays_at_all_is_left_out(folder: Path) -> None:
    """A parameter file without D loses its 2D and no other."""
    path = folder / "100" / "acqus"
    path.write_text(re.sub(r"##\$D=[^#]*", "", path.read_text(encoding="utf-8"), count=1), encoding="utf-8")
    results = analyze_paths([folder], sites=SITES)
    assert _one(results, "no_mixing_time").where.endswith("100")
    assert len(results.exsy.matrices) == 1


@pytest.mark.real_data
def test_what_is_no_exsy_is_left_out_by_name(shared_data: Path) -> None:
    """A real COSY is not taken for an EXSY, nor said to lack a mixing time: its pulse program is named."""
    results = analyze_paths([shared_data / "bruker" / "cosy-states"])
    assert not results.exsy.matrices
    assert "pulse program" in _one(results, "unknown_kind").message
    assert not _of(results, "no_mixing_time")


def test_other_temperatures_are_not_mixed_in(folder: Path) -> None:
    """2Ds at 298 and 310 K are fitted apart, each with the doubt that one mixing time leaves."""
    _change(folder / "101", "TE", "310.0")
    results = analyze_paths([folder], sites=SITES)
    assert [fit.T_K for fit in _fits(results)] == [pytest.approx(298.15), pytest.approx(310.0)]
    assert len(_of(results, "one_mixing_time")) == 2


def test_an_impossible_temperature_is_told_and_kept_apart(folder: Path) -> None:
    """TE = 0 K is told; its 2D is not fitted with those at a known temperature."""
    _change(folder / "101", "TE", "0")
    results = analyze_paths([folder], sites=SITES)
    assert _one(results, "temperature").value == 0
    assert [fit.T_K for fit in _fits(results)] == [pytest.approx(298.15), None]
    assert not results.exsy.arrhenius


def test_temperatures_that_drift_through_a_group_are_told(quiet: ConsoleData, tmp_path: Path) -> None:
    """2Ds each within a kelvin of the mean, but 1.1 K apart, are fitted together with a warning."""
    folder = quiet.drawn(tmp_path / "data", noise=0.05, seed=1)
    more = quiet.drawn(tmp_path / "more", noise=0.05, seed=2)
    _change(folder / "101", "TE", "298.8")
    _change(more / "100", "TE", "299.25")
    results = analyze_paths([folder, more / "100"], sites=SITES)
    assert _one(results, "temperature_spread").value == pytest.approx(1.1, abs=0.01)


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [(np.nan, "not_finite", "2 points"), (np.inf, "not_finite", "2 points"), (1e12, "spike", "row ")],
)
def test_damaged_values_cost_their_2d_alone(folder: Path, value: float, code: str, text: str) -> None:
    """NaN, infinity and a spike are told with their number; the other 2D of the temperature is still used."""
    raw = _numbers(folder / "100" / "ser")
    raw[5000:5003] = value
    (folder / "100" / "ser").write_bytes(raw.tobytes())
    results = analyze_paths([folder], sites=SITES)
    warning = _one(results, code)
    assert text in warning.message
    assert warning.where.endswith("100")
    assert [one.tmix_s for one in results.exsy.matrices] == [1.0]


def _cut(folder: Path) -> None:
    path = folder / "ser"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 1000])


def _zeros(folder: Path) -> None:
    path = folder / "ser"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))


@pytest.mark.parametrize("spoil", [_cut, _zeros])
def test_a_half_written_2d_counts_with_its_rows(folder: Path, spoil: Spoil) -> None:
    """Cut in mid-row or allocated and not filled: the rows that are there are used, and errors and a warning say so."""
    (whole,) = _fits(analyze_paths([folder], sites=SITES))
    spoil(folder / "101")
    results = analyze_paths([folder], sites=SITES)
    (fit,) = _fits(results)
    assert "of 32 rows" in _one(results, "partial").message
    assert fit.k_se[0][1] > whole.k_se[0][1]
    assert abs(fit.k_per_s[0][1] - Truth().k_AB_per_s) < 4 * fit.k_se[0][1]


def _empty(folder: Path) -> None:
    (folder / "ser").write_bytes(b"")


def _part_of_a_row(folder: Path) -> None:
    (folder / "ser").write_bytes((folder / "ser").read_bytes()[:1500])


def _gone(folder: Path) -> None:
    (folder / "ser").unlink()


def _no_parameters(folder: Path) -> None:
    (folder / "acqus").write_bytes((folder / "acqus").read_bytes()[:300])


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(_empty, "too_few_rows"), (_part_of_a_row, "too_few_rows"), (_gone, "unreadable"), (_no_parameters, "unreadable")],
)
def test_what_holds_no_data_costs_nothing_but_itself(folder: Path, spoil: Spoil, code: str) -> None:
    """An empty or missing ``ser``, a part of a row, a cut parameter file: told, and the other 2D is still used."""
    spoil(folder / "100")
    results = analyze_paths([folder], sites=SITES)
    assert _one(results, code).where.endswith("100") or code == "unreadable"
    assert [one.tmix_s for one in results.exsy.matrices] == [1.0]
    assert _fits(results)


def test_half_a_recovery_is_used_with_its_doubts(folder: Path) -> None:
    """Four of eight delays, none past T1: T1 is said not to be covered, and the fit goes on with both."""
    _cut(folder / "150")
    results = analyze_paths([folder], sites=SITES)
    assert len(_of(results, "T1_range")) == 2
    (fit,) = _fits(results)
    assert abs(fit.k_per_s[0][1] - Truth().k_AB_per_s) < 4 * fit.k_se[0][1]


def test_every_doubt_has_its_number_and_its_advice(folder: Path) -> None:
    """Whatever is wrong with data, each warning says how much of it and what to do; files that cannot be read aside."""
    _cut(folder / "101")
    _change(folder / "150", "TE", "0")
    results = [
        analyze_paths([folder], sites=sites) for sites in (SITES, {"A": 1.5}, {"A": 1.5, "B": 0.2}, {**SITES, "C": 6.0})
    ]
    raw = _numbers(folder / "100" / "ser")
    raw[5000] = np.nan
    (folder / "100" / "ser").write_bytes(raw.tobytes())
    results.append(analyze_paths([folder], sites=SITES))
    told = [one for result in results for one in result.warnings if one.code not in {"unreadable", "not_analysed"}]
    assert {"partial", "lines", "amplitudes", "not_seen", "temperature", "not_finite"} <= {one.code for one in told}
    for one in told:
        assert one.advice, one.message
        assert one.value is not None, one.message

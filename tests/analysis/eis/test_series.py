"""Folders and run folders of impedance through `analyze_paths` to results, tables and figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from labctl.analysis.campaign import analyze_paths
from labctl.analysis.context import AnalysisContext
from labctl.analysis.eis.fitting import CircuitFit, fit_circuit
from labctl.analysis.eis.gather import gather_impedance
from labctl.analysis.eis.ladder import with_continuity
from labctl.analysis.eis.noise import stated_error_model
from labctl.analysis.eis.series import EisOptions, analyse_series
from labctl.analysis.eis.spectrum import analyse_spectrum
from labctl.analysis.eis_results import Eis, EisArrhenius
from labctl.analysis.judge import judge
from labctl.analysis.results import Results
from labctl.cli.analysing import analyze_command
from labctl.dataset.model import DataFile, Dataset, SampleTemperature
from labctl.dataset.store import write_manifest
from labctl.errors import InputError
from labctl.formats.impedance import ImpedanceSpectrum
from labctl.report.eis_figures import conductivity, eis_figures
from labctl.report.page import Timeline, write_report
from tests.analysis.eis.pellets import (
    AMPLITUDE_V,
    FREQUENCY_HZ,
    GAIN_NOISE,
    LADDER_K,
    LI2S,
    LII,
    MIXTURE,
    ComplexArray,
    Pellet,
    known,
    measured,
)


def export(path: Path, Z: ComplexArray) -> None:
    """Write a NOVA text export."""
    rows = ["Index;Frequency (Hz);Z' (Ω);-Z'' (Ω);Z (Ω);-Phase (°)"]
    for number, (f, z) in enumerate(zip(FREQUENCY_HZ.tolist(), Z.tolist(), strict=True), start=1):
        phase = float(np.degrees(np.angle(z)))
        rows.append(f"{number};{f!r};{z.real!r};{-z.imag!r};{abs(z)!r};{-phase!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_ladder(
    folder: Path, pellet: Pellet, current_noise_A: float, *, noise_stated: bool = True, **beside: object
) -> list[Path]:
    """Write six sweeps with their sidecars."""
    paths = []
    for number, T_K in enumerate(LADDER_K):
        paths.append(folder / f"sweep{number}.txt")
        export(paths[-1], measured(pellet.admittance(T_K), current_noise_A, number))
        data: dict[str, object] = {
            "sample": folder.name,
            "temperature_K": {"mean": T_K, "before": T_K - 0.02, "after": T_K + 0.02},
            "amplitude_V_rms": AMPLITUDE_V,
            "thickness_mm": 10 * pellet.thickness_cm,
            "diameter_mm": 10 * pellet.diameter_cm,
            "thickness_se_mm": 0.02,
            **beside,
        }
        if noise_stated:
            data |= {"current_noise_A": current_noise_A, "gain_noise": GAIN_NOISE}
        paths[-1].with_suffix(".eis.json").write_text(json.dumps(data), encoding="utf-8")
    return paths


def line_of(results: Results, sample: str, convention: str = "ln sigma") -> EisArrhenius:
    """Return one Arrhenius entry."""
    (found,) = (one for one in results.eis.arrhenius if (one.sample, one.convention) == (sample, convention))
    return found


@pytest.fixture(scope="module")
def three_samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of the three ladders of the paper under 3 pA."""
    folder = tmp_path_factory.mktemp("eis")
    for name, pellet in (("Li2S", LI2S), ("LiI", LII), ("mixture", MIXTURE)):
        write_ladder(folder / name, pellet, 3e-12, noise_stated=name != "mixture")
    return folder


@pytest.fixture(scope="module")
def results(three_samples: Path) -> Results:
    """Return their analysis."""
    return analyze_paths([three_samples])


@pytest.mark.parametrize(("name", "pellet"), [("LiI", LII), ("mixture", MIXTURE), ("Li2S", LI2S)])
def test_a_folder_gives_sigma_and_energy(results: Results, name: str, pellet: Pellet) -> None:
    """Both conventions are there, each named, and the truth's own one holds the truth within three errors."""
    line = line_of(results, name)
    assert abs(line.Ea_eV - pellet.Ea_eV) < 3.5 * line.Ea_se_eV
    assert line.sigma_25C_S_per_cm is not None
    assert line.sigma_25C_se_S_per_cm is not None
    assert abs(line.sigma_25C_S_per_cm - pellet.sigma_25C_S_per_cm) < 3.5 * line.sigma_25C_se_S_per_cm
    assert line_of(results, name, "ln sigma T").Ea_eV - line.Ea_eV == pytest.approx(0.03, abs=0.006)
    assert line.prefactor is not None
    assert line.prefactor.verdict == "low"


def test_geometry_stays_apart(results: Results) -> None:
    """The error of the thickness is in its own key, the same share at every temperature, and not in Ea's."""
    share = 0.02 / (10 * LII.thickness_cm)
    for one in results.eis.spectra:
        if one.sample == "LiI" and one.sigma_S_per_cm is not None:
            assert one.sigma_geometry_se_S_per_cm == pytest.approx(share * one.sigma_S_per_cm)
    line = line_of(results, "LiI")
    assert line.ln_A_geometry_se == pytest.approx(share)
    assert line.Ea_se_eV < 0.001


def test_li2s_says_what_is_not_resolved(results: Results) -> None:
    """At 25 C either a limit above the truth stands in place of the number, or a number with its large error."""
    cold = next(one for one in results.eis.spectra if one.sample == "Li2S" and (one.T_K or 0) < 300)
    if cold.resolved:
        assert cold.sigma_se_S_per_cm is not None
        assert cold.sigma_se_S_per_cm > 0.15 * LI2S.sigma_25C_S_per_cm
    else:
        assert cold.R_ohm is None
        assert cold.sigma_S_per_cm is None
        assert cold.sigma_upper_S_per_cm is not None
        assert any("not resolved" in text for text in cold.warnings)
        assert [one.dataset for one in line_of(results, "Li2S").not_resolved] == [cold.dataset]


def test_every_spectrum_carries_test_fit_and_candidates(results: Results) -> None:
    """Kramers-Kronig passes, residuals have one entry per point, candidates are told with their AICc."""
    for one in results.eis.spectra:
        assert one.kramers_kronig is not None
        assert one.kramers_kronig.passed
        assert one.fit is not None
        assert len(one.fit.residual_re) == len(one.frequency_Hz) == len(one.kramers_kronig.residual_re)
        assert min(one.fit.candidates, key=lambda c: c.aicc).aicc <= one.fit.aicc
        assert one.fit.noise == ("estimated" if one.sample == "mixture" else "known")
        assert {e.element for e in one.fit.elements} >= {"arc 1"}


def test_an_element_is_told_in_units_people_use(results: Results) -> None:
    """The bulk arc's C_eff is geometric plus stray capacitance, its Q follows, and it is called bulk by its size."""
    one = next(one for one in results.eis.spectra if one.sample == "LiI")
    assert one.fit is not None
    arc = next(e for e in one.fit.elements if e.element == "arc 1")
    geometric = 8.8541878e-14 * LII.permittivity * LII.area_cm2 / LII.thickness_cm
    assert arc.C_eff_F == pytest.approx(geometric + LII.stray_F, rel=0.01)
    assert arc.R_ohm is not None
    assert arc.Q_S_s_n is not None
    assert arc.n is not None
    assert (arc.R_ohm ** (1 - arc.n) * arc.Q_S_s_n) ** (1 / arc.n) == pytest.approx(arc.C_eff_F, rel=1e-6)
    assert arc.assignment == "bulk"
    electrode = next(e for e in one.fit.elements if e.element == "electrode")
    assert electrode.Q_S_s_n == pytest.approx(LII.electrode_Q, rel=0.2)


def test_results_survive_the_file(results: Results) -> None:
    """What is written is read back the same, and no number is left that JSON does not know."""
    assert Results.model_validate_json(results.model_dump_json()) == results


def test_figures_are_drawn(results: Results, tmp_path: Path) -> None:
    """Nyquist, Bode and residuals of a sample and one Arrhenius plot are files, the same bytes each time."""
    one = Results(eis=Eis(spectra=results.eis.spectra[:1], arrhenius=results.eis.arrhenius[:1]))
    figures = eis_figures(one, tmp_path)
    assert [drawn.path.suffix for drawn in figures] == [".svg"] * 4
    before = figures[-1].path.read_bytes()
    assert conductivity(results.eis.arrhenius[:1], tmp_path / "again.svg").path.read_bytes() == before
    assert eis_figures(Results(), tmp_path) == []


def test_the_page_tells_both_errors_and_the_circuits_that_share(results: Results, tmp_path: Path) -> None:
    """The table of conductivities has the calibration's column, and a circuit with a part in R is named with it."""
    page = write_report(tmp_path / "report.html", results, (), timeline=Timeline(), protocol_text="").read_text("utf-8")
    assert "± calibration of T" in page
    for line in results.eis.arrhenius:
        assert line.Ea_se_calibration_eV is None or f"{line.Ea_se_calibration_eV:.4f} eV" in page
    for one in results.eis.spectra:
        for other in one.fit.candidates if one.fit else ():
            if one.fit and other.circuit != one.fit.circuit and other.weight >= 0.01:
                assert f"{100 * other.weight:.0f} % {other.circuit}" in page


def test_without_dimensions_there_are_conductances(tmp_path: Path) -> None:
    """No pellet stated: Ea from the conductance, its unit said, and advice how to state the pellet."""
    write_ladder(tmp_path / "LiI", LII, 3e-13, thickness_mm=None)
    results = analyze_paths([tmp_path])
    line = line_of(results, "LiI")
    assert (line.quantity, line.unit, line.sigma_25C_S_per_cm) == ("conductance", "S", None)
    assert pytest.approx(LII.conductance(298.15), rel=0.01) == line.G_25C_S
    assert any(one.code == "no_geometry" for one in results.warnings)


def test_without_temperatures_there_is_no_line(tmp_path: Path) -> None:
    """An export alone has a resistance, no temperature and no activation energy, and says how to state them."""
    export(tmp_path / "LiI.txt", measured(LII.admittance(298.15), 3e-13, 0))
    results = analyze_paths([tmp_path / "LiI.txt"])
    (one,) = results.eis.spectra
    assert one.R_ohm == pytest.approx(1 / LII.conductance(298.15), rel=0.01)
    assert results.eis.arrhenius == []
    assert any(one.code == "no_arrhenius" for one in results.warnings)
    (told,) = results.datasets
    assert told.kind == "impedance"


def test_a_file_that_cannot_be_read_spares_the_rest(tmp_path: Path) -> None:
    """A contradicting export becomes a warning with its line; alone it is an input error with its line."""
    paths = write_ladder(tmp_path / "LiI", LII, 3e-13)
    text = paths[2].read_text(encoding="utf-8").replace("-Z''", "Z''")
    paths[2].write_text(text, encoding="utf-8")
    results = analyze_paths([tmp_path])
    assert len(results.eis.spectra) == 5
    assert any("sweep2.txt:2" in one.message for one in results.warnings if one.code == "unreadable")
    with pytest.raises(InputError, match=r"sweep2\.txt:2"):
        analyze_paths([paths[2]])


def test_overloaded_points_do_not_count(tmp_path: Path) -> None:
    """Points flagged as overloaded are left out of fit and test, and told."""
    path = tmp_path / "a" / "sweep.txt"
    Z = measured(LII.admittance(298.15), 3e-13, 0)
    Z[:4] *= 3
    export(path, Z)
    overload = [at < 4 for at in range(Z.size)]
    path.with_suffix(".eis.json").write_text(json.dumps({"overload": overload, "moved": True}), encoding="utf-8")
    (one,) = analyze_paths([path]).eis.spectra
    assert one.left_out == [0, 1, 2, 3]
    assert one.R_ohm == pytest.approx(1 / LII.conductance(298.15), rel=0.01)
    assert any("overloaded" in text for text in one.warnings)
    assert any("moved" in text for text in one.warnings)


def test_a_return_to_the_first_temperature_shows_change(tmp_path: Path) -> None:
    """A sample that conducts 20 % better when back at 25 C is said to have changed."""
    paths = write_ladder(tmp_path / "LiI", LII, 3e-13, started_s=1e9)
    export(tmp_path / "LiI" / "back.txt", measured(1.2 * LII.admittance(298.15), 3e-13, 77))
    side = json.loads(paths[0].with_suffix(".eis.json").read_text(encoding="utf-8"))
    side["started_s"] = 1e9 + 3e4
    (tmp_path / "LiI" / "back.eis.json").write_text(json.dumps(side), encoding="utf-8")
    results = analyze_paths([tmp_path])
    (doubt,) = (one for one in results.warnings if one.code == "irreversible")
    assert "back at" in doubt.message
    assert "+19.9 %" in doubt.message or "+20.0 %" in doubt.message


def run_folder(folder: Path, sample_se_K: float = 0.1) -> list[Dataset]:
    """Write a run folder of labctl's with one LiI ladder, one sweep of it measured twice."""
    datasets = []
    for number, T_K in enumerate(LADDER_K):
        for attempt in (1, 2) if number == 1 else (1,):
            directory = f"autolab/T{number:02d}.a{attempt}"
            path = folder / directory / "sweep.txt"
            export(path, measured(LII.admittance(T_K), 3e-13, 10 * number + attempt))
            step_id = f"autolab/eis_ladder/T{number:02d}/sweep"
            dataset = Dataset(
                step_id=step_id,
                key=f"{number:032x}",
                attempt=attempt,
                station="autolab",
                procedure="eis_ladder",
                kind="impedance",
                directory=directory,
                files=(DataFile(path=f"{directory}/sweep.txt", size=path.stat().st_size, sha256="0" * 64),),
                completeness="complete" if attempt == 2 or number != 1 else "failed",
                started_s=1e9 + 4000 * number,
                ended_s=1e9 + 4000 * number + 60,
                temperature=SampleTemperature(
                    setpoint_K=T_K - 1, sensor_K=T_K - 1, sample_K=T_K, sample_se_K=sample_se_K, model="offset"
                ),
                settings={"sample": "LiI", "thickness_mm": 7.4 / 10, "diameter_mm": 10.0, "amplitude_V_rms": 0.005},
            )
            write_manifest(folder, dataset)
            datasets.append(dataset)
    return datasets


def test_a_run_folder_is_analysed_by_its_manifests(tmp_path: Path) -> None:
    """Calibrated temperatures, sample and pellet come from the manifests; of each step one attempt counts."""
    run_folder(tmp_path)
    results = analyze_paths([tmp_path])
    assert [one.T_K for one in results.eis.spectra] == list(LADDER_K)
    assert "autolab/T01.a2" in results.eis.spectra[1].path
    line = line_of(results, "LiI")
    assert abs(line.Ea_eV - LII.Ea_eV) < 3.5 * line.Ea_se_eV
    assert not any(one.code == "unreadable" for one in results.warnings)


def test_a_calibration_is_wrong_for_the_whole_ladder_alike(tmp_path: Path) -> None:
    """Twenty times its uncertainty leaves the noise's errors of Ea and sigma as they are; its own stand beside them."""
    for name, sample_se_K in (("good", 0.1), ("poor", 2.0)):
        run_folder(tmp_path / name, sample_se_K)
    good, poor = (line_of(analyze_paths([tmp_path / name]), "LiI") for name in ("good", "poor"))
    assert (good.Ea_se_eV, good.sigma_25C_se_S_per_cm) == (poor.Ea_se_eV, poor.sigma_25C_se_S_per_cm)
    assert good.Ea_se_calibration_eV is not None
    assert poor.Ea_se_calibration_eV == pytest.approx(20 * good.Ea_se_calibration_eV, rel=0.05)
    assert good.sigma_25C_se_calibration_S_per_cm is not None
    assert poor.sigma_25C_se_calibration_S_per_cm == pytest.approx(
        20 * good.sigma_25C_se_calibration_S_per_cm, rel=0.05
    )


def test_a_sweep_is_judged_when_it_is_there(tmp_path: Path) -> None:
    """The verdict carries R with its error and the Kramers-Kronig outcome, and lets the campaign go on."""
    dataset = run_folder(tmp_path)[0]
    verdict = judge(tmp_path, dataset, AnalysisContext())
    assert verdict.gate == "pass"
    R_ohm, R_se_ohm = verdict.measured["R_ohm"], verdict.measured["R_se_ohm"]
    assert abs(R_ohm - 1 / LII.conductance(298.15)) < 4 * R_se_ohm
    assert "Kramers-Kronig passed" in verdict.message


def test_continuity_steadies_a_small_arc() -> None:
    """Tied exponents over temperature scatter less, R stays within its errors, independent fits are kept beside."""
    s = 2j * np.pi * FREQUENCY_HZ
    spectra = []
    for number, R in enumerate((3e6, 2e6, 1.4e6, 1e6, 7e5)):
        Z0 = R / (1 + (R * 3e-11 * s)) + 0.15 * R / (1 + 0.15 * R * 4e-10 * s**0.93) + 1 / (2e-6 * s**0.9)
        Z = measured(1 / Z0, 3e-12, number)
        spectra.append(ImpedanceSpectrum(frequency_Hz=FREQUENCY_HZ, Z_ohm=Z, path=Path("x"), dialect="NOVA ASCII"))
    alone = [analyse_spectrum(one, errors=known(3e-12)) for one in spectra]
    tied = with_continuity(alone)
    assert len({one.choice.best.fit.circuit.text for one in tied}) == 1
    for one, R in zip(tied, (3e6, 2e6, 1.4e6, 1e6, 7e5), strict=True):
        G = one.choice.conductance
        assert abs(G.G_S - 1 / (1.15 * R)) < 5 * G.G_se_S
    circuit = tied[0].choice.best.fit.circuit
    free = fit_circuit([one.sweep for one in alone], circuit)

    def spread(fits: list[CircuitFit]) -> float:
        return max(float(np.std([fit.theta[at] for fit in fits])) for at in circuit.exponents)

    assert spread([one.choice.best.fit for one in tied]) < 0.8 * spread(free)


def test_continuity_keeps_independent_fits_beside(three_samples: Path) -> None:
    """With the option on, each spectrum carries both fits and lines say which they rest on."""
    spectra, _ = gather_impedance([three_samples / "LiI"])
    eis, _ = analyse_series(spectra, attempt=lambda _, action: action(), options=EisOptions(continuity=True))
    for one in eis.spectra:
        assert one.fit is not None
        assert one.fit.continuity
        assert one.independent_fit is not None
        assert not one.independent_fit.continuity
    assert all(line.continuity for line in eis.arrhenius)


def test_the_open_holder_and_integration_times_of_a_sidecar_count(tmp_path: Path) -> None:
    """Leakage stated for the holder is taken off the conductance; points integrated for longer have smaller errors."""
    leak = 0.25 * MIXTURE.conductance(298.15)
    path = tmp_path / "m" / "sweep.txt"
    export(path, measured(MIXTURE.admittance(298.15) + leak, 3e-13, 5))
    side: dict[str, object] = {"current_noise_A": 3e-13, "amplitude_V_rms": AMPLITUDE_V, "gain_noise": GAIN_NOISE}
    side |= {"open_holder": {"capacitance_F": 1e-12, "leakage_ohm": 1 / leak}, "integration_s": 0.2, "cycles": 3}
    path.with_suffix(".eis.json").write_text(json.dumps(side), encoding="utf-8")
    (one,) = analyze_paths([path]).eis.spectra
    assert one.G_S is not None
    assert pytest.approx(MIXTURE.conductance(298.15), rel=0.01) == one.G_S
    (spectrum,) = (found.spectrum for found in gather_impedance([path])[0])
    errors = stated_error_model(spectrum)
    assert errors is not None
    along, _ = errors.deviations(FREQUENCY_HZ, np.full(FREQUENCY_HZ.size, 1e-15 + 0j))
    assert along[0] / along[-1] == pytest.approx(np.sqrt(3.0 / 0.2), rel=1e-3)


def test_the_command_prints_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``labctl analyze FILE --json`` on an export prints results and nothing else; without it, a table with R."""
    export(tmp_path / "LiI.txt", measured(LII.admittance(298.15), 3e-13, 0))
    analyze_command([tmp_path / "LiI.txt"], None, as_json=True)
    results = Results.model_validate_json(capsys.readouterr().out)
    assert len(results.eis.spectra) == 1
    analyze_command([tmp_path / "LiI.txt"], None, as_json=False)
    assert "(RQ)Q" in capsys.readouterr().out

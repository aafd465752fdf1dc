"""Finished data take the place of what an author believes, and it is said what was taken and what they contradict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labctl.analysis.matrices import ExchangeMatrix
from labctl.analysis.nmr.lines import Line
from labctl.analysis.nmr.relaxation import Recovery
from labctl.analysis.pilot import Pilot, read_pilot
from labctl.cli.designing import design_command
from labctl.design.ask import Question, question
from labctl.design.model import Block
from labctl.design.pilot import filled, learnt, relaxed
from labctl.design.written import yaml_text
from labctl.errors import InputError
from labctl.plan.expand import expand
from labctl.protocol.load import load_lab, load_protocol
from tests.analysis.small_lab import Lab, Sample
from tests.design.test_ask import block

LARMOR_MHZ = 73.578
T1_S = (6.0, 4.0)
KD, EA_EV = (0.02, 0.05), (0.15, 0.12)
WIDTHS_HZ = (22.0, 31.0)
TYPED = """
        populations: {A: 1.0, B: 1.0}
        kD: {A: 0.02 /s, B: 0.05 /s}
        Ea: 130 meV
        widths: {A: 20 Hz, B: 30 Hz}
        noise: {amplitude: 0.4 %, rows: 48, scans: 8}
"""


def asking(folder: Path, protocols: Path, typed: str) -> tuple[Path, Question]:
    """Write a protocol with what was typed, and return it with its question (of `TYPED` where that is nothing)."""
    sound = (Path(__file__).parents[1] / "protocol" / "sound.yaml").read_text(encoding="utf-8")

    def text(design: str) -> str:
        asked = f"      analysis: {{layers: [A, B]}}\n      design:\n        goal: {{Ea: 20 meV, of: [A]}}{design}"
        return sound.replace("      increments: 48\n", f"{asked.rstrip()}\n      increments: 48\n")

    path = folder / "asking.yaml"
    path.write_text(text(typed or TYPED), encoding="utf-8")
    asked = question_of(path, protocols)
    path.write_text(text(typed), encoding="utf-8")
    return path, asked


def question_of(path: Path, protocols: Path) -> Question:
    """What a protocol asks."""
    protocol = load_protocol(path).model
    plan = expand(protocol, load_lab(protocols / "labs" / "simulated.yaml").model)
    return question(block(protocol), protocol.sample, LARMOR_MHZ, plan.steps)


def pilot_of(asked: Question, *, noise: float = 1.0, p_A: float = 0.5) -> Pilot:
    """2Ds of layered diffusion with known rates, as noisy as the question believes times `noise`."""
    relaxing = replace(asked.model.relaxing, T1_s=T1_S, Ea_eV=0.0)
    model = replace(asked.model, relaxing=relaxing)
    lever = -(1 / model.reference_K - 1 / 293.15) / 8.617333262e-5
    theta = np.array(
        [
            *(np.log(k) + E * lever for k, E in zip(KD, EA_EV, strict=True)),
            *EA_EV,
            np.log(0.95),
            np.log(p_A / (1 - p_A)),
        ]
    )
    random = np.random.default_rng(4)
    matrices = []
    for T_K in (298.15, 323.15):
        for tmix_s in (0.02, 1.0, 4.0):
            at = Block(T_K=T_K, tmix_s=tmix_s, recycle_delay_s=12.0, rows=48, scans=16)
            A = model.amplitudes(theta[None], T_K, np.array([tmix_s]), np.array([12.0]))[0, 0, 0]
            covariance = noise**2 * model.covariance(at.rows) / at.scans
            A = A + (np.linalg.cholesky(covariance) @ random.normal(size=4)).reshape(2, 2)
            matrices.append(
                ExchangeMatrix(
                    step_id=f"{T_K:g} {tmix_s:g}",
                    T_K=T_K,
                    tmix_s=tmix_s,
                    recycle_delay_s=12.0,
                    rows=48,
                    scans=16,
                    A=1e5 * A,
                    covariance=1e10 * covariance,
                )
            )
    lines = {
        name: Line(
            name=name, ppm=ppm, offset_Hz=ppm * LARMOR_MHZ, offset_se_Hz=0.1, lorentz_Hz=w, gauss_Hz=0.0, fwhm_Hz=w,
            fwhm_se_Hz=0.1,
        )
        for name, ppm, w in zip("AB", (2.0, -2.0), WIDTHS_HZ, strict=True)
    }  # fmt: skip
    recoveries = tuple(recovery(site, T1_s) for site, T1_s in zip("AB", T1_S, strict=True))
    return Pilot(
        source="pilot",
        matrices=tuple(matrices),
        lines=((298.15, lines), (323.15, lines)),
        recoveries=recoveries,
    )


def recovery(site: str, T1_s: float) -> Recovery:
    """A T1 that was measured."""
    return Recovery(
        site=site, ppm=None, T_K=298.15, T1_s=T1_s, T1_se_s=0.05 * T1_s, M0=1.0, M0_se=0.01, alpha=1.0, alpha_se=0.01,
        model="", chi2_red=1.0, delays_s=(), intensities=(), intensity_se=(), dataset="t1",
    )  # fmt: skip


def believed(asked: Question, index: int, T_K: float) -> tuple[float, float]:
    """Mean and standard error of ln kD of a phase at a temperature."""
    lever = -(1 / T_K - 1 / asked.model.reference_K) / 8.617333262e-5
    along = np.zeros(len(asked.belief.names))
    along[index], along[2 + index] = 1.0, lever
    return float(along @ asked.belief.mean), float(np.sqrt(along @ asked.belief.covariance @ along))


@pytest.mark.parametrize("typed", ["", TYPED], ids=["nothing typed", "a guess"])
def test_rates_lines_noise_and_T1_are_those_of_the_data(tmp_path: Path, protocols: Path, typed: str) -> None:
    """What was measured is believed within its error, whether something was typed or nothing."""
    path, asked = asking(tmp_path, protocols, typed)
    design = block(load_protocol(path).model).design
    assert design is not None
    found, taken = learnt(asked, pilot_of(asked, noise=0.7), design)
    for index, (kD, Ea) in enumerate(zip(KD, EA_EV, strict=True)):
        mean, sd = believed(found, index, 310.0)
        truth = np.log(kD) - Ea / 8.617333262e-5 * (1 / 310.0 - 1 / 293.15)
        assert abs(mean - truth) < 4 * sd
        assert sd < np.log(2.0)  # typed within a factor of 3
    assert found.model.encoding.noise == pytest.approx(0.7 * asked.model.encoding.noise, rel=0.1)
    assert found.model.encoding.lines.fwhm_Hz == WIDTHS_HZ
    assert found.model.relaxing.at(298.15) == pytest.approx(T1_S)
    assert not [one for one in taken.contradictions if "diffusion" in one or "kD" in one], taken


def test_what_the_pilot_knows_of_a_wanted_Ea_counts_for_nothing(tmp_path: Path, protocols: Path) -> None:
    """The proposal has to reach the goal by itself; rates stay known where they were measured."""
    path, asked = asking(tmp_path, protocols, TYPED)
    design = block(load_protocol(path).model).design
    assert design is not None
    found, _ = learnt(asked, pilot_of(asked, noise=0.05), design)
    wanted = found.belief.names.index("Ea_eV A")
    assert np.sqrt(found.belief.covariance[wanted, wanted]) == pytest.approx(design.Ea_within_eV)
    assert believed(found, 0, 310.65)[1] < 0.1
    assert np.linalg.eigvalsh(found.belief.covariance).min() > 0


def test_a_guess_that_is_far_off_is_contradicted_and_hardly_counts(tmp_path: Path, protocols: Path) -> None:
    """A rate typed a hundredfold too high, populations and widths far off: each is named, and the data are taken."""
    wrong = TYPED.replace("A: 0.02 /s, B: 0.05 /s", "A: 2 /s, B: 0.05 /s").replace(
        "widths: {A: 20 Hz", "widths: {A: 60 Hz"
    )
    path, asked = asking(tmp_path, protocols, wrong)
    loaded = load_protocol(path)
    pilot = pilot_of(asked, p_A=0.7)
    document, first = filled(loaded.located.data, 0, block(loaded.model), pilot)
    written = document["procedures"][0]["vt_exsy"]["design"]
    assert written["populations"]["A"] == pytest.approx(0.7, abs=0.03)
    assert written["widths"]["A"] == "22 Hz"
    corrected = tmp_path / "corrected.yaml"
    corrected.write_text(yaml_text(document), encoding="utf-8")
    asked = question_of(corrected, protocols)
    design = block(loaded.model).design
    assert design is not None
    found, second = learnt(asked, pilot, design)
    said = " | ".join((first + second).contradictions)
    for what in ("widths of A: typed 60 Hz", "populations of A", "ln kD A was believed"):
        assert what in said
    mean, sd = believed(found, 0, 293.15)
    assert abs(mean - np.log(KD[0])) < 4 * sd + 0.2


def test_the_protocol_expects_T1_as_measured_at_each_temperature(tmp_path: Path, protocols: Path) -> None:
    """Recycle delays, and so the hours of both plans, are those of the sample."""
    path, asked = asking(tmp_path, protocols, TYPED)
    loaded = load_protocol(path)
    document = relaxed(loaded.located.data, 0, block(loaded.model), asked, pilot_of(asked))
    expected = document["procedures"][0]["vt_exsy"]["t1"]["expect"]
    assert expected == {"A": ["6 s", "6 s"], "B": ["4 s", "4 s"]}
    assert loaded.located.data["procedures"][0]["vt_exsy"]["t1"]["expect"] == "5 s"


def test_a_run_folder_gives_the_priors_of_a_proposal(
    tmp_path: Path, protocols: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`plan --design --from` needs a goal alone, says where each number is from, and that the model does not hold."""
    lab = Lab(tmp_path / "run", sample=Sample(ppm={"A": 2.0, "B": -2.0}))
    for T_K in (298.15, 323.15):
        for index, tmix_s in enumerate((0.02, 0.5)):
            lab.exsy(T_K, f"tmix{index:02d}", tmix_s, rows=32, asked=32)
    lab.saturation_recovery(298.15)
    path, _ = asking(tmp_path, protocols, "")
    with pytest.raises(InputError, match=r"populations lacks A, B.*--from DIR"):
        design_command(path, protocols / "labs" / "simulated.yaml", None)
    design_command(path, protocols / "labs" / "simulated.yaml", None, lab.run_dir)
    told = capsys.readouterr().out
    assert f"taken from {lab.run_dir}: 4 2Ds at 25, 50 °C" in told
    assert "widths: A 18" in told
    assert "fits the pilot badly" in told  # it hops between two sites, which is no diffusion through layers
    written = load_protocol(path.with_name("asking.designed.yaml"))
    assert block(written.model).design is None
    assert "# taken from" in written.located.text
    T1 = block(written.model).t1
    assert T1 is not None
    assert T1.expected_s("A", 0) == pytest.approx(6.8, rel=0.1)  # two T1s that exchange


def test_public_data_of_a_real_console_are_a_pilot(shared_data: Path) -> None:
    """Eleven 2Ds of 19F, acquired by others: all are used, with widths, temperature and populations as published."""
    carrier_ppm, larmor_MHz = -47.7308, 564.6155
    sites = {"A": carrier_ppm + 134.2 / larmor_MHz, "B": carrier_ppm - 464.5 / larmor_MHz}
    pilot = read_pilot(shared_data / "bruker" / "exsy-19f", sites, ("A", "B"), "19F")
    assert (len(pilot.matrices), pilot.left_out, pilot.recoveries) == (11, (), ())
    ((T_K, lines),) = pilot.lines
    assert pytest.approx(298, abs=0.5) == T_K
    assert [lines[one].fwhm_Hz for one in "AB"] == pytest.approx([140, 147], rel=0.05)
    first = min(pilot.matrices, key=lambda one: one.tmix_s)
    assert first.A.sum(axis=1) / first.A.sum() == pytest.approx([0.67, 0.33], abs=0.02)


def test_data_of_another_nucleus_are_no_pilot(tmp_path: Path, protocols: Path) -> None:
    """What cannot be used is named with its reason."""
    lab = Lab(tmp_path / "run", sample=Sample(ppm={"A": 2.0, "B": -2.0}))
    lab.exsy(298.15, "tmix01", 0.5)
    for path in lab.run_dir.rglob("acqu*s"):
        path.write_text(path.read_text(encoding="utf-8").replace("<6Li>", "<7Li>"), encoding="utf-8")
    path, _ = asking(tmp_path, protocols, "")
    with pytest.raises(InputError, match=r"(?s)no 2D-EXSY of 6Li.*it is of 7Li"):
        design_command(path, protocols / "labs" / "simulated.yaml", None, lab.run_dir)

"""Macros and typed commands do what the AU and command references say."""

from __future__ import annotations

from pathlib import Path

import nmrglue as ng
import pytest

from labctl.errors import InputError
from tests.simulators.topspin.lab import Lab

REPORT = '{ FILE *r; r = fopen("job/report", "a"); fprintf(r, "%d\\n", AUERR); fclose(r); }'


def _codes(lab: Lab) -> list[int]:
    return [int(line) for line in (lab.folder / "lab" / "job" / "report").read_text(encoding="utf-8").split()]


def _acqu(folder: Path, name: str = "acqu") -> dict[str, object]:
    found: dict[str, object] = ng.bruker.read_jcamp(str(folder / name))
    return found


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A fresh lab."""
    return Lab(tmp_path)


def test_templates_are_there_from_the_start(lab: Lab) -> None:
    """A new lab has the template datasets of its settings, calibrated and without data."""
    for expno, program, parmode in ((1, "zg", 0), (2, "zg2d_nut", 1), (3, "satrect1", 1), (4, "noesyph", 1)):
        folder = lab.expno(expno, "labctl-templates")
        values = _acqu(folder)
        assert (values["PULPROG"], values["PARMODE"], values["NUC1"]) == (program, parmode, "6Li")
        assert values["P"][1] == 4.9  # type: ignore[index]
        assert (folder / "acqu2").exists() is bool(parmode)
        assert not (folder / "fid").exists()
        assert not (folder / "ser").exists()


def test_setcurdata_makes_a_missing_dataset_of_the_previous_ones_parameters(lab: Lab) -> None:
    """Parameters, title and lists come over; raw data and audit trail do not; IEXPNO alone makes nothing."""
    lab.acquire_exsy(41, rows=4)
    data = lab.link.data_dir.as_posix()
    lab.run(f'DATASET("t", 41, 1, "{data}", user) IEXPNO IEXPNO SETCURDATA')
    assert not lab.expno(42).exists()
    assert _acqu(lab.expno(43))["D"] == _acqu(lab.expno(41))["D"]
    assert (lab.expno(43) / "pdata" / "1" / "title").exists()
    for name in ("ser", "audita.txt"):
        assert (lab.expno(41) / name).exists()
        assert not (lab.expno(43) / name).exists()


def test_an_existing_dataset_is_taken_as_it_is(lab: Lab) -> None:
    """SETCURDATA on a dataset that exists changes nothing in it."""
    lab.run(lab.dataset(5, 1, 'STOREPAR("NS", 77)'))
    lab.run(lab.dataset(5, 4))
    assert _acqu(lab.expno(5))["NS"] == 77
    assert _acqu(lab.expno(5))["PULPROG"] == "zg"


def test_wraparam_copies_no_data_and_wra_copies_them(lab: Lab) -> None:
    """WRAPARAM leaves raw data and audit trail behind, WRA takes all."""
    lab.acquire_exsy(41, rows=4)
    data = lab.link.data_dir.as_posix()
    lab.run(f'DATASET("t", 41, 1, "{data}", user) WRAPARAM(51) WRA(52)')
    assert not (lab.expno(51) / "ser").exists()
    assert not (lab.expno(51) / "audita.txt").exists()
    assert (lab.expno(52) / "ser").read_bytes() == (lab.expno(41) / "ser").read_bytes()


def test_rpar_removes_data(lab: Lab) -> None:
    """The macro reads a parameter set and removes raw data and status parameters of the target."""
    folder = lab.acquire_exsy(41, rows=4)
    data = lab.link.data_dir.as_posix()
    lab.run(f'DATASET("t", 41, 1, "{data}", user) WPAR("mine", "all") STOREPAR("NS", 99) RPAR("mine", "all")')
    assert _acqu(folder)["NS"] == 2
    for name in ("ser", "audita.txt", "acqus"):
        assert not (folder / name).exists()


def test_zg_asks_where_data_are_and_zg_overwrite_does_not(lab: Lab) -> None:
    """ZG on existing data is cancelled and leaves them alone; ZG_OVERWRITE replaces them."""
    folder = lab.acquire_exsy(41, rows=4)
    before = (folder / "ser").read_bytes()
    data = lab.link.data_dir.as_posix()
    lab.run(f'DATASET("t", 41, 1, "{data}", user) STOREPARN(1, "TD", 6) ZG {REPORT}')
    assert (folder / "ser").read_bytes() == before
    lab.run(f'DATASET("t", 41, 1, "{data}", user) ZG_OVERWRITE {REPORT}')
    lab.wait(60.0)
    assert (folder / "ser").stat().st_size == len(before) // 4 * 6
    assert _codes(lab)[0] < 0 <= _codes(lab)[1]


def test_overwriting_in_the_42_style_keeps_the_story(tmp_path: Path) -> None:
    """TopSpin 4.2 notes that raw data were deleted and appends the new run to the old audit trail."""
    lab = Lab(tmp_path, layout="4.2", zg_when_data_exist="overwrite")
    folder = lab.acquire_exsy(41, rows=4)
    data = lab.link.data_dir.as_posix()
    lab.run(f'DATASET("t", 41, 1, "{data}", user) ZG')
    audit = (folder / "audita.txt").read_text(encoding="utf-8")
    told = [audit.index(text) for text in ("(   1,", "(   2,", "raw data deleted by zg", "(   4,", "(   5,")]
    assert told == sorted(told)
    assert audit.count("completed at") == 2


def test_zg_while_something_runs_is_refused(lab: Lab) -> None:
    """A second program cannot start an acquisition on top of the first."""
    lab.start("one", lab.exsy(41) + "\nZG")
    lab.run(lab.exsy(42) + f"\nZG {REPORT}")
    assert _codes(lab) == [-1]
    assert "an acquisition is running in expno 41" in lab.console.messages[-1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('STOREPAR("PULPROG", "hsqcetgp")', "pulse program hsqcetgp not found"),
        ('STOREPARN(1, "FnMODE", 2)', "FnMODE = 2"),
        ('STOREPAR("TD", 1001)', "is odd"),
        ('STOREPAR("TD", 100)', "build-up"),
        ('STOREPAR("NS", 0)', "NS = 0"),
        ('STOREPAR("INF 1", 0.0)', "INF 1"),
        ('STOREPAR("PARMODE", 0)', "wants PARMODE 1"),
        ('STOREPAR("PULPROG", "satrect1") STOREPAR("VDLIST", "nowhere")', "vd/nowhere not found"),
        ('STOREPAR("PULPROG", "satrect1") STOREPAR("VDLIST", "default")', "the list has 5 entries"),
    ],
)
def test_zg_says_why_it_cannot_start(lab: Lab, change: str, says: str) -> None:
    """A request no console accepts fails with AUERR below 0 and a message, and leaves no data."""
    lab.run(lab.exsy(41).replace("}", f"{change} }}") + f"\nZG {REPORT}")
    assert _codes(lab) == [-1]
    assert says in lab.console.messages[-1]
    assert not (lab.expno(41) / "ser").exists()


def test_a_bad_list_names_its_line(lab: Lab) -> None:
    """A delay list with a word in it is refused with line and text."""
    (lab.link.lists_dir / "vd" / "bad").write_text("1\nsoon\n", encoding="utf-8")
    lab.run(lab.dataset(21, 3, 'STOREPAR("VDLIST", "bad") STOREPARN(1, "TD", 2)') + "\nZG")
    assert "vd/bad: line 2: 'soon'" in lab.console.messages[-1]


def test_parameters_follow_each_other(lab: Lab) -> None:
    """SW follows SW_h, SFO1 follows O1, and the widths of F1 follow its increment and the other way round."""
    lab.run(lab.dataset(5, 4, 'STOREPAR("SW_h", 20000.0) STOREPAR("O1", 1000.0) STOREPAR("INF 1", 500.0)'))
    first, second = _acqu(lab.expno(5)), _acqu(lab.expno(5), "acqu2")
    assert first["SFO1"] == pytest.approx(73.578 + 1e-3)
    assert first["SW"] == pytest.approx(20000.0 / 73.579)
    assert second["SW_h"] == pytest.approx(2000.0)
    assert second["SFO1"] == first["SFO1"]


def test_commands_typed_by_programs(lab: Lab) -> None:
    """XCMD sets parameters and the set point; an unknown command fails and is shown."""
    lab.run(lab.dataset(5, 1, 'XCMD("ns 16") XCMD("teset 310")', REPORT, 'XCMD("frobnicate")', REPORT))
    assert _acqu(lab.expno(5))["NS"] == 16
    assert lab.console.plant.vt.setpoint_K == 310.0
    assert _codes(lab) == [0, -1]
    assert "unknown command: frobnicate" in lab.console.messages[-1]


def test_readings_of_the_vt_unit_and_the_rotor(lab: Lab) -> None:
    """Temperature, gas, heater power and rate are read as the console's macros give them."""
    out = 'fprintf(r, "%.3f %d %.0f %.0f %s %.1f\\n", te, rate, goal, flow, spin, atof(power));'
    lab.run(
        lab.dataset(
            5,
            1,
            "double te; int rate; float goal, flow; const char *spin; const char *power; FILE *r;",
            'TEGET FETCHPARS("TE", &te) MASRGET FETCHPARS("MASR", &rate)',
            'VTU_GASFLOW_STATUS(goal, flow) MMAS_SPINRATE(spin) VTU_GET_PARAM("HEATER_POWER", power)',
            f'r = fopen("job/report", "w"); {out} fclose(r);',
        )
    )
    words = (lab.folder / "lab" / "job" / "report").read_text(encoding="utf-8").split()
    te, rate, goal, flow, spin, power = map(float, words)
    assert te == pytest.approx(298.15, abs=0.05)
    assert abs(rate - 10000) < 10 > abs(spin - 10000)
    assert goal == 800
    assert flow == pytest.approx(800, abs=10)
    assert power == pytest.approx((298.15 - 263.15) / 2.5, abs=1.0)


def test_teready_waits_for_the_band_and_then_some(lab: Lab) -> None:
    """TEREADY returns once the sensor was in its band for ten seconds, plus the time asked for."""
    lab.run(lab.dataset(5, 1, 'STOREPAR("TE", 310.0) TESET TEREADY(100, 0.5)'))
    assert lab.console.plant.vt.sensor_K == pytest.approx(310.0, abs=0.5)
    assert 110.0 < lab.now_s < 1000.0


def test_paths_stay_inside_the_lab(lab: Lab) -> None:
    """A program cannot reach a file outside the simulated lab's folder."""
    lab.start("nosy", 'FILE *f; f = fopen("/etc/hostname", "r"); f = fopen("../outside", "w");')
    assert any("outside the simulated console's folder" in message for message in lab.console.messages)
    assert not (lab.folder / "outside").exists()


def test_what_is_typed_and_refused_is_an_input_error(lab: Lab) -> None:
    """A person is told why a command was refused."""
    with pytest.raises(InputError, match="AU program nothing not found"):
        lab.link.launch("xau nothing")
    with pytest.raises(InputError, match="no acquisition is running"):
        lab.link.launch("halt")


def test_a_program_beyond_the_subset_is_refused_with_its_line(lab: Lab) -> None:
    """What the console cannot run is refused when it is started, naming file and line."""
    with pytest.raises(InputError, match=r"bad.*:2:"):
        lab.start("bad", "int i;\ngoto end;")


def test_xau_runs_another_program_and_waits(lab: Lab) -> None:
    """XAU returns when the other program has ended, with its code."""
    (lab.link.au_dir / "child").write_text("sleep(50); AUERR = 3;\nQUIT\n", encoding="utf-8")
    lab.run(f'XAU("child", "") {REPORT}')
    assert _codes(lab) == [3]
    assert lab.now_s >= 50.0


@pytest.mark.parametrize(("quest", "rows"), [("can", 4), ("ok", 6)])
def test_setdef_answers_the_question_of_zg(tmp_path: Path, quest: str, rows: int) -> None:
    """Where zg asks, `setdef quest can` keeps the data and `setdef quest ok` replaces them; neither blocks."""
    lab = Lab(tmp_path, zg_when_data_exist="ask")
    folder = lab.acquire_exsy(41, rows=4)
    data = lab.link.data_dir.as_posix()
    lab.run(f'DATASET("t", 41, 1, "{data}", user) XCMD("setdef quest {quest}") STOREPARN(1, "TD", 6) ZG')
    lab.wait(60.0)
    assert (folder / "ser").stat().st_size == rows * 8192

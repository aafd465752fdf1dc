"""Campaigns as programs of the console's own: what may stand in them, whatever somebody typed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import InputError, InstrumentError, SafetyRefusal
from labctl.ports import (
    AwaitStable,
    CheckSpinning,
    CoolDown,
    Nutation,
    Order,
    SaturationRecovery,
    SetTemperature,
    Task,
    Tune,
)
from labctl_sim_topspin._au_compile import compile_program
from labctl_sim_topspin._au_macros import PROGRAM, expand
from labctl_sim_topspin._parameters import kind_of
from labctl_topspin._alone import Alone, heading, program_name, standalone
from labctl_topspin._export import write_programs
from labctl_topspin._settings import Settings, complete_limits, read_settings
from tests.drivers.topspin.orders import EXSY, GOOD, LIMITS, ONE_PULSE, acquire
from tests.drivers.topspin.test_au_sources import NEVER, NEVER_TYPED

CC = shutil.which("cc")
SETTINGS = read_settings(GOOD, station="nmr")
HOSTILE = (
    '"); VTU_HEATER("on',
    "*/ ZG_OVERWRITE /*",
    "x\nMASG(5)",
    "a\\",
    "%s%n",
    "??/",
    "@campaign@",
    "#define SENSOR_MAX_K 900",
    "ä€",
)


def orders(*, title: str = "campaign nmr/vt_exsy/T01/x", step_id: str = "nmr/vt_exsy/T01/x") -> list[Order]:
    """One visit with every kind of step, and the end of heat."""
    tasks: Sequence[Task] = (
        CheckSpinning(rate_Hz=1e4, tolerance_Hz=20.0, give_up_s=300.0),
        SetTemperature(setpoint_K=313.15, sample_K=321.95, ramp_K_per_s=2 / 60, give_up_s=3600.0),
        AwaitStable(setpoint_K=313.15, sample_K=321.95, within_K=0.5, hold_s=600.0, give_up_s=3600.0),
        Tune(mode="operator", give_up_s=3600.0),
        acquire(Nutation(pulses_s=(1e-6, 2e-6), recovery_s=2.0), slot=1000),
        acquire(SaturationRecovery(delays_s=(0.1, 1.0, 10.0)), slot=1010),
        replace(ONE_PULSE, expno_slot=1020),
        acquire(EXSY, slot=1030),
        CoolDown(setpoint_K=298.15, ramp_K_per_s=2 / 60, give_up_s=7200.0),
    )
    return [
        Order(
            token=f"0a1b2c3{number}-1",
            title=f"{title}{number} 0a1b2c3{number}-1",
            step_id=f"{step_id}{number}",
            attempt=1,
            epoch=1,
            task=task,
        )
        for number, task in enumerate(tasks)
    ]


def alone(wanted: Sequence[Order], *about: str, settings: Settings = SETTINGS) -> Alone:
    """The program of some orders."""
    limits = complete_limits(LIMITS, station="nmr", simulated=False)
    return standalone(wanted, name="lc_x", dataset="x", about=about, settings=settings, limits=limits)


def words(source: str) -> list[str]:
    """What a compiler would see of a program, texts left out."""
    code = re.sub(r"/\*.*?\*/", " ", source, flags=re.DOTALL)
    return re.findall(r'"(?:\\.|[^"\\\n])*"|\w+|\S', re.sub(r'"(?:\\.|[^"\\\n])*"', '""', code))


PLAIN = alone(orders())


def test_a_program_never_does_what_none_may() -> None:
    """No overwriting, no spinning up, no lock, no receiver gain; texts that it types are those of the executor."""
    assert not set(words(PLAIN.source)) & NEVER
    typed = re.findall(r'(?:XCMD|XAU|CPR_exec)\s*\(\s*"([^"]*)"', PLAIN.source)
    assert not {text.split()[0].lower() for text in typed} & NEVER_TYPED
    assert "@" not in PLAIN.source


@pytest.mark.parametrize("text", HOSTILE)
def test_what_somebody_typed_stays_text(text: str) -> None:
    """In titles and remarks it is made harmless, elsewhere it is refused; the program is the same but for texts."""
    for title, about in ((f"campaign {text} T01/x", ""), ("campaign nmr/vt_exsy/T01/x", text)):
        made = alone(orders(title=title), *([about] if about else []))
        assert words(made.source) == words(PLAIN.source)
    with pytest.raises(InputError):
        alone(orders(step_id=f"nmr/{text}/x"))
    with pytest.raises(InputError):
        alone([replace(order, task=replace(ONE_PULSE, nucleus=text)) for order in orders()[:1]])
    for place in ("console_data_dir", "dataset", "template_dataset", "halt_command"):
        try:
            checked = read_settings({**GOOD, place: f"/d/{text}"}, station="nmr")
            made = alone(orders(), settings=checked)
        except InputError:
            continue
        assert place == "console_data_dir"
        assert words(made.source) == words(PLAIN.source)


@given(st.text(max_size=60), st.text(max_size=60))
@hypothesis.settings(max_examples=12)
def test_any_text_leaves_the_program_as_it_is(title: str, about: str) -> None:
    """Whatever stands in a title or a remark, a compiler sees the same words."""
    assert set(heading(f"{title} 0a1b2c3d-1", "0a1b2c3d-1")) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-:/ "
    )
    assert words(alone(orders(title=title), about).source) == words(PLAIN.source)


def test_both_compilers_take_it(tmp_path: Path) -> None:
    """The AU machine knows every word of it, and so does the C compiler of this computer, where there is one."""
    compile_program(PLAIN.source, file="lc_x", parameter_kind=kind_of)
    if CC is None:
        return
    text = re.sub(r"^typedef .*? int " + PROGRAM, f"int {PROGRAM}", expand(PLAIN.source, file="lc_x").text)
    known = (
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n#include <time.h>\n"
        "int AUERR, i_argc, expno, procno, ERRPT, ERROPT_AK_NO; char **i_argv; char disk[1000], user[99], name[99];\n"
        "double GAS; \n#define VTU_GASFLOW_STATUS(a, b) ((a) = (b) = 1)\n#define MMAS_SPINRATE(a) ((a) = NULL)\n"
    )
    (tmp_path / "lc_x.c").write_text(known + text, encoding="utf-8")
    options = ["-std=gnu89", "-fsyntax-only", "-Werror", "-Wno-implicit-function-declaration", "-Wformat"]
    done = subprocess.run([CC, *options, tmp_path / "lc_x.c"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_names_are_those_of_programs() -> None:
    """What a person types has letters, digits and _ only, and is no longer than it must be."""
    assert program_name("vt-exsy-demo", 1, 1) == "lc_vt_exsy_demo"
    assert program_name("x" * 40, 2, 3).endswith("_2")
    for campaign in ("A.b-C_d", "0", "x" * 40, "labctl_guard"):
        assert re.fullmatch(r"lc_[a-z0-9_]{1,27}", program_name(campaign, 1, 2))


def test_lists_are_shared_and_hold_every_digit() -> None:
    """Two T1s by the same delays share one list; what is in it is what was asked."""
    delays_s = (0.05, 0.123456789, 20.0)
    pair = [
        Order(token=token, title=f"t {token}", step_id="n/v/T01/t1", attempt=1, epoch=1, task=task)
        for token, task in (
            ("aaaaaaaa-1", acquire(SaturationRecovery(delays_s=delays_s), slot=1010)),
            ("bbbbbbbb-1", acquire(SaturationRecovery(delays_s=delays_s), slot=2010)),
        )
    ]
    made = alone(pair)
    (((folder, name), text),) = made.lists.items()
    assert folder == "vd"
    assert made.source.count(f'"{name}"') == len(pair)
    assert tuple(float(line) for line in text.split()) == delays_s


def test_limits_are_those_of_the_lab(tmp_path: Path) -> None:
    """They stand in the program as constants; without them, or beyond them, nothing is written."""
    constants = dict(re.findall(r"#define (\w+) (\S+)", PLAIN.source))
    assert float(constants["SENSOR_MAX_K"]) == LIMITS["sensor_max_K"]
    assert float(constants["RAMP_MAX_K_PER_MIN"]) == pytest.approx(60 * LIMITS["ramp_max_K_per_s"])

    def write(limits: dict[str, float], wanted: list[Order]) -> None:
        write_programs(
            station="nmr",
            campaign="x",
            parts=[("", wanted)],
            settings=GOOD,
            limits=limits,
            simulated=False,
            notes=(),
            into=tmp_path / "out",
        )

    with pytest.raises(SafetyRefusal, match="sensor_max_K"):
        write({key: value for key, value in LIMITS.items() if key != "sensor_max_K"}, orders())
    ramp = SetTemperature(setpoint_K=500.0, sample_K=508.8, ramp_K_per_s=2 / 60, give_up_s=3600.0)
    hot = [replace(orders()[1], task=ramp)]
    with pytest.raises(InstrumentError, match="sensor_max_K"):
        write(LIMITS, hot)
    assert not (tmp_path / "out").exists()
    write(LIMITS, orders())
    with pytest.raises(InputError, match="nothing is overwritten"):
        write(LIMITS, orders())


def test_two_samples_are_two_programs_with_datasets_of_their_own(tmp_path: Path) -> None:
    """What was measured on one sample is not analysed with another's; the page says what a person does in between."""
    told = write_programs(
        station="nmr",
        campaign="two",
        parts=[("", orders()), ("take A out and put B in", orders())],
        settings={**GOOD, "console_data_dir": "D:/data"},
        limits=LIMITS,
        simulated=False,
        notes=("no note",),
        into=tmp_path,
    )
    assert len(told) == 2
    for number in (1, 2):
        source = (tmp_path / "au" / f"lc_two_{number}").read_text(encoding="utf-8")
        constants = dict(re.findall(r'#define (\w+) "(.*)"', source))
        assert constants["CAMPAIGN_DATASET"] == f"two-{number}"
        assert constants["DATA_DIR"] == "D:/data"
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "take A out and put B in" in page
    assert "`labctl analyze two-1` and `labctl analyze two-2`" in page
    assert "simulated station" not in page

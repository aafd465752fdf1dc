"""Whole AU programs: two in the shape solids labs use, and the ones labctl installs."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl_sim_topspin._au_compile import compile_program
from labctl_sim_topspin._au_machine import Machine
from labctl_sim_topspin._au_types import Answer, Value
from labctl_sim_topspin._parameters import kind_of
from tests.simulators.topspin.au_console import Console, run, start

ROOT = Path(__file__).resolve().parents[3]
AU = ROOT / "drivers" / "labctl_topspin" / "au"
INSTALLED = sorted(set(AU.glob("*.c")) - set(AU.glob("*.in.c")))  # what `export` fills in is compiled when filled

VT_SERIES = """/* temperature series: one EXPNO per line of a list */
#include <inc/exptUtil>
#define EQUILIBRATION 600
FILE *list;
char line[128], listname[64];
double te;
int rate, n = 0;

GETCURDATA
if (i_argc < 3) STOPMSG("usage: vt_series <list>")
strcpy(listname, i_argv[2]);
if ((list = fopen(listname, "r")) == NULL) {
    Proc_err(DEF_ERR_OPT, "no list %s", listname);
    ABORT
}
while (fgets(line, sizeof(line), list) != NULL) {
    if (sscanf(line, "%lf %d", &te, &rate) != 2) continue;
    STOREPAR("TE", te)
    STOREPAR("MASR", rate)
    TESET
    MASR
    MASG(5)
    ERRORABORT
    TEREADY(EQUILIBRATION, 0.1)
    ZG_OVERWRITE
    IEXPNO
    n++;
}
fclose(list);
MASH
Show_status("finished");
QUITMSG("series done")
"""

WITH_FUNCTION = """AUERR = wait_stable(curdat, 300.0);
QUITMSG("stable")

/* polls until ten readings in a row are within the band */
int good;
int wait_stable(const char *where, double target)
{
    double te = 0;
    int turn = 0;
    TIMESINFINITE
        TEGET
        FETCHPARS("TE", &te)
        ERRORABORT
        good = fabs(te - target) < 0.5 ? good + 1 : 0;
        if (good >= 10) break;
        if (turn++ > 1000) return -2;
        sleep(5);
    END
    return turn;
}
"""


def test_a_temperature_series_runs_line_by_line(tmp_path: Path) -> None:
    """The list is read, each line sets, spins, waits and acquires, on one EXPNO after the other."""
    (tmp_path / "ladder").write_text("300.0 8000\n\n320.5 10000\n# comment\n", encoding="utf-8")
    console = Console(tmp_path)
    expnos: list[Value] = []

    def acquire(machine: Machine, args: tuple[Value, ...]) -> Answer:
        expnos.append(machine.globals["expno"])
        return Answer(wait_for="zg")

    console.answers["ZG_OVERWRITE"] = acquire
    machine = run(start(VT_SERIES, console, args=["ladder"]))
    per_line = ["STOREPAR", "STOREPAR", "TESET", "MASR", "MASG", "TEREADY", "ZG_OVERWRITE"]
    assert [name for name, _ in console.asked] == ["GETCURDATA", *per_line * 2, "MASH", "Show_status", "Proc_err"]
    assert ("STOREPAR", ("TE", 320.5)) in console.asked
    assert ("TEREADY", (600, 0.1)) in console.asked
    assert expnos == [0, 1]
    assert machine.exit_code == 0


def test_a_temperature_series_without_its_list_ends_at_once(tmp_path: Path) -> None:
    """Missing arguments and missing lists are told by a message and the exit code."""
    console = Console(tmp_path)
    assert run(start(VT_SERIES, console)).exit_code == 0
    assert console.asked[-1] == ("Proc_err", (0, "usage: vt_series <list>"))
    assert run(start(VT_SERIES, console, args=["nowhere"])).exit_code == -1
    assert console.asked[-1] == ("Proc_err", (2, "no list nowhere"))


@pytest.mark.parametrize(("approach_K", "polls"), [(0.0, 10), (1.0, 19)])
def test_a_function_after_quit_polls_until_stable(approach_K: float, polls: int) -> None:
    """A function called without declaration, with a file-scope variable, loops in simulated time."""
    console = Console(Path())
    readings = iter(300.0 + approach_K * max(0, 9 - n) for n in range(1000))
    console.answers["FETCHPARS"] = lambda machine, args: Answer(outs=(next(readings),))
    before_s = console.time_s
    machine = run(start(WITH_FUNCTION, console))
    assert machine.exit_code == polls - 1
    assert console.time_s - before_s == 5 * (polls - 1)
    assert sum(name == "TEGET" for name, _ in console.asked) == polls


@pytest.mark.parametrize("path", INSTALLED, ids=lambda path: path.name)
def test_the_programs_labctl_installs_compile(path: Path) -> None:
    """The AU sources of the driver are within the subset that the simulated console interprets."""
    program = compile_program(path.read_text(encoding="utf-8"), file=path.name, parameter_kind=kind_of)
    assert "AU_program" in program.functions


def test_both_programs_are_there() -> None:
    """Executor and guard are what the driver installs."""
    assert {path.stem for path in INSTALLED} >= {"labctl_executor", "labctl_guard"}

"""The AU machine against the C compiler of the computer that runs the tests, where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from labctl_sim_topspin._au_macros import PROGRAM, expand
from labctl_sim_topspin._au_types import Answer
from tests.simulators.topspin.au_console import Console, program, run, start
from tests.simulators.topspin.test_au_language import CONSTRUCTS, DECLARED, SAY
from tests.simulators.topspin.test_au_resume import EVERYTHING

CC = shutil.which("cc")
PRELUDE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <time.h>
int AUERR, loopcount1, loopcount2, loopcount3, loopcountinf;
char curdat[100];
void XCMD(const char *text) { printf("%s ", text); AUERR = 0; }
void ZG(void) { AUERR = 3; }
void TESET(void) { AUERR = 1; }
void FETCHPAR(const char *name, double *value) { *value = 250.5; AUERR = 3; }
const char *ACQUPATH(const char *file) { return "/d/fid"; }
#define sleep(seconds) ((seconds) * 0)
"""


def as_c(source: str, function: str) -> str:
    """A program as a C function of that name."""
    text = expand(source, file="test.c").text
    return re.sub(r"^typedef .*? int " + PROGRAM, f"int {function}", text, flags=re.DOTALL)


def natively(text: str, folder: Path) -> str:
    """What C code prints when this computer's compiler has compiled it."""
    assert CC is not None
    source, binary = folder / "native.c", folder / "native"
    source.write_text(PRELUDE + text, encoding="utf-8")
    options = ["-std=gnu89", "-fwrapv", "-fsigned-char", "-O0", "-w"]
    subprocess.run([CC, *options, "-o", binary, source, "-lm"], check=True, capture_output=True, timeout=60)
    return subprocess.run([binary], check=True, capture_output=True, text=True, timeout=10).stdout.strip()


@pytest.mark.skipif(CC is None, reason="no C compiler here")
def test_every_construct_does_what_a_c_compiler_makes_of_it(tmp_path: Path) -> None:
    """The expected output of each construct is what compiled C prints."""
    bodies = [body for body, _ in CONSTRUCTS if "for (int" not in body]
    functions = [as_c(program(DECLARED + body), f"case{number}") for number, body in enumerate(bodies)]
    calls = " ".join(f'case{number}(); printf("\\n");' for number in range(len(bodies)))
    printed = natively(
        "\n".join([SAY.replace("XCMD(out)", "XCMD(out);"), *functions, f"int main() {{ {calls} return 0; }}"]), tmp_path
    )
    expected = [said for body, said in CONSTRUCTS if "for (int" not in body]
    assert [line.strip() for line in printed.split("\n")] == expected


@pytest.mark.skipif(CC is None, reason="no C compiler here")
def test_a_program_of_everything_says_what_compiled_c_says(tmp_path: Path) -> None:
    """The program of the resume tests, with commands answered alike, gives the same text both ways."""
    console = Console(tmp_path)
    console.answers = {
        "ZG": lambda machine, args: Answer(3),
        "FETCHPAR": lambda machine, args: Answer(3, outs=(250.5,)),
        "TESET": lambda machine, args: Answer(1),
        "ACQUPATH": lambda machine, args: Answer("/d/fid"),
    }
    run(start(EVERYTHING, console))
    printed = natively(as_c(EVERYTHING, "body") + "\nint main() { body(); return 0; }", tmp_path)
    assert " ".join(console.said) == printed

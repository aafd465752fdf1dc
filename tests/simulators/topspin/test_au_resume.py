"""A program written down and read back at every pause goes on as if nothing had happened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl_sim_topspin._au_compile import compile_program
from labctl_sim_topspin._au_machine import Machine
from labctl_sim_topspin._au_types import Answer
from tests.simulators.topspin.au_console import Console, program, run, start, through_json


def interrupted(machine: Machine) -> Machine:
    """Run to the end, put through JSON at every pause."""
    console = machine.host
    assert isinstance(console, Console)
    while machine.state != "ended":
        machine = through_json(machine)
        machine.run()
        machine = through_json(machine)
        if machine.wake_s is not None:
            console.time_s = machine.wake_s
        if machine.state == "blocked":
            machine.resume(Answer(3, outs=(250.5,), wait_until_s=console.time_s + 1))
    return machine


EVERYTHING = program(
    """int i, n[4] = {9}; double x = 1.5; float y = 0.1; char t[32] = "abc", u[8]; char *p = t + 1, *nil = NULL;
const char *q = "constant", *r; double te;
double big = 1e308;
strncpy(u, "xy", 5);
big = big * 10.0;
p[0] = 'Z';
sleep(10);
for (i = 0; i < 3; i++) {
    n[i + 1] = n[i] + deeper(i, p, n) + i;
    ZG
    FETCHPAR("TE", &te)
    r = ACQUPATH("fid");
    sleep(i);
}
if (nil == NULL && q[3] == 's' && p == t + 1 && big > 1e308) {
    sprintf(t, "%d %d %.1f %.2f %c %s %s %.1f", n[3], AUERR, x, y, p[0], u, r, te);
}
XCMD(t)""",
    """int shared = 2, kept[3];
double deep_text(char *text, double *x) { sleep(2); text[1]++; *x = *x + 0.5; return *x; }
int deeper(int n, char *text, int cells[]) {
    double local = 2.0; char mine[10]; static int calls;
    calls++; kept[1] = calls;
    strcpy(mine, "in");
    if (n && deep_text(text, &local) > 2.4 || deep_text(mine, &local) < 0) { shared += n + (int) local; }
    TESET
    cells[0] += mine[1] == 'o';
    return shared + calls + cells[n] * 0;
}""",
).replace('sprintf(u, "%d", shared);', "")


def test_every_kind_of_value_survives_every_pause() -> None:
    """Numbers, infinities, arrays, pointers into other frames, NULL, constants, statics and open calls come back."""
    consoles = [Console(Path()), Console(Path())]
    for console in consoles:
        console.answers = {
            "ZG": lambda machine, args: Answer(wait_for="zg"),
            "FETCHPAR": lambda machine, args: Answer(wait_for="fetch"),
            "TESET": lambda machine, args, console=console: Answer(1, wait_until_s=console.time_s + 7),  # type: ignore[misc]
            "ACQUPATH": lambda machine, args: Answer("/d/fid"),
        }
    straight, pieces = (start(EVERYTHING, console) for console in consoles)
    while straight.state != "ended":
        straight.run()
        if straight.wake_s is not None:
            consoles[0].time_s = straight.wake_s
        if straight.state == "blocked":
            straight.resume(Answer(3, outs=(250.5,) if straight.waiting_for == "fetch" else ()))
    machine = pieces
    while machine.state != "ended":
        machine = through_json(machine)
        machine.run()
        machine = through_json(machine)
        if machine.wake_s is not None:
            consoles[1].time_s = machine.wake_s
        if machine.state == "blocked":
            machine.resume(Answer(3, outs=(250.5,) if machine.waiting_for == "fetch" else ()))
    assert consoles[0].asked == consoles[1].asked
    assert consoles[0].time_s == consoles[1].time_s
    assert (straight.exit_code, straight.steps) == (machine.exit_code, machine.steps)
    assert straight.snapshot() == machine.snapshot()
    assert len(consoles[0].said) == 1


NAMES = ["a", "b", "c"]
EXPRESSIONS = st.recursive(
    st.one_of(st.sampled_from(NAMES), st.integers(-9, 9).map(lambda n: f"({n})")),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "<", "==", "&&", "||"]), inner).map(
            lambda t: f"({' '.join(t)})"
        ),
        inner.map(lambda e: f"step({e})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})"),
        inner.map(lambda e: f"v[({e}) % 3 * (({e}) % 3)  % 3 ? 1 : 0]"),
    ),
    max_leaves=5,
)
STATEMENTS: st.SearchStrategy[str] = st.recursive(
    st.one_of(
        st.tuples(st.sampled_from([*NAMES, "v[1]"]), st.sampled_from(["=", "+=", "-="]), EXPRESSIONS).map(
            lambda t: f"{t[0]} {t[1]} {t[2]};"
        ),
        st.sampled_from(["sleep(3);", "ZG", "say(a);", "b++;", 'sprintf(t, "%d", c); XCMD(t)']),
    ),
    lambda inner: st.one_of(
        st.tuples(EXPRESSIONS, inner, inner).map(lambda t: f"if ({t[0]}) {{ {t[1]} }} else {{ {t[2]} }}"),
        inner.map(lambda s: f"TIMES(2) {s} {{ sleep(1); }} END"),
        st.lists(inner, min_size=1, max_size=4).map(" ".join),
    ),
    max_leaves=6,
)
FUNCTIONS = """int depth;
int step(int n) { int twice; depth++; sleep(1); twice = 2 * n + depth; ATMA return twice; }
int say(int n) { char out[16]; sprintf(out, "%d", n); XCMD(out) return n; }"""


@settings(max_examples=40, deadline=None)
@given(STATEMENTS)
def test_any_program_interrupted_at_every_pause_ends_the_same(body: str) -> None:
    """For generated programs the interrupted run asks and ends as the uninterrupted one."""
    source = program(
        f"int a = 1, b = 2, c = 3, v[2] = {{4, 5}}; char t[16]; {body} "
        'sprintf(t, "%d", a + b + c + v[0] + v[1]); XCMD(t)',
        FUNCTIONS,
    )
    compiled = compile_program(source, file="test.c")
    ends = []
    for go in (run, interrupted):
        console = Console(Path())
        console.answers["ZG"] = lambda machine, args, console=console: Answer(2, wait_until_s=console.time_s + 4)  # type: ignore[misc]
        machine = go(Machine(compiled, name="test", args=(), host=console))
        ends.append((console.asked, console.time_s, machine.exit_code, machine.steps))
    assert ends[0] == ends[1]


def test_a_snapshot_of_another_text_is_refused() -> None:
    """State belongs to one text of a program."""
    machine = start(program("sleep(1);"), Console(Path()))
    machine.run()
    other = compile_program(program("sleep(2);"), file="test.c")
    with pytest.raises(InputError, match="another text"):
        Machine.restore(other, machine.snapshot(), machine.host)


def test_what_was_unset_stays_unset() -> None:
    """A buffer, a variable or an element that held nothing before the pause is still refused after it."""
    declared = 'char t[9], u[9]; int i, a[3]; char *p; strcpy(t, "x"); u[3] = 1; a[1] = 2;'
    for use in ("t[5] == 1", "u[0] == 1", "strlen(u)", "i == 1", "a[0] == 1", "p == NULL"):
        machine = start(program(f"{declared} sleep(1);\nif ({use}) {{ ZG }}"), Console(Path()))
        machine.run()
        again = through_json(machine)
        assert isinstance(again.host, Console)
        again.host.time_s += 1
        with pytest.raises(InputError, match="before it was set"):
            again.run()


def test_a_snapshot_is_small_and_strict_json() -> None:
    """A kilobyte or two of standard JSON, whatever the buffers' sizes."""
    machine = start(program('char a[4000], b[4000]; strcpy(a, "x"); sleep(1);'), Console(Path()))
    machine.run()
    assert len(json.dumps(machine.snapshot(), allow_nan=False)) < 3000

"""Every construct of the AU subset, run."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl_sim_topspin._au_table import AU_INTS, AU_TEXTS, MACROS
from labctl_sim_topspin._au_types import Answer
from tests.simulators.topspin.au_console import Console, program, run, says, start

SAY = 'int say(int n) { char out[20]; sprintf(out, "%d", n); XCMD(out) return 0; }'
DECLARED = "int say(int n);\n"


CONSTRUCTS = [
    ("int i; for (i = 0; i < 3; i++) { say(i); }", "0 1 2"),
    ("int i = 0; while (i < 3) say(i++);", "0 1 2"),
    ("int i = 5; do { say(i); i--; } while (i > 3);", "5 4"),
    ("int i = 0; for (;;) { i++; if (i == 2) continue; if (i > 3) break; say(i); }", "1 3"),
    ("for (int i = 0, j = 9; i < j; i += 3, j -= 1) say(i * 10 + j);", "9 38 67"),
    ("TIMES(2) TIMES2(2) say(10 * loopcount1 + loopcount2); END END", "0 1 10 11"),
    ("TIMES3(3) say(loopcount3); END", "0 1 2"),
    ("TIMESINFINITE if (loopcountinf == 2) break; say(loopcountinf); END", "0 1"),
    ("int a = 3; if (a > 2 && a < 9) say(1); else say(2);", "1"),
    ("int a = 3; if (a < 2) { say(1); } else if (a == 3) { say(2); } else { say(3); }", "2"),
    ("int a = 1, b; b = a ? say(7) + 5 : 9; say(b);", "7 5"),
    ("int a = 0; if (a && say(1)) { say(2); } if (!a || say(3)) { say(4); }", "4"),
    ("int a[3] = {1, 2}, i = 0; a[i++] += 5; a[2]--; say(a[0]); say(a[1]); say(a[2]); say(i);", "6 2 -1 1"),
    ("int a[3] = {1, 2, 3}, b[2] = {0, 2}, i = 0, *p = a; a[b[i++]] += 5; a[b[i++]]++; (*(p + i--))--; *p++ = 9; "
     "say(a[0]); say(a[1]); say(a[2]); say(i); say(*p);", "9 2 3 1 2"),
    ("char t[8] = \"abc\"; t[1] = 'X'; say(t[1]); say((int) strlen(t)); say(sizeof(t) == 8);", "88 3 1"),
    ("char c = 'a'; c++; c += 200; say(c);", "42"),
    ("int i = 4, j; j = i++ + 1; say(j); j = ++i; say(j); j = i-- - i; say(j);", "5 6 1"),
    ("char t[] = \"key=value\"; char *p; p = strchr(t, '='); *p = 0; p++; say((int) strlen(t)); say(p - t); "
     "say(*p == 'v');", "3 4 1"),
    ("const char *p = \"x=12\"; if (strstr(p, \"=\")) say(atoi(p + 2)); if (!strchr(p, 'q')) say(1);", "12 1"),
    ("static int n = 4; const int m = 3; say(n + m);", "7"),
    ("double v[] = {1.5, 2}; v[1] *= v[0]; say((int) v[1]);", "3"),
    ("int x; { int x = 5; say(x); } x = 6; say(x);", "5 6"),
    ("int x = 1; ; x = (say(x), 4); say(x);", "1 4"),
    ("say((int) (fabs(-2.0) + sqrt(9.0) + floor(2.7) + ceil(0.2) + pow(2.0, 3.0)));", "16"),
    ("say(strcmp(\"a\", \"b\") < 0); say(strncmp(\"abX\", \"abY\", 2)); say(atof(\" 2.5x\") == 2.5);", "1 0 1"),
    ("char b[10]; strncpy(b, \"abcdef\", 3); b[3] = 0; strcat(b, \"xy\"); say(strcmp(b, \"abcxy\"));", "0"),
    ("char b[5]; int n; n = snprintf(b, sizeof(b), \"%d\", 123456); say(n); say(atoi(b));", "6 1234"),
    ("int a, b; double d; char w[9]; say(sscanf(\"k=7 2.5 word\", \"k=%d %lf %8s\", &a, &d, w)); say(a); "
     "b = d * 2; say(b); say((int) strlen(w));", "3 7 5 4"),
    ("int u = -1; char b[12]; sprintf(b, \"%u\", u); say(strcmp(b, \"4294967295\"));", "0"),
    ("if (NULL == 0) say(EOF);", "-1"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "said"), CONSTRUCTS)
def test_a_construct_does_what_c_does(body: str, said: str) -> None:
    """Each construct of the subset has C's effect."""
    assert " ".join(says(DECLARED + body, SAY)) == said


def test_functions_take_numbers_text_arrays_and_addresses() -> None:
    """int, double and char * parameters, arrays and & by reference, recursion and prototypes work."""
    functions = (
        SAY
        + """
int total;
double half(double x) { return x / 2; }
int fill(char *text, int n[], double *x) { strcpy(text, "done"); n[1] = 7; *x = 2.5; x[0] += 1; return 0; }
int bump(int *n) { *n = *n + 1; return *n; }
int factorial(int n) { if (n < 2) return 1; return n * factorial(n - 1); }
void add(int n) { total += n; }
int sum(void) { total = 0; add(2); add(3); return total; }
int change(int n) { n = n + 1; bump(&n); return n; }
"""
    )
    body = """int say(int n); double half(double); int fill(char *text, int n[], double *x); int bump(int *n);
    int n[3], k = 4; double x; char text[10];
    n[0] = 1; n[2] = 3;
    fill(text, n, &x);
    say(strcmp(text, "done")); say(n[1]); say((int) (x * 10)); say(bump(&k) + k); say((int) half(9));
    say(bump(&n[2])); say(factorial(5)); say(sum()); say(change(1));"""
    assert says(body, functions) == ["0", "7", "35", "10", "4", "4", "120", "5", "3"]


def test_arguments_arrive_from_index_two() -> None:
    """i_argv holds the program's name, the word exec, then what the user typed; cmd holds that as one text."""
    console = Console(Path())
    source = program("int i; for (i = 0; i < i_argc; i++) { XCMD(i_argv[i]) } XCMD(cmd)")
    run(start(source, console, args=["/job", "rearm"]))
    assert console.said == ["test", "exec", "/job", "rearm", "/job rearm"]


def test_defines_are_constants() -> None:
    """#define NAME constant and #include of standard headers are accepted, comments and continued lines too."""
    source = '#include <stdio.h>\n#include <inc/exptUtil>\n#define N (2 + \\\n 1)\n#define M N*2\n#define T "t"\n'
    body = source + 'char b[N + 10]; /* a\n comment */ sprintf(b, "%d%s", M, T); // more\nXCMD(b)'
    assert says(body) == ["6t"]


def test_dataset_macros_change_the_programs_own_dataset() -> None:
    """RE, REXPNO, IEXPNO and the like set one variable, DATASET all of them and then SETCURDATA."""
    console = Console(Path())
    body = """GETCURDATA
    REXPNO(12) IEXPNO IEXPNO DEXPNO RPROCNO(3) IPROCNO DPROCNO
    RE("li2s") DU("/data") SETUSER("me") USELASTPARS
    ZG
    DATASET("other", expno + 1, 1, "/disk", "nobody") USECURPARS"""
    machine = start(program(body), console)

    def note(machine: object, args: object) -> Answer:
        seen.append({name: globals_[name] for name in ("disk", "user", "name", "expno", "procno", "lastparflag")})
        return Answer()

    globals_ = machine.globals
    seen: list[dict[str, object]] = []
    console.answers |= {"ZG": note, "SETCURDATA": note}
    run(machine)
    assert [name for name, _ in console.asked] == ["GETCURDATA", "ZG", "SETCURDATA"]
    mine = {"disk": "/data", "user": "me", "name": "li2s", "expno": 13, "procno": 3, "lastparflag": 0}
    assert seen == [mine, mine | {"disk": "/disk", "name": "other", "expno": 14, "procno": 1}]
    assert globals_["lastparflag"] == 1


def test_the_console_writes_the_programs_variables() -> None:
    """GETCURDATA reaches the program through machine.globals; it lists every variable and refuses others."""
    console = Console(Path())
    machine = start(program('char b[40]; GETCURDATA sprintf(b, "%s/%d", name, expno); XCMD(b)'), console)

    def here(*_: object) -> Answer:
        machine.globals.update({"name": "sample", "expno": 7})
        return Answer()

    console.answers["GETCURDATA"] = here
    run(machine)
    assert console.said == ["sample/7"]
    assert set(machine.globals) == {*AU_INTS, *AU_TEXTS}
    assert len(machine.globals) == len(AU_INTS) + len(AU_TEXTS)
    with pytest.raises(KeyError):
        machine.globals["vtlist"] = 1


def test_parameters_are_fetched_and_stored_by_their_type() -> None:
    """FETCHPAR* hands the console name and kind, STOREPAR* name and value; outs come back into the variables."""
    console = Console(Path())
    given: dict[str, object] = {"TE": 300.5, "TD": 320, "RG": 101.0, "PULPROG": "noesyph"}
    console.answers = dict.fromkeys(
        ["FETCHPAR", "FETCHPARN", "FETCHPARS"],
        lambda machine, args: Answer(outs=(given[str(args[-2])],)),  # type: ignore[arg-type]
    )
    body = """double te; int td; float rg; char pp[32], out[80]; double v[2];
    FETCHPAR("TE", &te) FETCHPARN(1, "TD", &td) FETCHPARS("RG", &rg) FETCHPAR("PULPROG", pp) FETCHPAR("TE", &v[1])
    sprintf(out, "%.1f %d %.1f %s %.1f", te, td, rg, pp, v[1]); XCMD(out)
    STOREPAR("D 8", te) STOREPARN(1, "TD", td) STOREPARS("PULPROG", "zg") STOREPAR("RG", rg)
    STOREPAR("NS", 'a' - 'A')"""
    run(start(program(body), console))
    assert console.said == ["300.5 320 101.0 noesyph 300.5"]
    asked = [entry for entry in console.asked if entry[0] != "XCMD"]
    assert asked == [
        ("FETCHPAR", ("TE", "double")),
        ("FETCHPARN", (1, "TD", "int")),
        ("FETCHPARS", ("RG", "float")),
        ("FETCHPAR", ("PULPROG", "text")),
        ("FETCHPAR", ("TE", "double")),
        ("STOREPAR", ("D 8", 300.5)),
        ("STOREPARN", (1, "TD", 320)),
        ("STOREPARS", ("PULPROG", "zg")),
        ("STOREPAR", ("RG", 101.0)),
        ("STOREPAR", ("NS", 32)),
    ]


def test_a_failed_command_sets_auerr_and_leaves_the_variable() -> None:
    """AUERR takes the return code; ERRORABORT, ABORT, STOP and QUIT end the program with it."""
    console = Console(Path())
    console.answers["FETCHPAR"] = lambda machine, args: Answer(-5, outs=(9.0,))
    source = program('double te = 1.0; char b[20]; FETCHPAR("TE", &te) sprintf(b, "%d %.0f", AUERR, te); {0} XCMD(b)')
    for macro, code in {"ERRORABORT": -5, "ABORT": -1, "STOP": -5, 'STOPMSG("x")': -5, "": 0}.items():
        console.asked.clear()
        machine = run(start(source.replace("{0}", macro), console))
        assert machine.exit_code == code, macro
        assert console.said == ([] if macro else ["-5 1"])


def test_quitmsg_shows_its_text() -> None:
    """QUITMSG shows a message and ends the body as QUIT does; functions may follow."""
    console = Console(Path())
    machine = run(
        start('AUERR = f(curdat);\nQUITMSG("all done")\nint f(const char *c) { return (int) strlen(c); }', console)
    )
    assert console.asked == [("Proc_err", (0, "all done"))]
    assert machine.exit_code == 0


def test_readings_assign_pointers_and_floats() -> None:
    """MMAS_* and VTU_GET_PARAM set a pointer (NULL when they fail), VTU_GASFLOW_STATUS two floats."""
    console = Console(Path())
    console.answers = {
        "MMAS_SPINRATE": lambda machine, args: Answer(outs=("10000.5",)),
        "VTU_GET_PARAM": lambda machine, args: Answer(outs=("12.5",)) if args == ("heater",) else Answer(-1),
        "VTU_GASFLOW_STATUS": lambda machine, args: Answer(outs=(600.0, 598.5)),
    }
    body = """const char *t; float a, b; char out[80];
    MMAS_SPINRATE(t) sprintf(out, "%.1f", atof(t)); XCMD(out)
    AUERR = 3; VTU_GET_PARAM("heater", t) sprintf(out, "%s %d", t, AUERR); XCMD(out)
    VTU_GET_PARAM("nonsense", t) sprintf(out, "%d %d", t == NULL, AUERR); XCMD(out)
    VTU_GASFLOW_STATUS(a, b) sprintf(out, "%.1f %.1f %d", a, b, AUERR); XCMD(out)"""
    run(start(program(body), console))
    assert console.said == ["10000.5", "12.5 3", "1 -1", "600.0 598.5 0"]


def test_expressions_of_the_console_have_values() -> None:
    """ACQUPATH and its like are text, CPR_exec and Proc_err ints, wherever an expression may stand."""
    console = Console(Path())
    console.answers = {
        "ACQUPATH": lambda machine, args: Answer(f"/data/1/{args[0]}"),
        "VARACQUPATH": lambda machine, args: Answer("/".join(str(arg) for arg in args)),
        "CPR_exec": lambda machine, args: Answer(7),
    }
    body = """char p[100]; strcpy(p, ACQUPATH("audita.txt")); XCMD(p) XCMD(VARACQUPATH("a", 3, "fid"))
    if (CPR_exec("te", WAIT_TERM) == 7 && strcmp(ACQUPATH(0), "/data/1/0") == 0) { XCMD("yes") }
    Show_status("busy"); AUERR = Proc_err(DEF_ERR_OPT, "%s %d", p, 4);"""
    run(start(program(body), console))
    assert console.said == ["/data/1/audita.txt", "a/3/fid", "yes"]
    assert console.asked[-1] == ("Proc_err", (2, "/data/1/audita.txt 4"))


def test_every_command_macro_reaches_the_console() -> None:
    """Each command of the table, with arguments of the right types, is one call of its name."""
    text = {"text": '"t"', "text or 0": '"t"', "int": "1", "double": "1.5"}
    commands = [
        macro for macro in MACROS.values()
        if macro.kind == "command" and all(argument in text for argument in macro.arguments)
    ]  # fmt: skip
    body = "\n".join(
        macro.name + (f"({', '.join(text[argument] for argument in macro.arguments)})" if macro.arguments else "")
        for macro in commands
    )
    console = Console(Path())
    run(start(program(body), console))
    assert [name for name, _ in console.asked] == [macro.name for macro in commands]
    assert len(commands) > 80


def test_sleep_and_time_follow_the_console() -> None:
    """Sleep waits in simulated time, time(0) tells it in whole seconds."""
    console = Console(Path())
    console.time_s += 0.75
    body = 'int a, b; double c; char o[40]; a = time(0); sleep(90); b = time(NULL); c = time(0); c -= 0.5; ' \
        'sprintf(o, "%d %.1f", b - a, c - b); XCMD(o)'  # fmt: skip
    assert says(body, console=console) == ["90 -0.5"]


def test_a_blocked_program_waits_for_its_answer() -> None:
    """wait_for blocks until resume, wait_until_s sleeps; line, waiting_for and wake_s tell where it stands."""
    console = Console(Path())
    console.answers["ZG"] = lambda machine, args: Answer(wait_for="zg of expno 1")
    console.answers["ATMA"] = lambda machine, args: Answer(3, wait_until_s=console.time_s + 30)
    machine = start(program("int a;\nZG\na = AUERR;\nATMA\nAUERR = 10 * a + AUERR;"), console)
    machine.run()
    assert (machine.state, machine.waiting_for, machine.line) == ("blocked", "zg of expno 1", 2)
    machine.run()
    assert machine.waiting_for == "zg of expno 1"
    machine.resume(Answer(5, wait_until_s=console.time_s + 10))
    assert (machine.state, machine.wake_s, machine.line) == ("sleeping", console.time_s + 10, 2)
    machine.run()
    assert machine.wake_s == console.time_s + 10
    console.time_s += 10
    machine.run()
    assert (machine.state, machine.wake_s, machine.line) == ("sleeping", console.time_s + 30, 4)
    console.time_s += 31
    machine.run()
    assert (machine.state, machine.exit_code) == ("ended", 53)

"""What AU programs may not do, said with file and line: before they run where possible, else when it happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import InputError
from labctl_sim_topspin._au_types import Answer
from tests.simulators.topspin.au_console import Console, fault, program, refusals, start

REFUSED = {
    # statement on line 3: part of the message
    "goto out;": "goto",
    "switch (i) { case 1: i = 2; }": "switch",
    "long l;": "type long",
    "unsigned int u;": "type unsigned int",
    "short s;": "type short",
    "struct point { int x; } p;": "Struct",
    "int a[2][2];": "array of int [2]",
    "char **q;": "pointer of this kind",
    "int (*f)(void);": "pointer of this kind",
    "extern int z;": "extern",
    "int name;": "hides a variable of TopSpin",
    "int i;": "declared twice",
    "int big = 3000000000;": "does not fit an int",
    "nothing = 1;": "nothing is not declared",
    "i = nothing(2);": "nothing is no function",
    "i = malloc(10);": "malloc is no function",
    "SPIN_UP": "SPIN_UP is no TopSpin macro",
    "i == 2;": "no effect",
    "i = \"text\";": "char * is given where int",
    "t = \"text\";": "array t cannot be assigned",
    "p = i;": "int is given where char *",
    "fp = i;": "int is given where FILE *",
    "i = p;": "char * is given where int",
    "d % 2;": "no effect",
    "i = d % 2;": "int on both sides",
    "i = i / 0;": "constant 0",
    "i = p * 2;": "not defined",
    "i = t == \"x\";": "compared by its address",
    "a[5] = 1;": "outside the array",
    "a[d] = 1;": "index is double",
    "i[0] = 1;": "cannot be indexed",
    "char w[2] = \"abc\";": "does not fit w",
    "int v[1] = {1, 2};": "2 initial values",
    "int v[];": "has no size",
    "int v[i];": "not a constant",
    "break;": "outside every loop",
    "strcpy(t, \"much too long for it\");": "does not fit t",
    "strcpy(\"abc\", t);": "cannot be written to",
    "strcpy(t);": "1 argument",
    "fgets(t, 100, fp);": "overflow t",
    "sprintf(t, \"%d\", d);": "wants an int but is given double",
    "sprintf(t, \"%f\", i);": "wants a double but is given int",
    "sprintf(t, \"%s\", i);": "wants text but is given int",
    "sprintf(t, \"%d\", strlen(t));": "given size_t",
    "sprintf(t, \"%d\", time(0));": "given time_t",
    "sprintf(t, \"%d\");": "format wants 1",
    "sprintf(t, \"%d\", 1, 2);": "format wants 1",
    "sprintf(t, t);": "not constant text",
    "sprintf(t, \"%ld\", i);": "'%ld'",
    "sscanf(t, \"%d\", &d);": "stores int into d, which is double",
    "sscanf(t, \"%lf\", &i);": "stores double into i",
    "sscanf(t, \"%f\", &d);": "stores float into d",
    "sscanf(t, \"%d\", &a[i++]);": "worked out",
    "FETCHPAR(\"TD\", &a[i++])": "worked out",
    "sscanf(t, \"%d\", i);": "stores into int",
    "sscanf(t, \"%20s\", t);": "may overflow t",
    "sscanf(t, \"%s\", &i);": "stores text but is given an address",
    "i = time(&i);": "given an address",
    "sleep(1.5);": "whole seconds",
    "i = TESET;": "TESET stands within an expression",
    "XCMD(5)": "XCMD is given int",
    "MASG(2.0)": "MASG is given double",
    "VTU_GASFLOW(600)": "VTU_GASFLOW is given int",
    "TEREADY(10, 1)": "TEREADY is given int",
    "XCMD()": "XCMD wants 1",
    "MASG(1, 2)": "MASG wants 1",
    "FETCHPAR(\"TE\", &i)": "'TE' is double, given a int variable",
    "FETCHPAR(\"MASR\", &d)": "'MASR' is int, given a double variable",
    "FETCHPAR(\"PULPROG\", &d)": "'PULPROG' is text",
    "FETCHPAR(\"RG\", &d)": "'RG' is float",
    "FETCHPAR(\"TE\", d)": "stores text into double",
    "FETCHPAR(\"XYZ\", &d)": "no parameter 'XYZ'",
    "STOREPAR(\"TE\", 300)": "'TE' is double, given int",
    "STOREPAR(\"TD\", 1.0)": "'TD' is int, given double",
    "STOREPAR(\"TE\", \"300\")": "'TE' is double",
    "STOREPAR(\"TE\", fp)": "FILE * cannot be stored",
    "MMAS_SPINRATE(t)": "assigns a pointer",
    "MMAS_SPINRATE(&p)": "assigns a pointer",
    "VTU_GASFLOW_STATUS(d, d)": "stores a float",
    "GETINT(\"n?\", i)": "GETINT is refused",
    "RVTLIST": "RVTLIST is refused",
    "sprintf(Hilfs_string, \"x\");": "Hilfs_string is refused",
    "i = (1 + ;": "this is not C",
    "i = 1 i = 2;": "this is not C",
    "if (i) { ZG }; else i = 1;": "this is not C",
    "i = undefined_later(1.0);": "sent where undefined_later, not declared yet",
    "d = real_later();": "gives double but is not declared",
    "void v;": "type void",
    "v_later() + 1;": "no effect",
    "void v_later(void); i = v_later();": "without a value is used",
    "i = v_later();": "gives void but is not declared",
    "return;": "returns nothing",
    "const int k = 1; k = 2;": "k is const",
    "i = &t - p;": "cannot be",
    "i = strlen(t) % 2;": "int on both sides",
    "i = -strlen(t);": "unsigned size_t",
    "i = sizeof(p);": "sizeof",
    "i = 'ab';": "not one character",
    "i = 1L;": "constant of type long",
    "#if 1": "directive #if",
    "#define F(x) x": "more than a constant",
    "#define ZG 1": "redefines a word of TopSpin",
    "#include \"mine.h\"": "cannot be seen",
    "#undef N": "directive #undef",
}  # fmt: skip
FUNCTIONS = "int undefined_later(int n) { return n; }\ndouble real_later(void) { return 1.0; }\nvoid v_later(void) { }"


@pytest.mark.parametrize("statement", REFUSED)
def test_what_is_outside_the_subset_is_refused_with_its_line(statement: str) -> None:
    """Nothing is skipped silently: the statement on line 3 is named."""
    body = f'int i = 1, a[5]; double d = 1; char t[8] = "x"; char *p = t;\nFILE *fp = NULL;\n{statement}\ni = 2;'
    findings = refusals(program(body, FUNCTIONS))
    assert all(finding.file == "test.c" for finding in findings)
    first = findings[0]
    assert REFUSED[statement] in f"{first.what}, {first.value}, {first.expected}"
    assert first.line == 3


def test_every_refusal_is_told_not_only_the_first() -> None:
    """Findings of several statements come together, in the order of their lines, with columns of the source."""
    findings = refusals(program("int i;\nlong l;\nTIMES(3) i = unknown; END\ngoto x;"))
    assert [finding.line for finding in findings] == [2, 3, 4]
    assert findings[1].column == len("TIMES(3) i = ") + 1


@pytest.mark.parametrize(
    ("source", "line", "what"),
    [
        ("int i;\ni = 1;\n", 2, "no end"),
        ("int i;\n{ i = 1;\nQUIT", 3, "ends within a block"),
        ("TIMES(2)\nQUIT", 2, "ends within a block"),
        ("ZG\n/* never closed\nQUIT", 2, "never closed"),
        ("int f(void);\nAUERR = f();\nQUIT", 2, "never defined"),
        ("QUIT\nint f(int a) { return a; }\nint f(int a) { return 1; }", 3, "defined twice"),
        ("double f(int a);\nQUIT\nint f(int a) { return a; }", 1, "other types"),
        ("QUIT\nint printf(int a) { return a; }\nint sprintf(int b) { return 1; }", 3, "exists already"),
        (
            "QUIT\nint g;\nint f(char t[]) { char u[5]; return 0; }\nchar *h(void) { char u[5]; return u; }",
            4,
            "address",
        ),
        ("QUIT\nint f(int a, ...) { return a; }", 2, "open argument"),
        ("QUIT\nvoid f(void) { return 1; }", 2, "returns a value"),
        ("QUIT\nvoid f(void) { ERRORABORT }", 2, "returns a value"),
        ("x = 1;\nQUIT\nint x;", 1, "not declared"),
        ("QUIT\nint expno;", 2, "variable of TopSpin"),
        ("QUIT\nint a = 1;\nint b = a;", 3, "not a constant"),
    ],
)
def test_the_shape_of_a_program_is_checked(source: str, line: int, what: str) -> None:
    """QUIT closes the body; functions and variables after it are checked where they stand."""
    (finding, *_) = refusals(source)
    assert what in finding.what
    assert finding.line == line


FAULTS = {
    "strcpy(t, long_text);": "overflows its buffer",
    "strcat(t, long_text);": "overflows its buffer",
    "sprintf(t, \"%s\", long_text);": "overflows its buffer",
    "sscanf(long_text, \"%[^\\n]\", t);": "overflows its buffer",
    "strncpy(t, long_text, i * 9);": "strncpy overflows",
    "snprintf(t, i * 9, \"x\");": "snprintf may overflow",
    "fgets(t, i * 9, NULL);": "fgets may overflow",
    "t[i + 7] = 'x';": "index outside the array",
    "i = a[i * 4 - 1 + i * 3];": "index outside the array",
    "a[0 - i] = 1;": "index outside the array",
    "j = j + 1;": "j is read before it was set",
    "i = a[i + 1];": "read before it was set",
    "i = u[i];": "read before it was set",
    "if (j == 1) i = 2;": "j is read before it was set",
    "i = strlen(u);": "read before it was set",
    "strncpy(t, long_text, 8); i = strlen(t);": "no NUL",
    "XCMD(nil)": "NULL is used as text",
    "i = *nil;": "NULL is indexed",
    "p = nil + 1;": "arithmetic with NULL",
    "p = p + 50;": "pointer leaves its array",
    "p = \"abc\"; *p = 'x';": "constant text",
    "sprintf(t, \"a%s\", t);": "own buffer",
    "strcpy(t, p);": "overlap",
    "fputs(\"x\", fp);": "NULL is used as FILE",
    "fp = fopen(\"new\", \"w\"); fclose(fp); fclose(fp);": "after fclose",
    "fp = fopen(\"new\", \"w\"); fgets(t, 5, fp);": "opened for 'w'",
    "fp = fopen(\"new\", \"r+\");": "fopen mode",
    "for (;;) fp = fopen(\"new\", \"w\");": "files are open already",
    "fp = fopen(\"../away\", \"r\");": "outside the console",
    "sleep(0 - i);": "negative time",
    "while (1) i = 1;": "without a pause",
    "i = endless(i);": "without end",
    "i = no_value(i);": "without a value",
    "strcpy(t, \"TE\"); FETCHPAR(t, &i)": "'TE' is double",
    "strcpy(t, \"TE\"); STOREPAR(t, 1)": "'TE' is double",
    "strcpy(t, \"QQ\"); STOREPAR(t, 1)": "no parameter 'QQ'",
}  # fmt: skip


@pytest.mark.parametrize("statement", FAULTS)
def test_what_corrupts_a_console_silently_is_a_fault_with_its_line(statement: str, tmp_path: Path) -> None:
    """Overflows, unset variables, NULL, closed files: the program ends there, naming file and line."""
    body = (
        'int i = 1, j, a[5]; char t[8] = "x"; char u[8]; char *p = t; char *nil = NULL; char long_text[20];\n'
        f'FILE *fp = NULL; strcpy(long_text, "longer than eight");\n{statement}\ni = 2;'
    )
    functions = "int endless(int n) { return endless(n + 1); }\nint no_value(int n) { if (n > 5) return 1; }"
    finding = fault(body, functions, Console(tmp_path))
    assert FAULTS[statement] in f"{finding.what} {finding.value}"
    assert finding.line == (5 + 1 if "endless" in statement else 3)


def test_a_faulty_program_has_ended() -> None:
    """After a fault the machine stands ended, without an exit code."""
    machine = start(program("int i;\ni = i + 1;"), Console(Path()))
    with pytest.raises(InputError, match=r"test\.c:2:"):
        machine.run()
    assert (machine.state, machine.exit_code) == ("ended", None)


def test_a_text_that_the_console_answers_may_overflow_too() -> None:
    """FETCHPAR into a small char array is bounded like everything else."""
    console = Console(Path())
    console.answers["FETCHPAR"] = lambda machine, args: Answer(outs=("a name of many characters",))
    finding = fault('char t[8];\nFETCHPAR("PULPROG", t)', console=console)
    assert "overflows" in finding.what
    assert finding.line == 2

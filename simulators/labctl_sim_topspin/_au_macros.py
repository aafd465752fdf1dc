"""Expand the TopSpin macros of an AU source into plain C, keeping every line (and remembering columns).

An AU source is a function body: TopSpin puts the opening of a function before it, and the macro QUIT closes that
function; more functions may follow. Control macros become C here; macros that the console carries out become calls
of their own name, for the compiler to recognise.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from labctl.errors import Finding, InputError
from labctl_sim_topspin._au_table import MACROS, REFUSED, TEMPLATES

PROGRAM = "AU_program"
"""Name of the function that the body of an AU source becomes."""

_PROLOGUE = f"typedef int FILE; typedef int time_t; typedef int size_t; int {PROGRAM}(void) {{ "

_TOKEN = re.compile(
    r"""(?P<newline>\n)
      | (?P<space>[ \t\r\f\v]+)
      | (?P<text>"(?:\\.|[^"\\\n])*")
      | (?P<char>'(?:\\.|[^'\\\n])*')
      | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<other>.)""",
    re.VERBOSE,
)
_COMMENT = re.compile(r"""//[^\n]*|/\*.*?\*/|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""", re.DOTALL)
_INCLUDE = re.compile(r'#\s*include\s*(<[\w./]+>|"[^"]*")\s*$')
_DEFINE = re.compile(r"#\s*define\s+([A-Za-z_]\w*)(\(?)\s*(.*)$")
_HEADERS = re.compile(
    r"<(stdio|stdlib|string|math|time|ctype|limits|float|errno|unistd|sys/types|sys/stat)\.h>|<inc/\w+>"
)
_MAX_NESTING = 40


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the source: its text, its kind (see ``_TOKEN``), line and column from 1."""

    text: str
    kind: str
    line: int
    column: int


@dataclass(slots=True)
class Expansion:
    """C text with exactly the lines of the source, and the way back to its columns."""

    text: str
    _marks: list[list[tuple[int, int]]]

    def column(self, line: int, column: int) -> int:
        """The source column of a column of the C text (1 for what TopSpin itself adds)."""
        if not 1 <= line <= len(self._marks):
            return 0
        marks = self._marks[line - 1]
        place = bisect.bisect_right(marks, (column, 1 << 30)) - 1
        return marks[place][1] if place >= 0 else 1


def expand(source: str, *, file: str) -> Expansion:
    """The program as one C translation unit.

    Raises InputError with a Finding per directive or macro that cannot be accepted.
    """
    return _Expander(file).run(source)


def _finding(file: str, token: Token, what: str, *, value: str = "", expected: str = "") -> Finding:
    return Finding(file=file, line=token.line, column=token.column, what=what, value=value, expected=expected)


def _tokens(text: str, line: int = 1) -> Iterator[Token]:
    start = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        yield Token(match.group(), kind, line, match.start() - start + 1)
        if kind == "newline":
            line, start = line + 1, match.end()


def _without_comments(source: str) -> str:
    """Every comment as blanks of the same shape, so that lines and columns stay."""

    def blank(match: re.Match[str]) -> str:
        return match.group() if match.group(1) else re.sub(r"[^\n]", " ", match.group())

    return _COMMENT.sub(blank, source)


@dataclass(slots=True)
class _Expander:
    file: str
    findings: list[Finding] = field(default_factory=list)
    defines: dict[str, list[Token]] = field(default_factory=dict)
    out: list[str] = field(default_factory=list)
    marks: list[list[tuple[int, int]]] = field(default_factory=lambda: [[]])
    column: int = 1
    last: str = ";"
    """The last word written; a macro that is a statement must find a statement's end before it."""

    def run(self, source: str) -> Expansion:
        source = _without_comments(source.replace("\r\n", "\n"))
        if "/*" in re.sub(r'"(?:\\.|[^"\\\n])*"', "", source):
            line = source[: source.index("/*")].count("\n") + 1
            self.findings.append(Finding(file=self.file, line=line, column=1, what="comment is never closed"))
        self._put(_PROLOGUE, Token("", "other", 1, 1))
        tokens = list(_tokens(self._directives(source)))
        self._expand(tokens, 0)
        if not any(token.text in {"QUIT", "QUITMSG"} for token in tokens):
            last = tokens[-1] if tokens else Token("", "other", 1, 1)
            self.findings.append(
                _finding(self.file, last, "the program has no end", expected="QUIT or QUITMSG closes the body")
            )
        if self.findings:
            raise InputError(findings=tuple(self.findings))
        return Expansion("".join(self.out), self.marks)

    # directives

    def _directives(self, source: str) -> str:
        lines = source.split("\n")
        number = 0
        while number < len(lines):
            first = number
            if lines[number].lstrip().startswith("#"):
                logical = lines[number]
                while logical.endswith("\\") and number + 1 < len(lines):
                    number += 1
                    logical = logical[:-1] + " " + lines[number]
                self._directive(logical.strip(), first + 1, len(lines[first]) - len(lines[first].lstrip()) + 1)
                lines[first : number + 1] = [""] * (number + 1 - first)
            number += 1
        return "\n".join(lines)

    def _directive(self, text: str, line: int, column: int) -> None:
        place = Token(text, "other", line, column)
        include, define = _INCLUDE.match(text), _DEFINE.match(text)
        if include:
            if not _HEADERS.fullmatch(include[1]):
                self.findings.append(
                    _finding(
                        self.file,
                        place,
                        f"header {include[1]} cannot be seen by the simulator",
                        expected="a header of the C standard library or <inc/...>",
                    )
                )
        elif define:
            name, parenthesis, body = define[1], define[2], list(_tokens(define[3], line))
            words = [token for token in body if token.kind != "space"]
            allowed = all(
                token.kind in {"number", "text", "char"}
                or (token.kind == "name" and token.text in self.defines)
                or token.text in set("()+-*/")
                for token in words
            )
            if parenthesis or not words or not allowed:
                self.findings.append(
                    _finding(
                        self.file,
                        place,
                        f"#define {name} is more than a constant",
                        expected="#define NAME followed by a number, a text, or arithmetic of such",
                    )
                )
            elif name in MACROS or name in TEMPLATES or name in REFUSED:
                self.findings.append(_finding(self.file, place, f"#define {name} redefines a word of TopSpin"))
            elif name in self.defines:
                self.findings.append(_finding(self.file, place, f"#define {name} a second time"))
            else:
                self.defines[name] = body
        else:
            word = text[1:].split(maxsplit=1)[0] if text[1:].split() else ""
            self.findings.append(
                _finding(
                    self.file,
                    place,
                    f"directive #{word} is outside the AU subset",
                    expected="#include <...> and #define NAME constant",
                )
            )

    # macros

    def _expand(self, tokens: list[Token], nesting: int) -> None:
        if nesting > _MAX_NESTING:
            raise InputError(findings=(_finding(self.file, tokens[0], "macros nest too deeply"),))
        place = 0
        while place < len(tokens):
            token = tokens[place]
            place += 1
            if token.kind != "name":
                self._put(token.text, token)
            elif token.text in self.defines:
                self._expand(
                    [Token(t.text, t.kind, token.line, token.column) for t in self.defines[token.text]], nesting + 1
                )
            elif token.text in TEMPLATES:
                wanted, template = TEMPLATES[token.text]
                self._stand_alone(token)
                arguments, place = self._arguments(token, tokens, place, wanted)
                self._fill(template, token, arguments, nesting)
            elif token.text in MACROS and MACROS[token.text].kind in {"command", "reading"}:
                macro = MACROS[token.text]
                self._stand_alone(token)
                arguments, place = self._arguments(token, tokens, place, len(macro.arguments))
                call = f"{macro.name}({','.join(f'${i + 1}' for i in range(len(arguments)))});"
                self._fill("{" + call + "}" if macro.braced else call, token, arguments, nesting)
            elif token.text in REFUSED:
                self.findings.append(
                    _finding(self.file, token, f"{token.text} is refused", expected=REFUSED[token.text])
                )
                self._put(token.text, token)
            else:
                self._put(token.text, token)

    def _arguments(self, macro: Token, tokens: list[Token], place: int, wanted: int) -> tuple[list[list[Token]], int]:
        """The arguments of a macro call, split at top-level commas, and the place after it."""
        if wanted == 0:
            return [], place
        while place < len(tokens) and tokens[place].kind in {"space", "newline"}:
            place += 1
        arguments: list[list[Token]] = [[]]
        if place < len(tokens) and tokens[place].text == "(":
            depth = 0
            for end in range(place, len(tokens)):
                text = tokens[end].text if tokens[end].kind == "other" else ""
                depth += (text in {"(", "[", "{"}) - (text in {")", "]", "}"})
                if depth == 0:
                    if len(arguments) != wanted or any(not _has_word(argument) for argument in arguments):
                        break
                    return arguments, end + 1
                if depth == 1 and text == ",":
                    arguments.append([])
                elif end > place:
                    arguments[-1].append(tokens[end])
        given = sum(_has_word(argument) for argument in arguments)
        finding = _finding(self.file, macro, f"{macro.text} wants {wanted} argument(s)", value=str(given))
        raise InputError(findings=(*self.findings, finding))

    def _fill(self, template: str, macro: Token, arguments: list[list[Token]], nesting: int) -> None:
        before = len(self.marks)
        for piece in re.split(r"(\$\d)", template):
            if piece.startswith("$"):
                self._expand(arguments[int(piece[1:]) - 1], nesting + 1)
            elif piece:
                self._put(piece, macro)
        lines = sum(token.kind == "newline" for argument in arguments for token in argument)
        for _ in range(lines - (len(self.marks) - before)):  # an argument that the macro drops
            self._put("\n", macro)

    def _stand_alone(self, macro: Token) -> None:
        if self.last[-1] not in ";{}):" and self.last not in {"else", "do"}:
            self.findings.append(
                _finding(
                    self.file,
                    macro,
                    f"{macro.text} stands within an expression",
                    expected="a statement of its own; then look at AUERR",
                )
            )

    def _put(self, text: str, origin: Token) -> None:
        self.last = text.strip() or self.last
        self.marks[-1].append((self.column, origin.column))
        self.out.append(text)
        if origin.kind == "newline" or text == "\n":
            self.marks.append([])
            self.column = 1
        else:
            self.column += len(text)


def _has_word(tokens: list[Token]) -> bool:
    return any(token.kind not in {"space", "newline"} for token in tokens)

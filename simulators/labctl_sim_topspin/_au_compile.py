"""Turn AU source into a program for the machine, refusing with file and line whatever is outside the subset."""

# ruff: noqa: ARG005 - every compiled expression takes both lists of cells, used or not

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from pycparser import c_ast, c_parser

from labctl.errors import Finding, InputError
from labctl_sim_topspin._au_code import Function, Program, Return
from labctl_sim_topspin._au_declare import fill_array, sized, type_of, zero
from labctl_sim_topspin._au_expressions import Expressions
from labctl_sim_topspin._au_library import LIBRARY
from labctl_sim_topspin._au_macros import Expansion, expand
from labctl_sim_topspin._au_scope import (
    Node,
    Refused,
    Scope,
    Signature,
    Unit,
    Variable,
    addresses_taken,
    line_of,
)
from labctl_sim_topspin._au_statements import Body
from labctl_sim_topspin._au_table import AU_INTS, AU_TEXTS, CONSTANTS, MACROS
from labctl_sim_topspin._au_types import ParameterKind
from labctl_sim_topspin._au_values import INT, VOID, CType

__all__ = ["Program", "compile_program"]


def compile_program(
    source: str, *, file: str, parameter_kind: Callable[[str], ParameterKind | None] | None = None
) -> Program:
    """A program ready to run on a ``Machine``.

    Parameters
    ----------
    source : str
        The AU source.
    file : str
        Its name, for messages.
    parameter_kind : callable or None
        The C type of a TopSpin parameter, None if there is none of that name; lets FETCHPAR and STOREPAR of a wrong
        type be refused before the program runs. Without it they are refused when met.

    Raises InputError with one Finding (file, line, what, expected) for each thing outside the subset; nothing is
    skipped silently.
    """
    expansion = expand(source, file=file)
    try:
        tree = c_parser.CParser().parse(expansion.text, filename=file)
    except c_parser.ParseError as error:
        raise InputError(findings=(_syntax(file, expansion, str(error)),)) from None
    except RecursionError:
        raise InputError(
            findings=(Finding(file=file, line=1, column=1, what="the program nests too deeply"),)
        ) from None
    unit = Unit(file, expansion, parameter_kind, boxed_names=addresses_taken(tree))
    _system_variables(unit)
    functions = _Unit(unit).compile(tree)
    if unit.findings:
        raise InputError(findings=tuple(sorted(unit.findings, key=lambda finding: (finding.line, finding.column))))
    initial = tuple(unit.initial)
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Program(file, digest, functions, tuple(unit.globals), lambda: [make() for make in initial], unit.literals)


def _syntax(file: str, expansion: Expansion, message: str) -> Finding:
    match = re.search(r":(\d+):(\d+): (.*)$", message)
    if match is None and message.endswith("At end of input"):
        return Finding(
            file=file,
            line=expansion.text.count("\n") + 1,
            column=1,
            what="the program ends within a block",
            expected="a } for every {, an END for every TIMES, and QUIT outside all of them",
        )
    lines = expansion.text.split("\n")
    line, column = (int(match[1]), int(match[2])) if match else (_first_bad_line(lines, file), 1)
    what = match[3].strip() if match else "not an expression"
    known = {*MACROS, *CONSTANTS, *AU_INTS, "FILE"}
    for number in (line, line - 1):  # an unknown macro is noticed at the word after it
        for word in re.finditer(r"\b[A-Z][A-Z0-9_]{2,}\b", re.sub(r'"[^"]*"', "", lines[max(number - 1, 0)])):
            if word.group() not in known:
                column = expansion.column(number, word.start() + 1)
                unknown = f"{word.group()} is no TopSpin macro that the simulator knows"
                return Finding(file=file, line=number, column=column, what=unknown)
    return Finding(
        file=file,
        line=line,
        column=expansion.column(line, column),
        what=f"this is not C ({what})",
        expected="C of the AU subset",
    )


def _first_bad_line(lines: list[str], file: str) -> int:
    """The line at which the parser gives up, for errors that it reports without a place."""
    for number in range(1, len(lines) + 1):
        try:
            c_parser.CParser().parse("\n".join(lines[:number]), filename=file)
        except c_parser.ParseError as error:
            if not str(error).endswith("At end of input"):
                return number
    return len(lines)


def _system_variables(unit: Unit) -> None:
    """The variables every AU program has; cell 0 of the globals holds the open files."""
    unit.add_global("", CType("file"), lambda: None)
    for name in AU_INTS:
        unit.global_names[name] = unit.add_global(name, INT, lambda: 0)
    for name, size in AU_TEXTS.items():
        unit.global_names[name] = unit.add_global(name, CType("array", "char", size), lambda size=size: [0] * size)  # type: ignore[misc]  # the size of this name
    unit.global_names["i_argc"] = unit.add_global("i_argc", INT, lambda: 0)
    unit.global_names["i_argv"] = unit.add_global("i_argv", CType("array", "text", 0), list)
    unit.system_names = frozenset(unit.global_names)


class _Unit:
    """Compiles the functions and variables outside functions, in the order C sees them."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.done: dict[str, Function] = {}

    def compile(self, tree: Node) -> dict[str, Function]:
        outside = Expressions(Scope(self.unit, "", VOID))
        for node in tree.ext:  # signatures first: C programs call what is defined further down
            if isinstance(node, c_ast.FuncDef):
                self._guarded(node, lambda node=node: self._signature(outside, node.decl, defined=True))  # type: ignore[misc]
        for node in tree.ext:
            if isinstance(node, c_ast.FuncDef):
                self._guarded(node, lambda node=node: self._function(node))  # type: ignore[misc]
            elif isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl):
                self._guarded(node, lambda node=node: self.prototype(outside, node))  # type: ignore[misc]
            elif isinstance(node, c_ast.Decl):
                self._guarded(node, lambda node=node: self._global(outside, node))  # type: ignore[misc]
            elif not (isinstance(node, c_ast.Typedef) and node.name in {"FILE", "time_t", "size_t"}):
                self.unit.report(Refused(node, f"{type(node).__name__} is outside the AU subset"))
        return self.done

    def _guarded(self, node: Node, work: Callable[[], object]) -> None:
        try:
            work()
        except Refused as refused:
            if getattr(refused.node, "coord", None) is None:
                refused.node = node
            self.unit.report(refused)

    def _signature(self, outside: Expressions, decl: Node, *, defined: bool) -> Signature:
        name, kind = decl.name, decl.type
        if name in MACROS or name in LIBRARY or name in {"sprintf", "sscanf", "fprintf", "sleep", "time", "main"}:
            raise Refused(decl, f"{name} is the name of a function that exists already")
        result = type_of(outside, kind.type)
        parameters = tuple(self._parameter(outside, parameter) for parameter in _parameters(kind))
        known = self.unit.functions.get(name)
        if known is None:
            known = self.unit.functions[name] = Signature(result, parameters, defined=defined)
        elif (known.result, known.parameters) != (result, parameters):
            raise Refused(decl, f"{name} is declared with other types than it is defined with")
        elif defined:
            raise Refused(decl, f"{name} is defined twice")
        return known

    def _parameter(self, outside: Expressions, node: Node) -> CType:
        if isinstance(node, c_ast.EllipsisParam):
            raise Refused(node, "open argument lists are outside the AU subset")
        ctype = type_of(outside, node.type)
        if ctype.kind == "void":
            raise Refused(node, "a parameter of type void")
        return CType("pointer", ctype.elem, readonly=ctype.readonly) if ctype.kind == "array" else ctype

    def prototype(self, outside: Expressions, node: Node) -> None:
        """A declaration of a function; the function may be called from here on."""
        self._signature(outside, node, defined=False).declared = True

    def _global(self, outside: Expressions, node: Node) -> None:
        if set(node.storage) - {"static"}:
            raise Refused(node, f"{' '.join(node.storage)} is outside the AU subset")
        if node.name in self.unit.global_names:
            raise Refused(node, f"{node.name} is declared twice, or is a variable of TopSpin")
        self.unit.global_names[node.name] = self.static(outside, node)

    def static(self, outside: Expressions, node: Node) -> Variable:
        """A variable that lives as long as the program: zero, or its constant initial value."""
        ctype = sized(outside, node)
        if ctype.kind == "void":
            raise Refused(node, f"{node.name} has type void")
        value = zero(ctype)
        boxed = ctype.kind != "array" and node.name in self.unit.boxed_names
        if node.init is not None:
            if ctype.kind == "array":
                fill_array(outside, node, ctype, value)
            else:
                val = outside.assigned(node.init, outside.value(node.init), ctype)
                if val.const is None and val.text is None:
                    raise Refused(node.init, f"the initial value of {node.name} is not a constant")
                value = val.ev([], [])
        if boxed:
            return self.unit.add_global(node.name, ctype, lambda: [value], boxed=True)
        if ctype.kind == "array":
            return self.unit.add_global(node.name, ctype, lambda: list(value))
        return self.unit.add_global(node.name, ctype, lambda: value)

    def _function(self, node: Node) -> None:
        name = node.decl.name
        signature = self.unit.functions.get(name)
        if signature is None:
            return  # its head was refused
        scope = Scope(self.unit, name, signature.result)
        body = Body(scope, self)
        for parameter, ctype in zip(_parameters(node.decl.type), signature.parameters, strict=True):
            if parameter.name is None:
                raise Refused(node, f"a parameter of {name} has no name")
            scope.declare(parameter, parameter.name, ctype)
        for variable in [scope.blocks[0][cell.name] for cell in scope.cells]:
            if variable.boxed:
                body.box(node, variable)
        signature.declared = True
        body.statement(node.body)
        scope.emitter.operation(line_of(node.body), lambda after: Return(None))
        code, operations, lines = scope.emitter.build() if not self.unit.findings else ((), {}, ())
        self.done[name] = Function(name, code, operations, lines, tuple(scope.cells))


def _parameters(kind: Node) -> list[Node]:
    nodes = list(kind.args.params) if kind.args else []
    if len(nodes) == 1 and isinstance(nodes[0], c_ast.Typename) and _is_void(nodes[0]):
        return []
    return nodes


def _is_void(node: Node) -> bool:
    return isinstance(node.type, c_ast.TypeDecl) and getattr(node.type.type, "names", None) == ["void"]

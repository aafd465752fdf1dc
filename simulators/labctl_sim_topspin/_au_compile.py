"""Turn AU source into a program for the machine, refusing with file and line whatever is outside the subset."""

# ruff: noqa: ARG001, ARG005 - every compiled expression takes both lists of cells, used or not

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from pycparser import c_ast, c_parser

from labctl.errors import Finding, InputError
from labctl_sim_topspin._au_code import Function, Label, Program, Return, Step
from labctl_sim_topspin._au_expressions import Expressions, literal_bytes, type_of
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
from labctl_sim_topspin._au_table import AU_INTS, AU_TEXTS, CONSTANTS, MACROS
from labctl_sim_topspin._au_types import ParameterKind
from labctl_sim_topspin._au_values import INT, UNSET_CHAR, VOID, Cells, CType

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


def _zero(ctype: CType) -> Any:
    """What C puts into a variable outside all functions."""
    if ctype.kind == "array":
        return [_zero_element(ctype) for _ in range(ctype.size)]
    return 0.0 if ctype.kind in {"float", "double"} else 0


def _zero_element(ctype: CType) -> int | float:
    return 0.0 if ctype.elem in {"float", "double"} else 0


def _blank(ctype: CType) -> Cells:
    return [UNSET_CHAR if ctype.elem == "char" else None] * ctype.size


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
        value = _zero(ctype)
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
        body = _Body(scope, self)
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


def sized(expressions: Expressions, node: Node) -> CType:
    """The type a declaration names, an open array size taken from its initial value."""
    ctype = type_of(expressions, node.type)
    if ctype.kind != "array" or ctype.size:
        return ctype
    if isinstance(node.init, c_ast.InitList):
        size = len(node.init.exprs)
    elif isinstance(node.init, c_ast.Constant) and node.init.type == "string":
        size = len(literal_bytes(node.init, node.init.value)) + 1
    else:
        raise Refused(node, f"array {node.name} has no size", expected=f"{node.name}[...]")
    return CType("array", ctype.elem, size, readonly=ctype.readonly)


def fill_array(expressions: Expressions, node: Node, ctype: CType, cells: Cells) -> None:
    """Put constant initial values into the cells of an array."""
    for place, value in enumerate(_initial_values(expressions, node, ctype)):
        cells[place] = value


def _initial_values(expressions: Expressions, node: Node, ctype: CType) -> list[Any]:
    init = node.init
    if ctype.elem == "char" and isinstance(init, c_ast.Constant) and init.type == "string":
        data = literal_bytes(init, init.value)
        if len(data) + 1 > ctype.size:
            raise Refused(
                init,
                f"text does not fit {node.name}",
                value=init.value,
                expected=f"at most {ctype.size - 1} characters",
            )
        return list(data)
    if not isinstance(init, c_ast.InitList):
        raise Refused(init, f"array {node.name} cannot start as this", expected="{...}, or a text for a char array")
    if len(init.exprs) > ctype.size:
        raise Refused(init, f"{len(init.exprs)} initial values for {node.name}", expected=f"at most {ctype.size}")
    from labctl_sim_topspin._au_values import SCALARS  # noqa: PLC0415 - only here

    values = []
    for expression in init.exprs:
        if isinstance(expression, c_ast.InitList | c_ast.NamedInitializer):
            raise Refused(expression, "initial values of this kind are outside the AU subset")
        val = expressions.assigned(expression, expressions.value(expression), SCALARS[ctype.elem])
        if val.const is None and val.text is None:
            raise Refused(expression, f"initial values of array {node.name} must be constants")
        value = val.ev([], [])
        values.append(value & 255 if ctype.elem == "char" else value)
    return values


class _Body:
    """Compiles the statements of one function."""

    def __init__(self, scope: Scope, unit: _Unit) -> None:
        self.scope = scope
        self.unit = unit
        self.expressions = Expressions(scope)

    def statement(self, node: Node) -> None:
        """Compile one statement; what is refused is reported, and the rest is still looked at."""
        try:
            compile_node = getattr(self, f"_{type(node).__name__}", None)
            if compile_node is not None:
                compile_node(node)
            else:
                self.expressions.statement(node)
        except Refused as refused:
            if getattr(refused.node, "coord", None) is None:
                refused.node = node
            self.scope.unit.report(refused)

    def _Compound(self, node: Node) -> None:
        self.scope.blocks.append({})
        for item in node.block_items or []:
            self.statement(item)
        self.scope.blocks.pop()

    def _EmptyStatement(self, node: Node) -> None:
        """Nothing."""

    def _DeclList(self, node: Node) -> None:
        for declaration in node.decls:
            self.statement(declaration)

    def _Decl(self, node: Node) -> None:
        if isinstance(node.type, c_ast.FuncDecl):
            self.unit.prototype(self.expressions, node)
            return
        if "static" in node.storage:
            if node.name in self.scope.unit.system_names:
                raise Refused(
                    node, f"{node.name} hides a variable of TopSpin that the macros use", expected="another name"
                )
            self.scope.blocks[-1][node.name] = self.unit.static(self.expressions, node)
            return
        if node.storage:
            raise Refused(node, f"{' '.join(node.storage)} is outside the AU subset")
        ctype = sized(self.expressions, node)
        if ctype.kind == "void":
            raise Refused(node, f"{node.name} has type void")
        if ctype.kind == "array":
            self._array(node, ctype)
            return
        init = self.expressions.value(node.init) if node.init is not None else None
        variable = self.scope.declare(node, node.name, ctype)
        if variable.boxed:
            self.box(node, variable, fresh=True)
        if init is not None:
            place = self.expressions.place(c_ast.ID(node.name, node.coord))
            self.expressions.assign_step(node, place, self.expressions.assigned(node.init, init, ctype))
        elif not variable.boxed:
            self._set(node, variable.cell, lambda: None)

    def _array(self, node: Node, ctype: CType) -> None:
        start = _blank(ctype)
        if node.init is not None:
            start = _zero(ctype)
            fill_array(self.expressions, node, ctype, start)
        variable = self.scope.declare(node, node.name, ctype)
        self._set(node, variable.cell, lambda: list(start))

    def box(self, node: Node, variable: Variable, *, fresh: bool = False) -> None:
        """Give a variable whose address is taken a cell of its own."""
        cell = variable.cell

        def make(after: int) -> Step:
            def run(f: Cells, g: Cells) -> int:
                f[cell] = [None if fresh else f[cell]]
                return after

            return run

        self.scope.emitter.step(line_of(node), make)

    def _set(self, node: Node, cell: int, value: Callable[[], object]) -> None:
        def make(after: int) -> Step:
            def run(f: Cells, g: Cells) -> int:
                f[cell] = value()
                return after

            return run

        self.scope.emitter.step(line_of(node), make)

    # control

    def _If(self, node: Node) -> None:
        yes, no, end = Label(), Label(), Label()
        self.expressions.condition(node.cond, yes, no if node.iffalse is not None else end)
        self.scope.emitter.place(yes)
        self.statement(node.iftrue)
        if node.iffalse is not None:
            self.scope.emitter.jump(line_of(node), end)
            self.scope.emitter.place(no)
            self.statement(node.iffalse)
        self.scope.emitter.place(end)

    def _While(self, node: Node) -> None:
        self._loop(node, condition=node.cond, body=node.stmt, turn=None)

    def _For(self, node: Node) -> None:
        self.scope.blocks.append({})
        if node.init is not None:
            self.statement(node.init)
        self._loop(node, condition=node.cond, body=node.stmt, turn=node.next)
        self.scope.blocks.pop()

    def _loop(self, node: Node, *, condition: Node, body: Node, turn: Node) -> None:
        emitter = self.scope.emitter
        test, start, again, end = Label(), Label(), Label(), Label()
        emitter.place(test)
        if condition is not None:
            self.expressions.condition(condition, start, end)
        emitter.place(start)
        self.scope.loops.append((again, end))
        self.statement(body)
        self.scope.loops.pop()
        emitter.place(again)
        if turn is not None:
            self.statement(turn)
        emitter.jump(line_of(node), test)
        emitter.place(end)

    def _DoWhile(self, node: Node) -> None:
        emitter = self.scope.emitter
        start, again, end = Label(), Label(), Label()
        emitter.place(start)
        self.scope.loops.append((again, end))
        self.statement(node.stmt)
        self.scope.loops.pop()
        emitter.place(again)
        self.expressions.condition(node.cond, start, end)
        emitter.place(end)

    def _Break(self, node: Node) -> None:
        self.scope.emitter.jump(line_of(node), self._around(node)[1])

    def _Continue(self, node: Node) -> None:
        self.scope.emitter.jump(line_of(node), self._around(node)[0])

    def _around(self, node: Node) -> tuple[Label, Label]:
        if not self.scope.loops:
            raise Refused(node, f"{type(node).__name__.lower()} stands outside every loop")
        return self.scope.loops[-1]

    def _Return(self, node: Node) -> None:
        ev = None
        if node.expr is not None:
            if self.scope.result.kind == "void":
                raise Refused(node, f"{self.scope.name} is void but returns a value")
            val = self.expressions.value(node.expr)
            if val.size:
                raise Refused(
                    node,
                    f"{val.name} ends with the function: its address is returned",
                    expected="a buffer of the caller",
                )
            ev = self.expressions.assigned(node, val, self.scope.result).ev
        elif self.scope.result.kind != "void":
            raise Refused(node, f"{self.scope.name} returns nothing", expected=str(self.scope.result))
        self.scope.emitter.operation(line_of(node), lambda after: Return(ev))

    def _Goto(self, node: Node) -> None:
        raise Refused(node, "goto is outside the AU subset", expected="a loop, break or continue")

    def _Label(self, node: Node) -> None:
        raise Refused(node, "labels are outside the AU subset")

    def _Switch(self, node: Node) -> None:
        raise Refused(node, "switch is outside the AU subset", expected="if ... else if ...")

    def _FuncDef(self, node: Node) -> None:
        raise Refused(node, "a function within a function", expected="functions stand after QUIT")

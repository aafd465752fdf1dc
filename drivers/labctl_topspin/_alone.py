"""A campaign as a stand-alone AU program, its lists and its job folder, for a console where labctl cannot be.

Theory of operation
-------------------
What touches instruments is the executor's own code: its functions are taken word for word from
``au/labctl_executor.c`` and set into a frame (``au/labctl_alone.in.c``) that has the plan compiled in instead of
reading step files. The program leaves the same status records, so the guard (``au/labctl_guard.c``, unchanged)
watches it as it watches the executor.

Whatever somebody typed reaches the C text through `_text`, `_number` and `_remark` alone.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from typing import Any

from labctl.errors import InputError
from labctl.ports import Acquire, AwaitStable, CoolDown, Nutation, Order, SaturationRecovery
from labctl_topspin._agents import SAFE_RAMP_K_PER_MIN, SAFE_SETPOINT_K
from labctl_topspin._codec import Value, delay_list, pulse_list, rows, safe_path, safe_text, step_pairs
from labctl_topspin._settings import Settings

MAX_TEXT = 200
"""Longest text compiled in: buffers of the AU programs hold 250 characters, a token comes on top."""

MAX_NAME = 30
"""Longest name of a program."""

_SECTION = re.compile(r"^/\* -{20,} (.+?) \*/\n", re.MULTILINE)
_SCANNED = re.compile(r'sscanf\(line, "(\w+)=(%[^"]+)", &?(\w+)\);')
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """One program with what belongs to it.

    Attributes
    ----------
    name : str
        What a person types behind ``xau``.
    source : str
        Its C text.
    lists : mapping of (folder, name) to text
        Delay and pulse lists: ``("vd", "labctl_0a1b2c3d")``.
    acquisitions : tuple of Order
        In order.
    dataset : str
        Name of the dataset its EXPNOs are in.
    data_dir : str
        Folder of the datasets as the console sees it; empty: that of the dataset open in TopSpin.
    """

    name: str
    source: str
    lists: Mapping[tuple[str, str], str]
    acquisitions: tuple[Order, ...]
    dataset: str
    data_dir: str


def standalone(
    orders: Sequence[Order],
    *,
    name: str,
    dataset: str,
    about: Sequence[str],
    settings: Settings,
    limits: Mapping[str, float],
) -> Alone:
    """Return a campaign, or the part of it that needs no change of sample, as a program.

    Parameters
    ----------
    orders : sequence of Order
        First attempts, in the order of the campaign.
    dataset : str
        Name of the dataset its EXPNOs are in.
    about : sequence of str
        Lines for the comment at its head.
    limits : mapping
        Complete (`_settings.complete_limits`).

    Raises
    ------
    InputError
        Something cannot stand in an AU program, or the lab file names no template for an experiment.
    """
    executor = source_of("labctl_executor.c")
    lists: dict[tuple[str, str], str] = {}
    safe_text(dataset, "the name of the dataset")
    data_dir = _data_dir(settings)
    parts = {
        "about": "\n".join(f" * {_remark(line)}".rstrip() for line in about),
        "program": name,
        "constants": _constants(name, dataset, data_dir, settings, limits),
        "campaign": _campaign(orders, settings, lists, _variables(executor)),
    }

    def fill(found: re.Match[str]) -> str:
        word, _, wanted = found[1].partition(": ")
        return _of_executor(executor, wanted) if word == "executor" else parts[word]

    source = re.sub(r"@([a-z][^@\n]*)@", fill, source_of("labctl_alone.in.c"))
    return Alone(
        name=name,
        source=source,
        lists=lists,
        acquisitions=tuple(order for order in orders if isinstance(order.task, Acquire)),
        dataset=dataset,
        data_dir=data_dir,
    )


def program_name(campaign: str, part: int, parts: int) -> str:
    """Return the name of a program: lower case letters, digits and ``_``; the part behind it if there are several."""
    plain = re.sub(r"[^a-z0-9]+", "_", campaign.lower()).strip("_") or "campaign"
    return f"lc_{plain}"[: MAX_NAME - 3].rstrip("_") + (f"_{part}" if parts > 1 else "")


def source_of(name: str) -> str:
    """Return a file that ships with this driver."""
    return resources.files("labctl_topspin").joinpath("au", name).read_text(encoding="utf-8")


def _data_dir(settings: Settings) -> str:
    """The folder of the datasets as the console sees it; empty where the lab file does not say it."""
    given = (settings.console_data_dir or settings.data_dir).replace("\\", "/")
    return str(safe_path(given, "data_dir", any_letter=False)) if _ABSOLUTE.match(given) else ""


# ----------------------------------------------------------------------------------------- what C is made from


def _text(value: str) -> str:
    """Return a C text constant of letters, digits, blanks and ``_ . + - : /``; raises InputError for anything else."""
    plain = safe_text(value, "text for an AU program")
    if len(plain) > MAX_TEXT:
        raise InputError(f"{plain[:40]!r}... is too long for an AU program", expected=f"at most {MAX_TEXT} characters")
    return f'"{plain}"'


def _path(value: str) -> str:
    """Return a path, already held to `safe_path`, as a C text constant; what could end it is refused once more."""
    if re.search(r'["\\\x00-\x1f\x7f-\uffff%?]', value):
        raise InputError(f"{value!r} cannot stand in an AU program", expected="a path of plain letters")
    return f'"{value}"'


def _number(value: float) -> str:
    """Return a C constant of type double."""
    if not math.isfinite(value):
        raise InputError(f"{value!r} is no number for an AU program")
    return repr(float(value))


def _remark(value: str) -> str:
    """Return text that may stand in a C comment: one line that does not end it."""
    return "".join(char if re.fullmatch(r"[\w .,:;+()/-]", char, re.ASCII) else "_" for char in value)


def heading(title: str, token: str) -> str:
    """Return the title of an acquisition without its token, as TopSpin can carry it."""
    plain = "".join(char if re.fullmatch(r"[A-Za-z0-9_.+\-:/ ]", char) else "_" for char in title)
    return plain.removesuffix(token).strip()[-MAX_TEXT:].strip()


def _constants(name: str, dataset: str, data_dir: str, settings: Settings, limits: Mapping[str, float]) -> str:
    ramp_max_K_per_min = limits["ramp_max_K_per_s"] * 60.0
    texts = {
        "PROGRAM": name,
        "CAMPAIGN_DATASET": dataset,
        "GUARD_DATASET": f"{dataset}-guard",
        "SCRATCH_DATASET": f"{dataset}-executor",
        "TEMPLATE_DATASET": settings.template_dataset,
        "HEATER_PARAMETER": settings.heater_parameter,
        "GAS_READBACK": settings.gas_readback,
        "SPINNING_READBACK": settings.spinning_readback,
        "HALT_COMMAND": settings.halt_command,
    }
    whole = {
        "FIRST_TEMPLATE": settings.templates.get("one_pulse", 1),
        "POLL_S": settings.guard_poll_s,
        "RAMP_POLL_S": settings.ramp_poll_s,
        "BLIND_S": round(settings.safe_after_s),
    }
    real = {
        "SENSOR_MIN_K": limits["sensor_min_K"],
        "SENSOR_MAX_K": limits["sensor_max_K"],
        "HEATER_MAX_PERCENT": limits["heater_max_percent"],
        "GAS_MIN_L_PER_H": limits["gas_min_L_per_h"],
        "RAMP_MAX_K_PER_MIN": ramp_max_K_per_min * (1.0 + 1e-9),  # K/s to K/min and back is not exact
        "SPINNING_MIN_HZ": float(settings.spinning_min_Hz),
        "SPINNING_TOLERANCE_HZ": limits["spinning_tolerance_Hz"],
        "SAFE_SETPOINT_K": SAFE_SETPOINT_K,
        "SAFE_RAMP_K_PER_MIN": min(SAFE_RAMP_K_PER_MIN, ramp_max_K_per_min),
    }
    lines = {key: _text(value) for key, value in texts.items()}
    lines |= {"DATA_DIR": _path(data_dir)}
    lines |= {key: str(int(value)) for key, value in whole.items()} | {
        key: _number(value) for key, value in real.items()
    }
    return "\n".join(f"#define {key} {value}" for key, value in lines.items())


# ------------------------------------------------------------------------------------------ the executor's code


def _of_executor(executor: str, wanted: str) -> str:
    """Return a section of the executor, without the functions named behind ``without``; or one function; verbatim."""
    if wanted == "defaults of a step":
        body = _function(executor, "read_step")
        return body[body.index("    strcpy(token,") : body.index("    f = fopen(path")].rstrip("\n")
    title, _, left_out = wanted.partition(", without ")
    pieces = _SECTION.split(executor)
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    if title not in sections:
        return _function(executor, title).rstrip("\n")
    text = sections[title]
    for name in left_out.split(", ") if left_out else ():
        text = text.replace(_function(executor, name), "")
    return text.strip("\n")


def _function(executor: str, name: str) -> str:
    """Return one function with the comment above it."""
    found = re.search(
        rf"(?:^/\*(?:(?!\*/).)*\*/\n)?^\w+ \*?{name}\([^;{{]*\)\n\{{\n.*?^\}}\n", executor, re.MULTILINE | re.DOTALL
    )
    assert found is not None, name
    return found[0]


def _variables(executor: str) -> Mapping[str, tuple[str, str]]:
    """Return by the key of a step file how the executor scans it, and the name of the variable that holds it."""
    return {key: (form, name) for key, form, name in _SCANNED.findall(_function(executor, "read_step"))}


# ------------------------------------------------------------------------------------------------- the campaign

_COUNTED = ("    int open;", "", "    open = 0;")


def _campaign(
    orders: Sequence[Order],
    settings: Settings,
    lists: dict[tuple[str, str], str],
    variables: Mapping[str, tuple[str, str]],
) -> str:
    visits = [
        tuple(group)
        for _, group in groupby(
            (order for order in orders if not isinstance(order.task, CoolDown)),
            key=lambda order: order.step_id.rpartition("/")[0],
        )
    ]
    cools = [order for order in orders if isinstance(order.task, CoolDown)]
    functions = []
    for number, visit in enumerate(visits, start=1):
        open_lines = [
            f'    open = open + wanted("{order.token[:8]}", {order.task.expno_slot});'
            for order in visit
            if isinstance(order.task, Acquire)
        ]
        functions.append(_c_function(f"visit_{number}_wanted", [*_COUNTED, *open_lines], "open"))
        lines = [line for order in visit for line in _step(order, settings, lists, variables)]
        functions.append(_c_function(f"visit_{number}", lines))
    count = range(1, len(visits) + 1)
    functions.append(
        _c_function("anything_wanted", [*_COUNTED, *(f"    open = open + visit_{n}_wanted();" for n in count)], "open")
    )
    functions.append(_c_function("check_templates", list(_templates(orders, settings))))
    walk = [line for n in count for line in _or_fail(f"visit_{n}_wanted() > 0 && visit_{n}() < 0")]
    for order in cools:
        walk += _step(order, settings, lists, variables)
    functions.append(_c_function("campaign", walk))
    return "\n\n".join(functions)


def _c_function(name: str, lines: Sequence[str], result: str = "0") -> str:
    return "\n".join([f"int {name}()", "{", *lines, f"    return {result};", "}"])


def _or_fail(condition: str) -> tuple[str, ...]:
    return (f"    if ({condition}) {{", "        return -1;", "    }")


def _templates(orders: Sequence[Order], settings: Settings) -> Iterator[str]:
    seen = set()
    for order in orders:
        if isinstance(order.task, Acquire):
            pairs = step_pairs(order, seq=0, settings=settings)
            wanted = (
                int(pairs["template_expno"]),
                _text(str(pairs["pulse_program"])),
                _text(str(pairs["nucleus"])),
                int(rows(order.task) > 0),
            )
            if wanted not in seen:
                seen.add(wanted)
                yield from _or_fail(f"template_fits({', '.join(map(str, wanted))}) < 0")


def _step(
    order: Order,
    settings: Settings,
    lists: dict[tuple[str, str], str],
    variables: Mapping[str, tuple[str, str]],
) -> Iterator[str]:
    pairs: dict[str, Any] = dict(step_pairs(order, seq=0, settings=settings))
    action = pairs.pop("action")
    for unused in ("seq", "token", "epoch", "title", "dataset", "expno"):
        pairs.pop(unused, None)
    if isinstance(order.task, Acquire):
        pairs |= _lists(order.task, lists)
    yield f"    step({_text(order.step_id)}, {_text(action)});"
    for key, value in pairs.items():
        form, name = variables[key]
        yield f"    {_assigned(form, name, value)}"
    match order.task:
        case Acquire() as task:
            yield f"    planned_s = {_number(task.duration_s)};"
            title = _text(heading(order.title, order.token))
            yield from _or_fail(f'acquisition("{order.token[:8]}", {task.expno_slot}, {title}) < 0')
        case AwaitStable():
            yield from _or_fail("settled() < 0")
        case _:
            yield from _or_fail("carry_out() < 0")
    yield ""


def _lists(task: Acquire, lists: dict[tuple[str, str], str]) -> dict[str, Value]:
    """Keep the list an acquisition needs under a name made from what is in it; return which parameter names it."""
    match task.experiment:
        case SaturationRecovery(delays_s=delays_s):
            folder, text = "vd", delay_list(delays_s)
        case Nutation(pulses_s=pulses_s):
            folder, text = "vp", pulse_list(pulses_s)
        case _:
            return {}
    name = f"labctl_{hashlib.sha256(text.encode('ascii')).hexdigest()[:8]}"
    lists[folder, name] = text
    return {f"{folder}_list": name}


def _assigned(form: str, name: str, value: Value) -> str:
    if form == "%d":
        return f"{name} = {int(value)};"
    if form == "%lf":
        return f"{name} = {_number(float(value))};"
    return f"strcpy({name}, {_text(str(value))});"

"""A proposal as an ordinary protocol: the author's, with other temperatures, mixing times, scans, rows and delays."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from labctl.design.model import Model
from labctl.design.proposal import Forecast

REPLACED = ("temperatures", "mixing_times", "visits", "increments", "scans", "order", "recycle_delay")
"""Keys of a `vt_exsy` that a proposal decides."""


def protocol_text(
    document: Mapping[str, Any], procedure: int, found: Forecast, model: Model, longest_delay_s: float, head: str
) -> str:
    """Return the YAML of `document` (plain data) with its `procedure` (counted from 0) as proposed.

    `head` goes in front, as comments.
    """
    proposed = _plain(document)
    block = proposed["procedures"][procedure]["vt_exsy"]
    temperatures = sorted({one.T_K for one in found.blocks})
    at = {
        T_K: sorted((one for one in found.blocks if one.T_K == T_K), key=lambda one: one.tmix_s) for T_K in temperatures
    }
    slowest_T1 = [one.recycle_delay_s / model.T1_s(one.T_K) for one in found.blocks]
    new = CommentedMap()
    for name, value in block.items():
        if name in {"design", "adapt"}:  # it has been answered; the result is a fixed plan
            continue
        if name not in REPLACED:
            new[name] = value
            continue
        if name == "temperatures":
            new[name] = _flow([celsius_text(T_K) for T_K in temperatures])
        elif name == "mixing_times":
            new[name] = _flow([time_text(one.tmix_s) for one in at[temperatures[0]]])
            new["visits"] = [
                _flow_map(
                    {
                        "mixing_times": _flow([time_text(one.tmix_s) for one in at[T_K]]),
                        "scans": _flow([one.scans for one in at[T_K]]),
                    }
                )
                for T_K in temperatures
            ]
        elif name == "increments":
            new[name] = found.blocks[0].rows
        elif name == "recycle_delay":
            factor = float(f"{max(slowest_T1):.3g}")
            new[name] = _flow_map({"times_T1": factor, "of": "slowest", "max": time_text(longest_delay_s)})
        elif name == "scans":
            new[name] = 8
        elif name == "order":
            new[name] = value
    proposed["procedures"][procedure]["vt_exsy"] = new
    return "".join(f"# {line}".rstrip() + "\n" for line in head.splitlines()) + yaml_text(proposed)


def yaml_text(document: Mapping[str, Any]) -> str:
    """Return plain data as YAML, short lists in one line."""
    writer = YAML()
    writer.width = 120
    writer.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    writer.dump(_plain(document), text)
    return text.getvalue()


def _plain(value: Any) -> Any:
    """A copy as mappings and lists that ruamel writes in block style, short lists in one line."""
    if isinstance(value, Mapping):
        return CommentedMap((name, _plain(one)) for name, one in value.items())
    if isinstance(value, (list, tuple)):
        items = [_plain(one) for one in value]
        return items if any(isinstance(one, (CommentedMap, list)) for one in items) else _flow(items)
    return value


def _flow(items: list[Any]) -> CommentedSeq:
    line = CommentedSeq(items)
    line.fa.set_flow_style()
    return line


def _flow_map(items: Mapping[str, Any]) -> CommentedMap:
    line = CommentedMap(items)
    line.fa.set_flow_style()
    return line


def time_text(seconds: float) -> str:
    """Return a time as an author writes it: ``500 ms``, ``1.5 s``."""
    return f"{seconds * 1000:.6g} ms" if seconds < 1 else f"{seconds:.6g} s"


def celsius_text(kelvin: float) -> str:
    """Return a temperature as an author writes it: ``20 degC``."""
    return f"{round(kelvin - 273.15, 6):g} degC"

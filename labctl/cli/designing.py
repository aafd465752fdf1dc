"""``labctl plan P --design``: what would reach the goal in the fewest hours, beside what the author wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labctl.cli.planning import Checked
    from labctl.design.ask import Question
    from labctl.design.proposal import Forecast
    from labctl.protocol.model import Protocol, VtExsy

_ASSUMED = """\
These are model estimates. They assume layered diffusion as stated under `analysis`, Lorentzian lines of the stated
widths that every 2D shares, white noise as stated, T1 as expected, and no drift. Inhomogeneous lines, another
geometry or a fourth site cost precision and can bias Ea: the results say whether the data object."""


def design_command(protocol_path: Path, lab_path: Path | None, out: Path | None, pilot: Path | None = None) -> None:
    """Print the proposal beside the author's own plan, and write it as a protocol.

    `pilot` is a folder of finished data that are taken instead of what the author believes.

    Raises
    ------
    InputError
        No `vt_exsy` with a `design` block, or one that leaves open what no pilot tells; the file to write is there
        already; the pilot holds nothing to plan by.
    """
    from labctl.cli.planning import checked
    from labctl.design.pilot import with_expected_T1
    from labctl.design.proposal import forecast, propose
    from labctl.design.written import protocol_text

    done = checked(protocol_path, lab_path)
    place, _ = _designed(done.protocol.model)
    target = out or protocol_path.with_name(f"{protocol_path.stem}.designed.yaml")
    if target.exists():
        raise InputError(f"{target} is there already", next_step="Move it away, or give another name with --out")
    told: list[str] = []
    if pilot is None:
        asked = _question(done, place)
    else:
        done, asked, told = _by_pilot(done, place, lab_path, pilot)
    goals = tuple(asked.goal.se)
    found = propose(asked.model, asked.belief, asked.goal, asked.choices, asked.costs, fitted=asked.fitted)
    own = forecast(asked.model, asked.belief, goals, asked.author, asked.costs, fitted=asked.fitted)
    lines = [*told, *_compared(asked, own, found), "", *_ASSUMED.splitlines()]
    document = done.protocol.located.data
    wanted = done.protocol.model.procedures[place].vt_exsy
    if wanted.t1 is not None and any(len(one) > 1 for one in (wanted.t1.expect_s or {}).values()):
        document = with_expected_T1(document, place, asked, sorted({block.T_K for block in found.blocks}))
    text = protocol_text(
        document,
        place,
        found,
        asked.model,
        wanted.recycle_delay.max_s,
        "\n".join([f"Proposed from {protocol_path.name}.", *lines]),
    )
    target.write_text(text, encoding="utf-8")
    print("\n".join(lines))
    print(f"\nwritten to {target}")
    planned_h = _hours_as_planned(target, lab_path)
    print(f"`labctl plan` reckons with {planned_h:.1f} h, all stations together")


def _question(done: Checked, place: int) -> Question:
    from labctl.design.ask import question

    procedure = done.protocol.model.procedures[place]
    wanted, name = procedure.vt_exsy, _name(done.protocol.model, place)
    steps = [step for step in done.plan.steps if step.station == wanted.station and step.id.split("/")[1] == name]
    sample = done.protocol.model.sample_of(procedure)
    nucleus = done.lab.model.station(wanted.station).nuclei[sample.nucleus or ""]
    return question(wanted, sample, nucleus.frequency_Hz / 1e6, steps)


def _by_pilot(done: Checked, place: int, lab_path: Path | None, folder: Path) -> tuple[Checked, Question, list[str]]:
    """Return protocol and question with what finished data say, and what was taken from them in words."""
    from labctl.analysis.pilot import read_pilot
    from labctl.cli.locating import lab_file
    from labctl.cli.planning import checked_text
    from labctl.design.pilot import filled, learnt, relaxed
    from labctl.design.written import yaml_text

    procedure = done.protocol.model.procedures[place]
    wanted, sample = procedure.vt_exsy, done.protocol.model.sample_of(procedure)
    assert wanted.analysis is not None
    assert wanted.design is not None
    layers = wanted.analysis.layers
    pilot = read_pilot(folder, {one: sample.sites[one] for one in layers}, layers, sample.nucleus or "")

    def again(document: Mapping[str, Any]) -> Checked:
        return checked_text(yaml_text(document), f"{done.protocol.located.file} with the pilot's values", lab)

    lab = lab_file(lab_path)
    document, taken = filled(done.protocol.located.data, place, wanted, pilot)
    done = again(document)
    asked = _question(done, place)
    if pilot.recoveries:
        done = again(relaxed(document, place, wanted, asked, pilot))
        asked = _question(done, place)
    asked, more = learnt(asked, pilot, wanted.design)
    taken = taken + more
    temperatures = ", ".join(f"{T_K - 273.15:.0f}" for T_K, _ in pilot.lines)
    lines = [f"taken from {folder}: {len(pilot.matrices)} 2Ds at {temperatures} °C"]
    lines += [f"  {one}" for one in taken.told]
    if taken.contradictions:
        lines.append("WARNING: what was written is contradicted by the data:")
        lines += [f"  {one}" for one in taken.contradictions]
    lines += [f"  left out: {one}" for one in pilot.left_out]
    lines.append("goal, budget, rows and candidates are the protocol's; the goal is to be reached by the new 2Ds alone")
    return done, asked, [*lines, ""]


def _designed(protocol: Protocol) -> tuple[int, VtExsy]:
    for place, procedure in enumerate(protocol.procedures):
        if procedure.exsy is not None and procedure.exsy.design is not None:
            return place, procedure.exsy
    raise InputError(
        "no vt_exsy of this protocol has a design block",
        expected="design: {goal: {Ea: 10 meV}, populations: ..., kD: ..., widths: ..., noise: 1 %}",
        next_step="See `design` in protocols/README.md",
    )


def _name(protocol: Protocol, place: int) -> str:
    """Name of a procedure in step ids."""
    wanted = protocol.procedures[place]
    before = [
        one
        for one in protocol.procedures[: place + 1]
        if one.name == wanted.name and one.wanted.station == wanted.wanted.station
    ]
    return wanted.name if len(before) == 1 else f"{wanted.name}.{len(before)}"


def _compared(asked: Question, own: Forecast, found: Forecast) -> list[str]:
    """Both campaigns in words and numbers."""
    rows = [["", "as written", "as proposed"], ["hours", f"{own.seconds / 3600:.0f}", f"{found.seconds / 3600:.1f}"]]
    rows.append(["2Ds", str(len(own.blocks)), str(len(found.blocks))])
    for name in asked.goal.se:
        rows.append([f"se {name}, meV", *(f"{1e3 * one.se[name]:.1f}" for one in (own, found))])
        spread = (one.se_range[name] for one in (own, found))
        rows.append(["  10 to 90 % of samples", *(f"{1e3 * low:.1f} to {1e3 * high:.1f}" for low, high in spread)])
        limits = (one.limited_by[name] for one in (own, found))
        rows.append(["  limited by", *("noise" if one is None else f"{one[0]} (x {one[1]:.2f})" for one in limits)])
    width = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join(cell.ljust(width[column]) for column, cell in enumerate(row)).rstrip() for row in rows]
    if not found.meets(asked.goal):
        missed = [name for name, limit in asked.goal.se.items() if found.se[name] > 1.0001 * limit]
        lines.append(f"not reached: {', '.join(missed)}; these data hardly tell of it, or the budget is too small")
    else:
        worst = max(own.se[name] / found.se[name] for name in asked.goal.se)
        saved = own.seconds * worst**2 / found.seconds
        lines.append(f"at equal standard error the plan as written would take {saved:.1f} times the hours")
    lines.append("")
    lines.append(f"{'sample, °C':>12}{'Tmix, s':>10}{'D1, s':>8}{'rows':>7}{'scans':>7}{'hours':>8}")
    lines += [
        f"{block.T_K - 273.15:>12.1f}{block.tmix_s:>10.3g}{block.recycle_delay_s:>8.1f}{block.rows:>7}"
        f"{block.scans:>7}{asked.costs.dataset_s(block) / 3600:>8.2f}"
        for block in found.blocks
    ]
    return lines


def _hours_as_planned(path: Path, lab_path: Path | None) -> float:
    from labctl.cli.planning import checked
    from labctl.plan.estimate import estimate

    return estimate(checked(path, lab_path).plan).expected_s / 3600

"""What ``labctl export --au`` leaves in its folder: programs, lists, the job folder, and three steps in a README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labctl.errors import InputError
from labctl.ports import Acquire, Order, Tune
from labctl.units import duration_text
from labctl_topspin._alone import Alone, program_name, source_of, standalone
from labctl_topspin._hand_over import refuse_unsafe
from labctl_topspin._job import FOLDERS
from labctl_topspin._settings import complete_limits, read_settings

GUARD = "labctl_guard"

_SIMULATED = "\n**Made for a simulated station: its limits are nobody's. Never use it on a real console.**\n"


def write_programs(
    *,
    station: str,
    campaign: str,
    parts: Sequence[tuple[str, Sequence[Order]]],
    settings: Mapping[str, Any],
    limits: Mapping[str, float],
    simulated: bool,
    notes: Sequence[str],
    into: Path,
) -> tuple[str, ...]:
    """Write a campaign as AU programs that need no labctl; shape: ``labctl.station.shapes.WritePrograms``.

    Raises
    ------
    InputError
        A setting or a name cannot be used.
    SafetyRefusal
        A limit that the guard needs is missing.
    InstrumentError
        An order asks for more than the limits allow.
    """
    checked = read_settings(settings, station=station)
    complete = complete_limits(limits, station=station, simulated=simulated)
    for _, orders in parts:
        for order in orders:
            refuse_unsafe(order, complete, station)
    programs = [
        (
            person,
            standalone(
                orders,
                name=program_name(campaign, number, len(parts)),
                dataset=campaign if len(parts) == 1 else f"{campaign}-{number}",  # samples are analysed apart
                about=(f"campaign {campaign}, station {station}", *((person,) if person else ()), *notes),
                settings=checked,
                limits=complete,
            ),
        )
        for number, (person, orders) in enumerate(parts, start=1)
    ]
    files = {f"au/{GUARD}": source_of(f"{GUARD}.c")}
    for _, program in programs:
        files[f"au/{program.name}"] = program.source
        files |= {f"lists/{folder}/{name}": text for (folder, name), text in program.lists.items()}
    for folder in FOLDERS:
        files[f"job/{folder}/README"] = "kept so that copying keeps this folder\n"
    tuning = any(
        isinstance(order.task, Tune) and order.task.mode == "operator" for _, orders in parts for order in orders
    )
    files["README.md"] = _readme(campaign, station, programs, notes, simulated=simulated, tuning=tuning)
    for name, text in files.items():
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except FileExistsError:
            raise InputError(f"{path} exists", next_step="Name another folder; nothing is overwritten") from None
    return tuple(
        f"{program.name}: {len(program.acquisitions)} acquisitions, {duration_text(_acquiring_s(program))} of acquiring"
        for _, program in programs
    )


def _acquiring_s(program: Alone) -> float:
    return sum(order.task.duration_s for order in program.acquisitions if isinstance(order.task, Acquire))


def _readme(
    campaign: str,
    station: str,
    programs: Sequence[tuple[str, Alone]],
    notes: Sequence[str],
    *,
    simulated: bool,
    tuning: bool,
) -> str:
    first = programs[0][1]
    commands = []
    for number, (person, program) in enumerate(programs, start=1):
        if len(programs) > 1:
            commands.append(f"Part {number}" + (f", after a person has done this: {person}" if person else "") + ":\n")
        commands.append(f"    xau {program.name} <job folder>\n    xau labctl_guard <job folder>\n")
    table = ["| EXPNO | step | TE | D1 | Tmix | scans | at about |", "|---|---|---|---|---|---|---|"]
    passed_s = 0.0
    for _, program in programs:
        for order in program.acquisitions:
            task = order.task
            assert isinstance(task, Acquire)
            tmix_s = getattr(task.experiment, "mixing_time_s", None)
            table.append(
                f"| {task.expno_slot + 1} | `{order.step_id}` | {task.setpoint_K:.1f} K | {task.recycle_delay_s:g} s | "
                f"{'' if tmix_s is None else duration_text(tmix_s)} | {task.scans} | {duration_text(passed_s)} |"
            )
            passed_s += task.duration_s
    names = " and ".join(f"`{program.dataset}`" for _, program in programs)
    data = f"Data go to {names} in " + (
        f"`{first.data_dir}`."
        if first.data_dir
        else "the folder of the dataset that is open in TopSpin when you type step 2."
    )
    return source_of("labctl_alone.README.md").format(
        campaign=campaign,
        station=station,
        warning=_SIMULATED * simulated,
        data=data,
        commands="\n".join(commands),
        tuning=", but for tuning: it asks for a person at each temperature" * tuning,
        datasets=names,
        analyze=" and ".join(f"`labctl analyze {program.dataset}`" for _, program in programs),
        program=first.name,
        acquisitions="\n".join(table),
        notes="\n".join(f"- {note}" for note in notes),
    )

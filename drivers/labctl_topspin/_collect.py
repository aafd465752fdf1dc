"""Raw data into the run folder, and what the instrument's own files say of them."""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path

from labctl.dataset.model import Completeness
from labctl.errors import ForeignDataError, InstrumentError
from labctl.formats.bruker_jcamp import Value
from labctl.ports import Acquire, Collected, Exsy, Nutation
from labctl_topspin._codec import Record, number
from labctl_topspin._evidence import DatasetView

Setting = float | int | str


def copy_tree(source: Path, target: Path, *, link: bool, station: str) -> tuple[Path, ...]:
    """Bring every file below `source` to `target` and return their paths below it.

    Each copy is compared with its source byte for byte before it gets its name. A file that is there already and
    equal is kept.

    Raises
    ------
    ForeignDataError
        A different file stands in the place of one; it was not touched.
    InstrumentError
        A copy differs from its source: something still writes there, or a disk fails.
    """
    names = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    for name in names:
        _bring(source / name, target / name, link=link, station=station)
    return tuple(names)


def _bring(source: Path, target: Path, *, link: bool, station: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        if source.samefile(target) or filecmp.cmp(source, target, shallow=False):
            return
        raise ForeignDataError(
            f"{target} is there and is not the same as {source}; neither was touched",
            instrument=station,
            next_step="Move the older one away, then resume",
        )
    if link:
        try:
            os.link(source, target)
        except OSError:
            pass  # another disk, or a file system without links
        else:
            return
    part = target.with_name(f"{target.name}.part")
    shutil.copy2(source, part)
    if not filecmp.cmp(source, part, shallow=False):
        part.unlink()
        raise InstrumentError(
            f"the copy of {source} differs from it",
            instrument=station,
            next_step="Something is still writing there, or a disk fails; it is tried again",
        )
    part.rename(target)


def collected(
    view: DatasetView, files: tuple[str, ...], task: Acquire, last: Record | None, *, spinning_readback_Hz: float | None
) -> Collected:
    """Return what was brought in, with the settings as the spectrometer wrote them (units in the keys).

    `last` is the executor's last record, with sensor and rate read just before and after; `spinning_readback_Hz`
    overrules MASR, which holds what was asked for (or a preset) unless it was read back.
    """
    rows = 0 if view.raw is None or view.raw.name == "fid" else view.rows_acquired()
    short = view.short_of(rows=rows and view.rows_asked(), scans=task.scans)
    completeness: Completeness = "complete"
    if view.raw is None:
        completeness = "failed"
    elif short or not view.whole or not view.ended:
        completeness = "partial"
    pairs = last.pairs if last is not None else {}
    audit = view.audit
    started_s = (audit.started_s if audit else None) or _status(view.acqus, "DATE_START") or 0.0
    ended_s = (audit.ended_s if audit else None) or _status(view.acqus, "DATE") or (last.time_s if last else 0.0)
    remarks = [f"ended early: {short}"] if short else []
    if audit is not None and audit.ended in {"halt", "stop"}:
        remarks.append(f"terminated by command {audit.ended}")
    if audit is not None and audit.raw_deleted:
        remarks.append("raw data of an earlier run in this EXPNO were deleted by zg")
    settings = _settings(view, task, rows)
    before_K, after_K = number(pairs, "te_before_K"), number(pairs, "te_after_K")
    settings |= {
        name: value
        for name, value in (
            ("sensor_before_K", before_K),
            ("sensor_after_K", after_K),
            ("spinning_before_Hz", number(pairs, "spinning_before_Hz")),
            ("spinning_after_Hz", number(pairs, "spinning_after_Hz")),
        )
        if value is not None and value >= 0.0
    }
    sensors = [float(value) for value in (before_K, after_K) if value is not None and value > 0.0]
    sensor_K = _status(view.acqus, "TE")
    if not 50.0 < sensor_K < 670.0:  # 673.2 K and the like stand for: no sensor
        sensor_K = sum(sensors) / len(sensors) if sensors else task.setpoint_K
        remarks.append(f"TE of acqus is no temperature; sensor_K is {'the mean around it' if sensors else 'as set'}")
    settings["sensor_K"] = sensor_K
    if len(sensors) == 2 and abs(sensors[1] - sensors[0]) > 1.0:
        remarks.append(f"the sensor moved by {sensors[1] - sensors[0]:+.2f} K during the acquisition")
    if spinning_readback_Hz is not None:
        settings["spinning_Hz"] = spinning_readback_Hz
    if settings.get("overflow"):
        remarks.append("the receiver overflowed")
    return Collected(
        files=files,
        completeness=completeness,
        started_s=float(started_s),
        ended_s=float(ended_s),
        settings=settings,
        remarks=tuple(remarks),
    )


def _settings(view: DatasetView, task: Acquire, rows: int) -> dict[str, Setting]:
    acqus, acqu2s = view.acqus, view.acqu2s
    found: dict[str, Setting | None] = {
        "pulse_program": _text(acqus, "PULPROG"),
        "nucleus": _text(acqus, "NUC1"),
        "scans": int(_status(acqus, "NS")),
        "dummy_scans": int(_status(acqus, "DS")),
        "points": int(_status(acqus, "TD")),
        "recycle_delay_s": _element(acqus, "D", 1),
        "spectral_width_Hz": _status(acqus, "SW_h"),
        "larmor_MHz": _status(acqus, "SFO1"),
        "receiver_gain": _status(acqus, "RG"),
        "pulse_s": _scaled(_element(acqus, "P", 1), 1e-6),
        "spinning_Hz": _status(acqus, "MASR"),
        "spinning_constant_Hz": _element(acqus, "CNST", 31),
        "setpoint_K": task.setpoint_K,
        "overflow": int(_status(acqus, "OVERFLW")),
        "sensor_raw_K": _status(acqus, "TE_RAW") or None,
        "uuid": _text(acqus, "UUID") or (view.audit.uuid if view.audit else None) or None,
        "instrument": _text(acqus, "INSTRUM") or None,
        "probe": _text(acqus, "PROBHD") or None,
        "topspin_version": view.audit.version if view.audit else None,
        "exp_status": int(_status(acqus, "ExpStatus")),
    }
    base_MHz = _status(acqus, "BF1")
    if base_MHz:
        found["carrier_ppm"] = _status(acqus, "O1") / base_MHz
    if rows:
        found["rows"] = view.rows_asked()
        found["rows_acquired"] = rows
        found["vd_list"] = _text(acqus, "VDLIST") or None
        found["vp_list"] = _text(acqus, "VPLIST") or None
    if isinstance(task.experiment, Exsy):
        width_Hz = _status(acqu2s, "SW_h")
        found["mixing_time_s"] = _element(acqus, "D", 8)
        found["increment_s"] = 1.0 / width_Hz if width_Hz else None
        found["spectral_width_F1_Hz"] = width_Hz
        found["fn_mode"] = int(_status(acqu2s, "FnMODE"))
    if isinstance(task.experiment, Nutation):
        found["recovery_s"] = task.experiment.recovery_s
    return {key: value for key, value in found.items() if value is not None and value != ""}


def _status(parameters: dict[str, Value], name: str) -> float:
    value = parameters.get(name, 0)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _text(parameters: dict[str, Value], name: str) -> str:
    value = parameters.get(name, "")
    return value if isinstance(value, str) else str(value)


def _element(parameters: dict[str, Value], name: str, index: int) -> float | None:
    values = parameters.get(name)
    if not isinstance(values, list) or len(values) <= index:
        return None
    value = values[index]
    return float(value) if isinstance(value, (int, float)) else None


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor

"""Looking at a channel before a campaign: reads only, nothing is set or started."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from labctl.ports import Check, CycleCell, Errand
from labctl_maccor import _codec as codec
from labctl_maccor._codec import FREE, RUNS, Capability, Channel, ChannelStatus, Stat, TesterVersion
from labctl_maccor._link import Link
from labctl_maccor._tester import Tester

_SPARE = 1.2
_CLOCK_WARNING_S = 120.0
_HALF_HOUR_S = 1800.0


def maccor_checks(
    errand: Errand, *, tester: Tester, channel: Channel, link: Link, limits: Mapping[str, float], now_s: float
) -> Iterator[Check]:
    """Yield what speaks for and against; may raise `InstrumentError` when the tester does not answer."""
    count = tester.channels()
    if not 1 <= channel.number <= count:
        yield Check(
            verdict="refuse",
            what="the tester does not have this channel",
            value=str(channel.number),
            expected=f"settings.channel from 1 to {count}",
        )
        return
    status, name, able = tester.status(channel), tester.test_name(channel), tester.capability(channel)
    yield Check(verdict="ok", what="the tester answers", value=f"{count} channels")
    yield _version(tester.version())
    yield _free(channel, status, name)
    yield from _spans(able, limits)
    yield from _cells(errand, able, limits)
    yield from _clock(status, now_s)
    for what, folder in (("procedures", link.procedures_dir), ("exports", link.export_dir)):
        yield _folder(what, folder, errand.disk_bytes if what == "exports" else 0, writable=what == "procedures")


def _version(version: TesterVersion) -> Check:
    """The vendor wants program and library of one version."""
    told = [".".join(map(str, one)) for one in (version.program, version.library)]
    agree = version.program == version.library
    return Check(
        verdict="ok" if agree else "warning",
        what="MacTest32 and its library are of one version" if agree else "MacTest32 and its library differ in version",
        value=told[0] if agree else f"program {told[0]}, library {told[1]}",
        next_step="" if agree else "Install both from one release of the vendor's before weeks of cycling rest on them",
    )


def _free(channel: Channel, status: ChannelStatus, name: str) -> Check:
    if status.stat in FREE:
        return Check(verdict="ok", what=f"{channel} is free", value=status.words)
    if status.stat is Stat.COMPLETED and codec.is_ours(name):
        return Check(verdict="ok", what=f"{channel} holds a finished test of labctl", value=name)
    runs = status.stat in RUNS or status.stat is Stat.SUSPENDED
    return Check(
        verdict="refuse",
        what=f"{channel} is not free",
        value=f"{name or 'no test'}: {status.words}",
        next_step="Resume the campaign that runs it"
        if runs and codec.is_ours(name)
        else "Finish and archive the test at the tester, or name another channel; nothing was touched",
    )


def _spans(able: Capability, limits: Mapping[str, float]) -> Iterator[Check]:
    """A limit of the lab file that lies outside what the channel can do protects nobody."""
    low_V, high_V = limits.get("voltage_min_V", -math.inf), limits.get("voltage_max_V", math.inf)
    highest_A = min(max(able.ranges_A), max(able.discharge_ranges_A))
    outside = low_V < able.voltage_min_V or high_V > able.voltage_max_V or limits.get("current_max_A", 0.0) > highest_A
    yield Check(
        verdict="warning" if outside else "ok",
        what="the lab file's limits are wider than the channel"
        if outside
        else "the channel covers the lab file's limits",
        value=f"channel {able.voltage_min_V:g} to {able.voltage_max_V:g} V, {highest_A:g} A",
        expected=f"{low_V:g} to {high_V:g} V, {limits.get('current_max_A', math.inf):g} A" if outside else "",
    )


def _cells(errand: Errand, able: Capability, limits: Mapping[str, float]) -> Iterator[Check]:
    highest_A = min(max(able.ranges_A), max(able.discharge_ranges_A), limits.get("current_max_A", math.inf))
    low_V = max(able.voltage_min_V, limits.get("voltage_min_V", -math.inf))
    high_V = min(able.voltage_max_V, limits.get("voltage_max_V", math.inf))
    for task in errand.tasks:
        if not isinstance(task, CycleCell):
            continue
        wanted_A = max(task.current_A, task.discharge_current_A)
        lowest_V = min(task.discharge_to_V, task.charge_below_V)
        faults = []
        if wanted_A > highest_A:
            faults.append(f"{wanted_A:g} A, at most {highest_A:g} A")
        if task.charge_above_V > high_V:
            faults.append(f"charging guard {task.charge_above_V:g} V, at most {high_V:g} V")
        if lowest_V < low_V:
            faults.append(f"lower guard {lowest_V:g} V, at least {low_V:g} V")
        yield Check(
            verdict="refuse" if faults else "ok",
            what=f"cell {task.cell} against channel and limits",
            value="; ".join(faults) or f"{wanted_A:g} A, {lowest_V:g} to {task.charge_above_V:g} V",
            next_step="Lower current or guards, or name another channel" if faults else "",
        )


def _clock(status: ChannelStatus, now_s: float) -> Iterator[Check]:
    """The tester's clock shows local time without a zone: whole and half hours may be its zone, the rest is not."""
    if status.tester_time is None:
        return
    ahead_s = status.tester_time.replace(tzinfo=UTC).timestamp() - now_s
    off_s = (ahead_s + 0.5 * _HALF_HOUR_S) % _HALF_HOUR_S - 0.5 * _HALF_HOUR_S
    doubtful = abs(off_s) > _CLOCK_WARNING_S
    shown = datetime.fromtimestamp(now_s, UTC)
    yield Check(
        verdict="warning" if doubtful else "ok",
        what="the tester's clock",
        value=f"{status.tester_time:%H:%M:%S}, here {shown:%H:%M:%S} UTC: {round(off_s):+d} s beside its time zone",
        expected=f"within {_CLOCK_WARNING_S:g} s" if doubtful else "",
        next_step="Set it by a time server; times of cycles are taken from the test's own clock" if doubtful else "",
    )


def _folder(what: str, folder: Path, needed: int, *, writable: bool) -> Check:
    if not folder.is_dir() or (writable and not os.access(folder, os.W_OK)):
        return Check(
            verdict="refuse",
            what=f"the tester's folder for {what} {'cannot be written to' if folder.is_dir() else 'is not there'}",
            value=str(folder),
            next_step="Mount the share, or correct the lab file",
        )
    free = shutil.disk_usage(folder).free
    enough = free >= _SPARE * needed
    return Check(
        verdict="ok" if enough else "refuse",
        what=f"the tester's folder for {what}",
        value=f"{folder}, {free / 1e9:.1f} GB free",
        expected="" if enough else f"{_SPARE * needed / 1e9:.1f} GB for the campaign",
    )

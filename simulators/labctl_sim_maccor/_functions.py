"""MacNet's functions: checked parameters in, reply fields out, whichever port they came by (vendor's MacNet reference).

Channels count from 0 here, as on the wire. `Result` is a number here; the JSON port tells it as text.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from labctl_sim_maccor._channel import Channel
from labctl_sim_maccor._codes import CHECK_TEXT, START_TEXT, Doing, Stat
from labctl_sim_maccor._ends import AMBIENT_CELSIUS
from labctl_sim_maccor._procedure import TICK_s
from labctl_sim_maccor._progress import Limits
from labctl_sim_maccor._tester import Start, Tester

Reply = dict[str, Any]
_MANY = 128
_ALL_SELECTED = 65535
_DIRECT_GAP_s = 0.1
_FOLDERS = {1: "active_dir", 2: "archive_dir", 3: "procedures_dir"}
_RANGES = {"IR4Chg": 5.0, "IR3Chg": 0.15, "IR2Chg": 5e-3, "IR1Chg": 150e-6}


class Refusal(Exception):
    """A request that is no proper call; `code` and text of JSON-RPC."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def single(value: float) -> float:
    """Return a number as the tester keeps it: an IEEE single, widened."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


class Functions:
    """The calls of one connection's worth of clients on one tester."""

    def __init__(self, tester: Tester) -> None:
        self._tester = tester
        self._logged_in = False
        self._listing: list[tuple[str, int, float]] = []
        self.last_error = ""

    def call(self, fclass: int, fnum: int, params: Mapping[str, Any]) -> Reply:
        """Return the data of a reply.

        Raises
        ------
        Refusal
            There is no such function, a parameter is missing or cannot be, or somebody has to log in first.
        """
        if fclass not in {1, 2, 3, 4, 5, 6, 7, 8}:
            raise Refusal(-32602, "Invalid FClass")
        function = _FUNCTIONS.get((fclass, fnum))
        if function is None:
            raise Refusal(-32602, "Invalid FNum")
        wanted = bool(self._tester.settings.user) or bool(self._tester.active("login_needed"))
        if wanted and not self._logged_in and fclass != 8:
            raise Refusal(-32000, "MacNet error: user is not logged in")
        return function(self, params)

    # ----------------------------------------------------------------------------------- parameters

    def _channel(self, params: Mapping[str, Any]) -> Channel:
        index = self._whole(params, "Chan")
        if not 0 <= index < len(self._tester.channels):
            raise Refusal(-32602, "Illegal value: Chan")
        return self._tester.channels[index]

    def _some(self, params: Mapping[str, Any]) -> list[Channel]:
        # pymacnet asks for all channels from -1 on, and has done so of real testers: they must take it for the first
        from_ = 0 if params.get("Chan") == -1 else params.get("Chan")
        first = self._channel({"Chan": from_}).index
        count = self._whole(params, "Len")
        if not 1 <= count <= _MANY:
            raise Refusal(-32602, "Illegal value: Len")
        return self._tester.channels[first : first + count]

    @staticmethod
    def _whole(params: Mapping[str, Any], key: str, default: int | None = None) -> int:
        value = params.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refusal(-32602, f"Invalid params: {key}")
        return value

    @staticmethod
    def _number(params: Mapping[str, Any], key: str, default: float | None = None) -> float:
        value = params.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e30:
            raise Refusal(-32602, f"Invalid params: {key}")
        return float(value)

    @staticmethod
    def _text(params: Mapping[str, Any], key: str, default: str | None = None) -> str:
        value = params.get(key, default)
        if not isinstance(value, str) or len(value) > 250:
            raise Refusal(-32602, f"Invalid params: {key}")
        return value.strip()

    # -------------------------------------------------------------------------------- 1: the system

    def version(self, _: Mapping[str, Any]) -> Reply:
        built = "2026-01-05T09:00:00"
        parts = {
            f"MacTest32{kind}version{part}": value
            for kind in ("EXE", "DLL")
            for part, value in (("Major", 2), ("Minor", 7), ("Build", 1))
        }
        return {"APIVersion": 2, **parts, "MacTest32ExeDT": built, "MacTest32DLLDT": built}

    def system(self, _: Mapping[str, Any]) -> Reply:
        settings = self._tester.settings
        return {
            "SystemID": settings.system_id,
            "SystemType": settings.system_type,
            "ControllerBoards": (settings.channels + 7) // 8,
            "TestChannels": settings.channels,
            "AuxBoards": 1,
            "AuxChannels": settings.channels,
            "SMB1Pos": 0,
            "SMB3Pos": 0,
        }

    def procedure_exists(self, params: Mapping[str, Any]) -> Reply:
        name = self._text(params, "ProcName")
        found = self._tester.procedure_file(name) is not None
        return {"ProcName": name, "ProcedurExists": "TRUE" if found else "FALSE"}

    def test_archived(self, params: Mapping[str, Any]) -> Reply:
        name = self._text(params, "TestName")
        found = any(path.stem == name for path in self._tester.archive_dir.iterdir())
        return {"TestName": name, "TestNameExists": "TRUE" if found else "FALSE"}

    def list_files(self, params: Mapping[str, Any]) -> Reply:
        kind, command = self._whole(params, "FileType"), self._whole(params, "Command")
        if kind not in range(1, 8) or command not in {0, 1}:
            raise Refusal(-32602, "Illegal value")
        if command == 0:
            folder = getattr(self._tester, _FOLDERS[kind]) if kind in _FOLDERS else None
            found = sorted(folder.iterdir()) if folder is not None else []
            self._listing = [(p.name, p.stat().st_size, p.stat().st_mtime) for p in found if p.is_file()]
            self._listed = 0
            return {"NumberOfFiles": len(self._listing)}
        if self._listed >= len(self._listing):
            return {"Index": -1, "FileDate": "", "Size": 0, "FileName": ""}
        name, size, _ = self._listing[self._listed]
        self._listed += 1
        return {
            "Index": self._listed - 1,
            "FileDate": f"{self._tester.shown_time():%Y-%m-%dT%H:%M:%S}",
            "Size": size,
            "FileName": name,
        }

    _listed = 0

    # --------------------------------------------------------------------------- 3 and 4: reading

    def channel_limits(self, params: Mapping[str, Any]) -> Reply:
        self._channel(params)
        settings = self._tester.settings
        charge = {key: min(value, settings.most_A) for key, value in _RANGES.items()}
        return {
            "TickSpeed": single(TICK_s),
            "Vmax": single(settings.most_V),
            "Vmin": 0.0,
            "VSafeMax": single(settings.most_V),
            "VSafeMin": single(-settings.most_V),
            **{key: single(value) for key, value in charge.items()},
            **{key.replace("Chg", "Dis"): single(value) for key, value in charge.items()},
            "ISafeChg": single(settings.most_A),
            "ISafeDis": single(settings.most_A),
            **dict.fromkeys(("PBatSafeChg", "PBatSafeDis", "PChanSafeChg", "PChanSafeDis"), 50.0),
            "PSVChg": 12.0,
            "PSVDis": -2.0,
        }

    def calibrated(self, params: Mapping[str, Any]) -> Reply:
        self._channel(params)
        names = ["VChg", "VDis", *(f"I{way}R{number}" for number in (4, 3, 2, 1) for way in ("Chg", "Dis"))]
        return dict.fromkeys(names, "2026-02-02T10:00:00")

    def status_of_many(self, params: Mapping[str, Any]) -> Reply:
        return {
            "Status": [
                {"RF1": self._doing(channel), "RF2": int(channel.why), "Stat": int(self._tester.shown_stat(channel))}
                for channel in self._some(params)
            ]
        }

    def voltages(self, params: Mapping[str, Any]) -> Reply:
        now_s = self._tester.now_s()
        return {"Voltage": [single(channel.reading(now_s).volts) for channel in self._some(params)]}

    def currents(self, params: Mapping[str, Any]) -> Reply:
        now_s = self._tester.now_s()
        return {"Current": [self._shown_A(channel.reading(now_s).amps) for channel in self._some(params)]}

    def aux(self, params: Mapping[str, Any]) -> Reply:
        self._channel(params)
        return {"Len": 1, "AuxValues": [single(AMBIENT_CELSIUS)]}

    def aux_units(self, params: Mapping[str, Any]) -> Reply:
        self._channel(params)
        return {"Len": 1, "AuxUnit": ["C"]}

    def names(self, params: Mapping[str, Any]) -> Reply:
        test = self._channel(params).test
        return {"TestName": "", "ProcName": ""} if test is None else {
            "TestName": test.test_name, "ProcName": test.proc_name
        }  # fmt: skip

    def names_and_comments(self, params: Mapping[str, Any]) -> Reply:
        """Return what the binary port tells beside the names."""
        test = self._channel(params).test
        return {
            **self.names(params),
            "Comment": "" if test is None else test.comment,
            "Description": "" if test is None else test.description,
        }

    def everything(self, params: Mapping[str, Any]) -> Reply:
        channel = self._channel(params)
        test, moment = channel.test, channel.reading(self._tester.now_s())
        return {
            "RF1": self._doing(channel),
            "RF2": int(channel.why),
            "Stat": int(self._tester.shown_stat(channel)),
            "LastRecNum": 0 if test is None else test.records,
            "Cycle": 0 if test is None else test.cycle,
            "Step": 0 if test is None else test.step,
            "TestTime": single(moment.ticks * TICK_s),
            "StepTime": 0.0 if test is None else single((moment.ticks - test.step_began) * TICK_s),
            "Capacity": single(0.0 if channel.doing == Doing.REST else moment.capacity_Ah),
            "Energy": single(0.0 if channel.doing == Doing.REST else moment.energy_Wh),
            "Current": self._shown_A(moment.amps),
            "Voltage": single(moment.volts),
            "TesterTime": f"{self._tester.shown_time():%Y-%m-%dT%H:%M:%S}",
        }

    def variables(self, params: Mapping[str, Any]) -> Reply:
        test = self._channel(params).test
        values = [0.0] * 15 if test is None else [single(value) for value in test.variables]
        return {"GlobFlags": f"0x{self._tester.flags:08X}", "VARs": values}

    def test_times(self, params: Mapping[str, Any]) -> Reply:
        now_s = self._tester.now_s()
        return {"TestTimes": [single(channel.reading(now_s).ticks * TICK_s) for channel in self._some(params)]}

    def end_status(self, params: Mapping[str, Any]) -> Reply:
        channel = self._channel(params)
        test = channel.test
        if test is None or channel.stat != Stat.COMPLETED:
            return {"NumOfEnds": 0, "EndNum": 0}
        return {"NumOfEnds": test.ends, "EndNum": test.end_reached}

    def _doing(self, channel: Channel) -> int:
        return int(channel.doing)

    def _shown_A(self, amps: float) -> float:
        return single(abs(amps) if self._tester.settings.current_sign == "magnitude" else amps)

    # ------------------------------------------------------------------------------ 5 and 6: acting

    def global_flags(self, params: Mapping[str, Any]) -> Reply:
        given = params.get("GlobFlags")
        try:
            self._tester.flags = int(given, 16) & 0xFFFFFFFF if isinstance(given, str) else int(given or 0)
        except (TypeError, ValueError):
            raise Refusal(-32602, "Invalid params: GlobFlags") from None
        return {"New GlobFlags": f"0x{self._tester.flags:08X}"}

    def select(self, params: Mapping[str, Any]) -> Reply:
        chosen = params.get("Chans")
        if not isinstance(chosen, list) or not all(type(index) is int for index in chosen):
            raise Refusal(-32602, "Invalid params: Chans")
        if not all(0 <= index < len(self._tester.channels) for index in chosen):
            raise Refusal(-32602, "Illegal value: Chans")
        free = [index for index in chosen if self._tester.channels[index].stat == Stat.AVAILABLE]
        self._tester.selected = sorted({*self._tester.selected, *free})
        return _result(0 if free == chosen else 1)

    def start(self, params: Mapping[str, Any]) -> Reply:
        indices = [params.get("Chan")]
        if indices == [_ALL_SELECTED]:
            indices = list(self._tester.selected)
            if not indices:
                return _result(24, START_TEXT)
        for index in indices:
            code, text = self._tester.start(self._start(params, index))
            if code:
                self.last_error = text or START_TEXT.get(code, "Error")
                return _result(code, START_TEXT, text)
        return _result(0)

    def check_start(self, params: Mapping[str, Any]) -> Reply:
        code, text = self._tester.check(self._start(params, params.get("Chan")))
        self.last_error = text or CHECK_TEXT[code]
        return _result(code, CHECK_TEXT, text)

    def _start(self, params: Mapping[str, Any], index: object) -> Start:
        return Start(
            channel=self._channel({"Chan": index}).index,
            test_name=self._text(params, "TestName"),
            proc_name=self._text(params, "ProcName"),
            comment=self._text(params, "Comment", ""),
            crate_Ah=self._number(params, "Crate", 1.0),
            chamber=self._whole(params, "ChamberNum", 0),
            mass_g=self._number(params, "Mass", 1.0),
        )

    def suspend(self, params: Mapping[str, Any]) -> Reply:
        channel = self._channel(params)
        if channel.stat != Stat.ACTIVE:
            return _result(15, {15: "Channel is not active"})
        channel.suspend(self._tester.now_s())
        return _result(0)

    def resume(self, params: Mapping[str, Any]) -> Reply:
        channel = self._channel(params)
        if channel.stat != Stat.SUSPENDED:
            return _result(17, {17: "Channel is not suspended"})
        channel.resume(self._tester.now_s())
        return _result(0)

    def reset(self, params: Mapping[str, Any]) -> Reply:
        self._tester.reset(self._channel(params).index)
        return _result(0)

    def archive(self, params: Mapping[str, Any]) -> Reply:
        done = self._tester.archive(self._channel(params).index)
        return _result(0 if done else 1, {1: "Test is not complete"})

    def start_direct(self, params: Mapping[str, Any]) -> Reply:
        for key in ("Current", "Voltage", "Power", "Resistance", "DataV", "DataI"):
            self._number(params, key, 0.0)
        code = self._tester.start_direct(
            self._channel(params).index, self._text(params, "TestName"), self._number(params, "DataTime", 60.0)
        )
        texts = {1: "Wrong system type", 2: "Channel not available", 3: "Cannot create pseudo procedure"}
        return _result(code, texts)

    def set_direct(self, params: Mapping[str, Any]) -> Reply:
        channel = self._channel(params)
        now_s, test = self._tester.now_s(), channel.test
        mode = params.get("ChMode")
        if mode not in {"C", "D", "R"}:
            raise Refusal(-32602, "Illegal value: ChMode")
        texts = {1: "Wrong system type", 2: "Channel not active", 3: "Commands too fast", 4: "Direct mode not active"}
        texts[5] = "Direct mode not ready"
        if channel.stat == Stat.STARTING:
            return _result(5, texts)
        if channel.stat != Stat.ACTIVE or test is None:
            return _result(2, texts)
        if not test.direct:
            return _result(4, texts)
        if now_s - test.direct_at_s < _DIRECT_GAP_s - 1e-6:
            return _result(3, texts)
        amps = abs(self._number(params, "Current"))
        if amps > self._tester.settings.most_A:
            raise Refusal(-32602, "Illegal value: Current")
        channel.drive_directly({"C": amps, "D": -amps, "R": 0.0}[str(mode)], now_s)
        return _result(0)

    def set_variable(self, params: Mapping[str, Any]) -> Reply:
        channel = self._channel(params)
        number, value = self._whole(params, "VarNum"), self._number(params, "Value")
        if not 1 <= number <= 15:
            raise Refusal(-32602, "Illegal value: VarNum")
        if channel.test is None:
            return _result(2, {2: "Channel is not active"})
        channel.test.variables[number - 1] = single(value)
        channel.variable_changed(self._tester.now_s())
        return _result(0)

    def set_safety(self, params: Mapping[str, Any]) -> Reply:
        channel = self._channel(params)
        given = {key: self._number(params, key) for key in Limits.__dataclass_fields__}
        for fault in self._tester.active("limits_clamped", channel.index):
            given["VSafeMax"] = min(given["VSafeMax"], fault.by)
        channel.limits = Limits(**{key: single(value) for key, value in given.items()})
        return asdict(channel.limits)

    # ------------------------------------------------------------------------------------ 8: login

    def log_in(self, params: Mapping[str, Any]) -> Reply:
        settings = self._tester.settings
        known = (settings.user, settings.password)
        self._logged_in = (self._text(params, "UserID"), self._text(params, "Password")) == known
        return {"Result": "PASSED" if self._logged_in else "FAILED"}

    def log_out(self, _: Mapping[str, Any]) -> Reply:
        self._logged_in = False
        return {"Result": "LOGGED OUT"}


def _result(code: int, texts: Mapping[int, str] | None = None, text: str = "") -> Reply:
    return {"Result": text or ("OK" if code == 0 else (texts or {}).get(code, "Error")), "_code": code}


_FUNCTIONS: dict[tuple[int, int], Callable[[Functions, Mapping[str, Any]], Reply]] = {
    (1, 1): Functions.version,
    (1, 2): Functions.system,
    (1, 3): Functions.procedure_exists,
    (1, 4): Functions.test_archived,
    (1, 5): Functions.list_files,
    (3, 1): Functions.channel_limits,
    (3, 2): Functions.calibrated,
    (4, 1): Functions.status_of_many,
    (4, 2): Functions.voltages,
    (4, 3): Functions.currents,
    (4, 4): Functions.aux,
    (4, 5): Functions.aux_units,
    (4, 6): Functions.names,
    (4, 7): Functions.everything,
    (4, 8): Functions.variables,
    (4, 9): Functions.test_times,
    (4, 10): Functions.end_status,
    (5, 1): Functions.global_flags,
    (6, 1): Functions.select,
    (6, 2): Functions.start,
    (6, 3): Functions.suspend,
    (6, 4): Functions.resume,
    (6, 5): Functions.reset,
    (6, 6): Functions.archive,
    (6, 7): Functions.start_direct,
    (6, 8): Functions.set_direct,
    (6, 9): Functions.set_variable,
    (6, 10): Functions.set_safety,
    (6, 11): Functions.check_start,
    (8, 1): Functions.log_in,
    (8, 2): Functions.log_out,
}

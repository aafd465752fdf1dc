"""Procedures: a tree of commands with parameters and signals, run once, as the SDK shows them.

What experience with the real ones says: Measure returns at once and is asked by IsMeasuring; a procedure that has run
is inert; there is no field for status, result or error; commands are found by name or id, never by number; what was
recorded is read from Signals afterwards, the values in ValueAsObject.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl_sim_autolab._net import EI, NetObject, SdkError, member, named
from labctl_sim_autolab._nox import read_note, write_nox
from labctl_sim_autolab._ranges import ACCEPTED, FULL_SCALE_A, corner_Hz
from labctl_sim_autolab._signals import periods_of

if TYPE_CHECKING:
    from labctl_sim_autolab._device import Potentiostat

MEASURE_s = 0.2
_SETTLE_s = 0.5
_SPECTRUM = (("Index", ""), ("Frequency", "Hz"), ("Z'", "Ω"), ("-Z''", "Ω"), ("Z", "Ω"), ("-Phase", "°"), ("Time", "s"))
_DIRECT = (("Potential (DC)", "V"), ("Current (DC)", "A"))

Plain = dict[str, Any]
"""A command as data: name, id, parameters {id: [name, kind, value]}."""


def impedance_procedure(frequencies_Hz: Sequence[float]) -> Plain:
    """Return FRA impedance potentiostatic as an author makes it: one command for each frequency."""

    def command(name: str, idname: str, *parameters: tuple[str, str, str, Any]) -> Plain:
        return {"name": name, "id": idname, "parameters": {p[0]: [p[1], p[2], p[3]] for p in parameters}}

    points = [
        command(
            "FRA single frequency",
            "FIAMeasurement",
            ("DsgFrequency", "Frequency", "Double", frequency_Hz),
            ("IntegrationTime", "Minimum integration time", "Double", 0.125),
            ("IntegrationCycle", "Minimum number of cycles", "Int", 1),
        )
        for frequency_Hz in frequencies_Hz
    ]
    return {
        "name": "FRA impedance potentiostatic",
        "commands": [
            command("FRA impedance potentiostatic", "ExtendedSequence"),
            command(
                "Autolab control",
                "FHGetSetValues",
                ("EI_0.Mode", "WE(1).Mode", "Mode", "Potentiostatic"),
                ("EI_0.Bandwidth", "WE(1).Bandwidth", "Bandwidth", "High_Stability"),
                ("EI_0.CurrentRange", "WE(1).Current range", "CurrentRange", "CR10_1mA"),
            ),
            command("Set potential", "FHSetSetpointPotential", ("Setpoint value", "Setpoint value", "Double", 0.0)),
            command("Set cell", "FHSwitchCell", ("EI_0.Cell", "Cell", "OnOff", "On")),
            command("Wait time (s)", "FHWait", ("Time", "Time", "Double", 5.0)),
            command(
                "FRA measurement potentiostatic",
                "FIAMeasPotentiostatic",
                ("Amplitude", "Amplitude", "Double", 0.01),
            ),
            command("FRA frequency scan", "FIAScan"),
            *points,
            command("Nyquist -Z'' vs. Z'", "PlotsNyquist"),
            command("Set cell", "FHSwitchCell", ("EI_0.Cell", "Cell", "OnOff", "Off")),
        ],
        "recorded": {},
    }


_ENUMS: dict[str, type[Any]] = {
    "Mode": EI.EIMode,
    "Bandwidth": EI.EIBandwidth,
    "CurrentRange": EI.EICurrentRange,
    "OnOff": EI.EICellOnOff,
}


class CommandParameter(NetObject):
    """One parameter or signal; which one it is stands in the list it comes from."""

    def __init__(self, kind: str, value: Any, store: Any = None) -> None:
        self._kind = kind
        self._value = value
        self._store = store

    @property
    def Value(self) -> Any:
        """As ValueAsObject."""
        return self.ValueAsObject

    @Value.setter
    def Value(self, value: Any) -> None:
        self._set(value)

    @property
    def ValueAsObject(self) -> Any:
        if self._kind in _ENUMS:
            return named(_ENUMS[self._kind], self._value)
        return list(self._value) if isinstance(self._value, (list, tuple)) else self._value

    @ValueAsObject.setter
    def ValueAsObject(self, value: Any) -> None:
        self._set(value)

    def _set(self, value: Any) -> None:
        if self._store is None:
            raise AttributeError("property 'ValueAsObject' of 'CommandParameterSignal' object is read-only")
        if self._kind in _ENUMS:
            self._value = str(member(_ENUMS[self._kind], value))
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"'{type(value).__name__}' value cannot be converted to System.{self._kind}")
        else:
            self._value = int(value) if self._kind == "Int" else float(value)
        self._store[2] = self._value


class NamedList(NetObject):
    """A list of the SDK: by name or by id; iterated; not by number."""

    def __init__(self, entries: Sequence[tuple[str, str, Any]]) -> None:
        self._entries = entries

    @property
    def Names(self) -> list[str]:
        return [name for name, _, _ in self._entries]

    @property
    def IdNames(self) -> list[str]:
        return [idname for _, idname, _ in self._entries]

    def Contains(self, name: str) -> bool:
        """Whether there is one of that name."""
        return name in self.Names

    def ContainsId(self, idname: str) -> bool:
        """Whether there is one of that id."""
        return idname in self.IdNames

    def __iter__(self) -> Iterator[Any]:
        return iter([entry for _, _, entry in self._entries])

    def __getitem__(self, key: str) -> Any:
        if not isinstance(key, str):
            raise TypeError(f"No method matches given arguments for get_Item: (<class '{type(key).__name__}'>)")
        for name, idname, entry in self._entries:
            if key in {name, idname}:
                return entry
        raise KeyError(f"The given key was not present in the dictionary: {key}")


class Command(NetObject):
    """One command; it does not know its own name."""

    def __init__(self, plain: Plain, signals: Plain) -> None:
        self._plain = plain
        self._signals = signals

    @property
    def CommandParameters(self) -> NamedList:
        items = self._plain["parameters"].items()
        return NamedList([(entry[0], idname, CommandParameter(entry[1], entry[2], entry)) for idname, entry in items])

    @property
    def Signals(self) -> NamedList:
        """What it has recorded."""
        return NamedList(
            [(name, name, CommandParameter("DoubleList", values)) for name, (_, values) in self._signals.items()]
        )


class FiaMeasurement(NetObject):
    """The last point of a scan under way."""

    def __init__(self, point: Plain) -> None:
        self._point = point

    @property
    def Frequency(self) -> list[float]:
        return [self._point["frequency_Hz"]]

    @property
    def H_Real(self) -> list[float]:
        return [self._point["real"]]

    @property
    def H_Imaginary(self) -> list[float]:
        return [self._point["imaginary"]]

    @property
    def H_Modulus(self) -> list[float]:
        return [math.hypot(self._point["real"], self._point["imaginary"])]

    @property
    def H_Phase(self) -> list[float]:
        return [math.degrees(math.atan2(self._point["imaginary"], self._point["real"]))]


class FiaScan(NetObject):
    """A scan under way."""

    def __init__(self, device: Potentiostat) -> None:
        self._device = device

    def get_FIAMeasurement(self) -> FiaMeasurement:
        """Return the last point.

        Raises
        ------
        SdkError
            There is none yet.
        """
        self._device.touch()
        run = self._device.front.run
        if run is None or not run["points"]:
            raise SdkError("Object reference not set to an instance of an object.")
        return FiaMeasurement(run["points"][-1])


class Procedure(NetObject):
    """A loaded procedure (IProcedure). It runs once."""

    def __init__(self, device: Potentiostat, plain: Plain, path: Path) -> None:
        self._device = device
        self._plain = plain
        self._path = path
        self._serial = 0
        self._spent = False

    @classmethod
    def load(cls, device: Potentiostat, path: Path) -> Procedure:
        """Return the procedure of a file.

        Raises
        ------
        SdkError
            There is no such file, or it is none of this instrument's.
        """
        try:
            return cls(device, read_note(path), path)
        except (OSError, ValueError) as problem:
            raise SdkError(f"Could not load procedure {path}: {problem}") from None

    @property
    def Commands(self) -> NamedList:
        recorded = self._plain["recorded"]
        entries, seen = [], set()
        for plain in self._plain["commands"]:
            signals = recorded.get(plain["id"], {}) if plain["id"] not in seen else {}
            seen.add(plain["id"])
            entries.append((plain["name"], plain["id"], Command(plain, signals)))
        return NamedList(entries)

    @property
    def FileName(self) -> str:
        return str(self._path)

    @property
    def FraCommands(self) -> NamedList:
        has = any(plain["id"] == "FIAScan" for plain in self._plain["commands"])
        return NamedList([("FRA frequency scan", "FIAScan", FiaScan(self._device))] if has else [])

    @property
    def IsMeasuring(self) -> bool:
        self._device.touch()
        run = self._device.front.run
        measuring = run is not None and run["serial"] == self._serial and not run["ended"]
        if run is not None and run["serial"] == self._serial and not measuring:
            self._keep(run)
        return measuring

    @property
    def ProcedureDescription(self) -> NetObject:
        return NetObject()

    def Measure(self) -> None:
        """Begin; returns at once. A procedure that has run before does nothing."""
        self._device.touch()
        self._device.spend(MEASURE_s)
        if self._spent:
            return
        self._spent = True
        self._serial = round(1e3 * self._device.now_s())
        begin(self._device, self._plain, self._serial)

    def Abort(self) -> None:
        """Stop measuring; the cell stays as it is."""
        self._device.touch()
        run = self._device.front.run
        if run is not None and run["serial"] == self._serial:
            self._keep(run)
            run["ended"] = True
            self._device.save()

    def Hold(self) -> None:
        """Not simulated."""

    def Continue(self) -> None:
        """Not simulated."""

    def Skip(self) -> None:
        """Not simulated."""

    def Clone(self) -> Procedure:
        """Return a copy that has not run."""
        return Procedure(self._device, self._plain, self._path)

    def SaveAs(self, path: str) -> None:
        """Write procedure and recorded signals to a file."""
        run = self._device.front.run
        if run is not None and run["serial"] == self._serial:
            self._keep(run)
        recorded = self._plain["recorded"]
        write_nox(
            Path(path),
            name=self._plain["name"],
            serial="AUT80000",
            at_s=self._device.now_s(),
            note=self._plain,
            commands=[
                (plain["id"], recorded.get(plain["id"], {}) if plain["id"] != "FIAMeasurement" else {})
                for plain in self._plain["commands"]
            ],
        )

    def Save(self) -> None:
        """As SaveAs, to the file it came from."""
        self.SaveAs(str(self._path))

    def _keep(self, run: Plain) -> None:
        points = run["points"]
        columns = {
            "Index": [float(number) for number in range(1, len(points) + 1)],
            "Frequency": [point["frequency_Hz"] for point in points],
            "Z'": [point["real"] for point in points],
            "-Z''": [-point["imaginary"] for point in points],
            "Z": [math.hypot(point["real"], point["imaginary"]) for point in points],
            "-Phase": [-math.degrees(math.atan2(point["imaginary"], point["real"])) for point in points],
            "Time": [point["time_s"] for point in points],
        }
        direct = {"Potential (DC)": [run["bias_V"]] * len(points), "Current (DC)": [0.0] * len(points)}
        self._plain["recorded"] = {
            "FIAMeasPotentiostatic": {name: (unit, columns[name]) for name, unit in _SPECTRUM},
            "FIAMeasurement": {name: (unit, direct[name]) for name, unit in _DIRECT},
        }


def _parameter(plain: Plain, idname: str, parameter: str, default: Any) -> Any:
    for command in plain["commands"]:
        if command["id"] == idname and parameter in command["parameters"]:
            return command["parameters"][parameter][2]
    return default


def begin(device: Potentiostat, plain: Plain, serial: int) -> None:
    """Put the instrument to work on a procedure; `live_through` does the rest as time passes."""
    front = device.front
    cells = [command["parameters"]["EI_0.Cell"][2] for command in plain["commands"] if command["id"] == "FHSwitchCell"]
    front.mode = _parameter(plain, "FHGetSetValues", "EI_0.Mode", front.mode)
    front.bandwidth = _parameter(plain, "FHGetSetValues", "EI_0.Bandwidth", front.bandwidth)
    front.setpoint_V = _parameter(plain, "FHSetSetpointPotential", "Setpoint value", 0.0)
    front.amplitude = _parameter(plain, "FIAMeasPotentiostatic", "Amplitude", 0.01)
    if cells and cells[0] == "On":
        front.cell_on = True
    front.dsg_on = front.fra_on = True
    now_s = device.now_s() + _parameter(plain, "FHWait", "Time", 0.0)
    todo = []
    for command in plain["commands"]:
        if command["id"] != "FIAMeasurement":
            continue
        values = {key: entry[2] for key, entry in command["parameters"].items()}
        f_Hz = values["DsgFrequency"]
        periods = periods_of(f_Hz, at_least_s=values["IntegrationTime"], at_least=values["IntegrationCycle"])
        now_s += _SETTLE_s + periods / f_Hz
        todo.append([now_s, f_Hz, periods])
    front.run = {
        "serial": serial,
        "started_s": device.now_s(),
        "range": _parameter(plain, "FHGetSetValues", "EI_0.CurrentRange", "CR10_1mA"),
        "bias_V": front.setpoint_V,
        "todo": todo,
        "points": [],
        "ended": False,
        "off_at_end": bool(cells) and cells[-1] == "Off",
    }
    device.save()


def live_through(device: Potentiostat, now_s: float) -> None:
    """Measure the points of a running procedure that are due."""
    front, run = device.front, device.front.run
    if run is None or run["ended"]:
        return
    while run["todo"] and run["todo"][0][0] <= now_s:
        at_s, f_Hz, periods = run["todo"].pop(0)
        front.frequency_Hz = f_Hz
        point = device.measure_point(f_Hz, periods, _fitting(device, f_Hz, run["range"]))
        Z = point.Z_ohm
        assert cmath.isfinite(Z)
        run["points"].append(
            {"frequency_Hz": f_Hz, "real": Z.real, "imaginary": Z.imag, "time_s": at_s - run["started_s"]}
        )
        device.save()
    if not run["todo"]:
        run["ended"] = True
        front.dsg_on = front.fra_on = False
        if run["off_at_end"]:
            front.cell_on = False
        device.save()


def _fitting(device: Potentiostat, f_Hz: float, highest: str) -> str:
    """Return the range that the vendor's own ranging would choose, no higher than the one set."""
    peak_A = device.expected_peak_A(f_Hz)
    cap_A = FULL_SCALE_A[highest]
    fitting = [
        name
        for name in ACCEPTED
        if FULL_SCALE_A[name] <= cap_A and FULL_SCALE_A[name] >= 2.0 * peak_A and corner_Hz(FULL_SCALE_A[name]) >= f_Hz
    ]
    return min(fitting, key=FULL_SCALE_A.__getitem__, default=highest)

"""What the console does when an AU program uses a macro, or somebody types a command.

A macro answers with its return code (AUERR); below 0 it failed, and the message says why. Meaning of macros: AU
reference of TopSpin 4 (aucmd.h); of commands: TopSpin command reference.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from labctl_sim_topspin import _parameters as par
from labctl_sim_topspin._acquisition import PulseProgramError
from labctl_sim_topspin._au_table import MACROS
from labctl_sim_topspin._au_types import Answer, Value
from labctl_sim_topspin._datasets import Place

if TYPE_CHECKING:
    from labctl_sim_topspin._au_machine import Machine
    from labctl_sim_topspin._console import Console

_PROCESSING = {
    *("EF", "EFP", "EM", "FT", "FP", "BC", "APK", "APKS", "ABS", "ABS1", "ABS2"),
    *("XF1", "XF2", "XFB", "SINO", "CT1", "CT2", "SIMFIT", "SREF"),
}
_SPIN_UP_GIVE_UP_s = 600.0
_ATMA_s = 90.0
_HIGHEST_GAIN = 101.0


class Refused(Exception):
    """The console declines; the text is its message."""


class Commands:
    """The command layer of one console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    # ---------------------------------------------------------------------------------------- macros

    def call(self, machine: Machine, name: str, args: tuple[Value, ...]) -> Answer:
        """Carry out one macro of an AU program."""
        console = self._console
        try:
            macro = MACROS.get(name)
            if macro is not None and macro.selects_dataset:
                self._select(machine)
            answer = self._macro(machine, name, args)
        except (Refused, PulseProgramError) as refusal:
            console.say(f"{machine.name}: {name}: {refusal}")
            return Answer(value=-1)
        if (
            console.dialog_until_s > console.now_s()
            and answer.wait_for is None
            and (macro is None or macro.kind == "command")
        ):
            held_s = max(answer.wait_until_s or 0.0, console.dialog_until_s)
            return Answer(value=answer.value, outs=answer.outs, wait_until_s=held_s)
        return answer

    def _macro(self, machine: Machine, name: str, args: tuple[Value, ...]) -> Answer:
        if name.startswith(("FETCHPAR", "STOREPAR")):
            return self._parameter(machine, name, args)
        method: Callable[..., Answer] | None = getattr(self, f"_do_{name}", None)
        if method is not None:
            return method(machine, *args)
        if name in _PROCESSING:
            raise Refused("processing is not part of the simulated console")
        if name in MACROS and MACROS[name].kind == "reading":
            return Answer(outs=("Error: not simulated",))
        raise Refused("is not simulated")

    def place(self, machine: Machine) -> Place:
        """Return the dataset a program has chosen."""
        chosen = machine.globals
        return Place(str(chosen["disk"]), str(chosen["name"]), int(chosen["expno"]), int(chosen["procno"]))

    def _select(self, machine: Machine) -> Place:
        """Do what SETCURDATA does: make a missing dataset from the parameters of the previous one."""
        console, place = self._console, self.place(machine)
        if not place.name or place.expno < 1 or place.procno < 1:
            raise Refused(f"no such dataset: {place.name!r} {place.expno} {place.procno}")
        console.inside(str(place.folder))
        if not console.datasets.exists(place):
            if console.acquirer.disk_full:
                raise Refused("disk full")
            console.datasets.create(place, console.current_of(machine))
        console.select(machine, place)
        return place

    def _do_SETCURDATA(self, machine: Machine) -> Answer:
        self._select(machine)
        return Answer()

    def _do_GETCURDATA(self, machine: Machine) -> Answer:
        self.put_foreground(machine)
        self._console.select(machine, self._console.foreground)
        return Answer()

    def put_foreground(self, machine: Machine) -> None:
        """Give a program the foreground dataset, as every program begins with it."""
        place = self._console.foreground
        machine.globals.update({"disk": place.disk, "name": place.name, "expno": place.expno, "procno": place.procno})
        machine.globals["user"] = self._console.settings.user

    # parameters

    def _parameter(self, machine: Machine, name: str, args: tuple[Value, ...]) -> Answer:
        datasets, place = self._console.datasets, self.place(machine)
        verb, rest = name[:8], name[8:]
        status = rest.endswith("S")
        dimension = 1
        if rest.startswith("N"):
            direction, *tail = args
            total = 2 if self._two_dimensional(place) else 1
            dimension = total + 1 - int(direction)
            args = tuple(tail)
        elif rest[:1] in {"1", "3"}:
            dimension = 2 if rest[0] == "1" else 3
        parameter = str(args[0])
        try:
            if verb == "FETCHPAR":
                value = datasets.fetch(place, parameter, dimension=dimension, status=status)
                if isinstance(value, bool):
                    value = "yes" if value else "no"
                return Answer(outs=(self._as(value, str(args[1])),))
            if self._console.acquirer.disk_full:
                raise Refused("disk full")
            datasets.store(place, parameter, args[1], dimension=dimension, status=status)
        except (KeyError, IndexError):
            raise Refused(f"{place.name} {place.expno} has no parameter {parameter}") from None
        except FileNotFoundError as problem:
            raise Refused(f"{problem.filename} is missing") from None
        except ValueError:
            raise Refused(f"{parameter} cannot be {args[1]!r}") from None
        return Answer()

    @staticmethod
    def _as(value: Value, kind: str) -> Value:
        if kind == "text":
            return str(value)
        return int(float(value)) if kind == "int" else float(value)

    def _two_dimensional(self, place: Place) -> bool:
        try:
            return par.number(self._console.datasets.values(place.folder / "acqu"), "PARMODE") == 1
        except (FileNotFoundError, KeyError):
            return False

    # acquisition

    def _do_ZG(self, machine: Machine) -> Answer:
        return self._zg(machine, overwrite=False)

    def _do_ZG_OVERWRITE(self, machine: Machine) -> Answer:
        return self._zg(machine, overwrite=True)

    _do_GO = _do_ZG
    _do_GO_OVERWRITE = _do_ZG_OVERWRITE

    def _zg(self, machine: Machine, *, overwrite: bool) -> Answer:
        console, place = self._console, self.place(machine)
        if console.datasets.raw(place) is not None and not overwrite:
            answer = console.settings.zg_when_data_exist
            if answer == "ask":
                console.say(f"zg: raw data exist in {place.name} {place.expno}: replace them? (waits for a click)")
                return Answer(wait_for="a click: overwrite raw data?")
            if answer == "cancel":
                raise Refused(f"raw data exist in {place.name} {place.expno}; not replaced")
        running = console.begin(place, machine)
        return Answer(wait_for=f"zg of expno {running.place.expno}")

    def _do_RGA(self, machine: Machine) -> Answer:
        """Take the receiver's highest gain: no sample of this simulator comes near its full scale."""
        datasets, place = self._console.datasets, self.place(machine)
        datasets.store(place, "RG", _HIGHEST_GAIN)
        return Answer(wait_until_s=self._console.now_s() + 10.0 + float(datasets.fetch(place, "D 1")))

    def _do_II(self, _machine: Machine) -> Answer:
        return Answer(wait_until_s=self._console.now_s() + 2.0)

    def _do_ATMA(self, _machine: Machine) -> Answer:
        if self._console.acquirer.running is not None:
            raise Refused("an acquisition is running")
        return Answer(wait_until_s=self._console.now_s() + _ATMA_s)

    # temperature

    def _do_TESET(self, machine: Machine) -> Answer:
        return self._teset(float(self._console.datasets.fetch(self.place(machine), "TE")))

    def _teset(self, setpoint_K: float) -> Answer:
        if not 50.0 < setpoint_K < 700.0:
            raise Refused(f"set point {setpoint_K:g} K is out of range")
        if self._console.plant.sensor_fault == "silent":
            raise Refused("the VT unit does not answer")
        self._console.plant.change_vt(setpoint_K=setpoint_K)
        return Answer()

    def _do_TEGET(self, machine: Machine) -> Answer:
        sensor_K = self._console.plant.sensor_K()
        if sensor_K is None:
            raise Refused("the VT unit does not answer")
        self._console.datasets.store(self.place(machine), "TE", sensor_K, status=True)
        return Answer()

    def _do_TEREADY(self, _machine: Machine, seconds: int, accuracy_K: float) -> Answer:
        accuracy_K = round(accuracy_K, 1)  # the macro prints one decimal
        reached_s = self._console.plant.reached_s(accuracy_K, 10.0, 6 * 3600.0) if accuracy_K > 0.0 else None
        if reached_s is None:
            return Answer(wait_for="teready: the set point is not reached")
        return Answer(wait_until_s=reached_s + seconds)

    def _do_VTU_HEATER(self, _machine: Machine, mode: str) -> Answer:
        return self._heater(mode)

    def _heater(self, mode: str) -> Answer:
        plant = self._console.plant
        if mode == "off":
            plant.change_vt(heater_on=False)
        elif mode == "on":
            if plant.vt.gas_L_per_h < self._console.settings.thermal.gas_cutout_L_per_h:
                raise Refused("heater stays off: gas flow too low")
            if self._console.fault_active("heater_trip"):
                raise Refused("heater stays off: over-temperature protection has tripped")
            plant.change_vt(heater_on=True, tripped="")
        else:
            raise Refused(f"heater {mode}: on or off")
        return Answer()

    def _do_VTU_GASFLOW(self, _machine: Machine, flow: float) -> Answer:
        plant = self._console.plant
        if not 0.0 <= flow <= 3000.0:
            raise Refused(f"gas flow {flow:g} L/h is out of range")
        lost = self._console.fault_active("gas_loss")
        plant.change_vt(gas_target_L_per_h=flow, **({} if lost else {"gas_L_per_h": flow}))
        self._console.gas_cutout()
        return Answer()

    def _do_VTU_GASFLOW_STATUS(self, _machine: Machine) -> Answer:
        plant = self._console.plant
        if plant.sensor_fault == "silent":
            raise Refused("the VT unit does not answer")
        return Answer(outs=(plant.vt.gas_target_L_per_h, plant.gas_L_per_h()))

    def _do_VTU_GET_PARAM(self, _machine: Machine, name: str) -> Answer:
        plant = self._console.plant
        if plant.sensor_fault == "silent":
            raise Refused("the VT unit does not answer")
        word = name.lower().replace("_", "").replace("-", "")
        if "heater" in word and ("state" in word or "status" in word):
            return Answer(outs=("on" if plant.vt.heating else "off",))
        if "heater" in word or word == "power":
            return Answer(outs=(f"{plant.heater_percent():.2f}",))
        if "gas" in word or "flow" in word:
            return Answer(outs=(f"{plant.gas_L_per_h():.1f}",))
        if "target" in word or "setpoint" in word:
            return Answer(outs=(f"{plant.vt.setpoint_K:.4f}",))
        if "temp" in word:
            return Answer(outs=(f"{plant.sensor_K():.4f}",))
        raise Refused(f"the VT unit knows no {name}")

    def _do_VTU_PUSH_PARAM(self, _machine: Machine, name: str, _value: str) -> Answer:
        raise Refused(f"{name} is not simulated")

    def _nothing(self, _machine: Machine, *_args: Value) -> Answer:
        return Answer()

    _do_VTU_LOG_DATA = _do_VTU_LOG_STOP = _do_MAS_STATUS_LOG = _do_MAS_STATUS_LOG_STOP = _nothing
    _do_VTU_CHILLER = _do_VTU_SELFTUNE = _do_TEPAR = _nothing

    # spinning

    def _do_MASR(self, machine: Machine) -> Answer:
        rate = int(self._console.datasets.fetch(self.place(machine), "MASR"))
        if not 0 <= rate <= 15000:
            raise Refused(f"MASR = {rate} is beyond this rotor")
        self._console.plant.change_mas(target_Hz=float(rate))
        return Answer()

    def _do_MASRGET(self, machine: Machine) -> Answer:
        rate = round(self._console.plant.rate_Hz())
        self._console.datasets.store(self.place(machine), "MASR", rate, status=True)
        return Answer()

    _do_MASRATE_SET, _do_MASRATE_GET = _do_MASR, _do_MASRGET

    def _do_MASG(self, _machine: Machine, _retries: int) -> Answer:
        return self._spin()

    def _do_MAS_GO(self, _machine: Machine) -> Answer:
        return self._spin()

    def _spin(self) -> Answer:
        console = self._console
        if console.fault_active("spin_loss"):
            return Answer(value=-1, wait_until_s=console.now_s() + _SPIN_UP_GIVE_UP_s)
        mas = console.plant.mas
        console.plant.change_mas(regulated=True, error="")
        return Answer(wait_until_s=console.now_s() + abs(mas.target_Hz - mas.rate_Hz) / mas.slew_Hz_per_s + 5.0)

    def _do_MASH(self, _machine: Machine) -> Answer:
        console = self._console
        rate_Hz = console.plant.mas.rate_Hz
        console.plant.change_mas(regulated=False)
        return Answer(wait_until_s=console.now_s() + (120.0 if rate_Hz > 10.0 else 0.0))

    _do_MAS_HALT = _do_MASH

    def _do_MASE(self, _machine: Machine) -> Answer:
        if self._console.plant.mas.rate_Hz > 10.0:
            raise Refused("the rotor spins")
        return Answer(wait_until_s=self._console.now_s() + 10.0)

    _do_MASI = _do_MAS_EJECT = _do_MAS_INSERT = _do_MASE

    def _do_MMAS_SPINRATE(self, _machine: Machine) -> Answer:
        return Answer(outs=(f"{self._console.plant.rate_Hz():.0f}",))

    def _do_MMAS_IS_ROTATION_ON(self, _machine: Machine) -> Answer:
        return Answer(outs=("true" if self._console.plant.mas.regulated else "false",))

    def _do_MMAS_ROTATION_STATE(self, _machine: Machine) -> Answer:
        mas = self._console.plant.mas
        word = "stopped" if mas.rate_Hz < 1.0 else "regulated" if mas.regulated else "slowing down"
        return Answer(outs=(word,))

    def _do_MMAS_ROTATION_ERROR_CODES(self, _machine: Machine) -> Answer:
        return Answer(outs=(self._console.plant.mas.error,))

    # datasets

    def _do_WRA(self, machine: Machine, expno: int) -> Answer:
        return self._copy(machine, expno, with_data=True)

    def _do_WRAPARAM(self, machine: Machine, expno: int) -> Answer:
        return self._copy(machine, expno, with_data=False)

    def _copy(self, machine: Machine, expno: int, *, with_data: bool) -> Answer:
        source = self.place(machine)
        if expno < 1:
            raise Refused(f"expno {expno}")
        target = Place(source.disk, source.name, expno, source.procno)
        self._console.datasets.copy(source, target, with_data=with_data)
        return Answer()

    def _do_WRPA(self, machine: Machine, name: str, expno: int, procno: int, disk: str, _user: str) -> Answer:
        target = Place(disk, name, expno, procno)
        self._console.inside(str(target.folder))
        self._console.datasets.copy(self.place(machine), target, with_data=True)
        return Answer()

    def _do_RPAR(self, machine: Machine, name: str, _kind: str) -> Answer:
        place, folder = self.place(machine), self._parameter_set(name)
        if not (folder / "acqu").exists():
            raise Refused(f"parameter set {name} not found")
        datasets = self._console.datasets
        datasets.flush()
        datasets.remove_data(place, status=True)  # the macro always asks for remove=yes
        for path in sorted(folder.iterdir()):
            target = place.processed if path.name.startswith("proc") else place.folder
            datasets.put(target / path.name, datasets.values(path))
        return Answer()

    def _do_WPAR(self, machine: Machine, name: str, _kind: str) -> Answer:
        datasets, place, folder = self._console.datasets, self.place(machine), self._parameter_set(name)
        for source in (
            place.folder / "acqu",
            place.folder / "acqu2",
            place.processed / "proc",
            place.processed / "proc2",
        ):
            if source.exists():
                datasets.put(folder / source.name, datasets.values(source))
        datasets.flush()
        return Answer()

    def _parameter_set(self, name: str) -> Path:
        if not name or any(sign in name for sign in "/\\") or name in {".", ".."}:
            raise Refused(f"{name!r} is not the name of a parameter set")
        return self._console.settings.tshome / "exp" / "stan" / "nmr" / "par" / "user" / name

    def _do_DELETERAWDATA(self, _machine: Machine, name: str, expno: int, disk: str, _user: str) -> Answer:
        place = Place(disk, name, expno, 1)
        self._console.inside(str(place.folder))
        self._console.datasets.remove_data(place)
        return Answer()

    def _do_DELETEEXPNO(self, _machine: Machine, name: str, expno: int, disk: str, _user: str) -> Answer:
        place = Place(disk, name, expno, 1)
        self._console.inside(str(place.folder))
        self._console.datasets.remove(place.folder)
        return Answer()

    # paths and messages

    def _file(self, folder: Path, name: Value) -> Answer:
        return Answer(value=str(folder) if name == 0 else f"{folder.as_posix()}/{name}")

    def _do_ACQUPATH(self, machine: Machine, name: Value) -> Answer:
        return self._file(self.place(machine).folder, name)

    def _do_PROCPATH(self, machine: Machine, name: Value) -> Answer:
        return self._file(self.place(machine).processed, name)

    def _do_NEWACQUPATH(self, machine: Machine, expno: int, name: Value) -> Answer:
        place = self.place(machine)
        return self._file(Place(place.disk, place.name, expno, place.procno).folder, name)

    def _do_VARACQUPATH(self, machine: Machine, dataset: str, expno: int, name: Value) -> Answer:
        return self._file(Place(self.place(machine).disk, dataset, expno, 1).folder, name)

    def _do_VARPROCPATH(self, machine: Machine, dataset: str, expno: int, procno: int, name: Value) -> Answer:
        return self._file(Place(self.place(machine).disk, dataset, expno, procno).processed, name)

    def _do_Show_status(self, machine: Machine, text: str) -> Answer:
        self._console.say(f"{machine.name}: {text}")
        return Answer()

    def _do_Proc_err(self, machine: Machine, _option: int, text: str) -> Answer:
        self._console.say(f"{machine.name}: {text}")
        if self._console.setdef.get("ackn", "ok") in {"no", "hide"} or _option == 5:
            return Answer()
        if self._console.settings.operator == "present":
            return Answer(wait_until_s=self._console.now_s() + self._console.settings.operator_answers_after_s)
        return Answer(wait_for="a click on a message")

    def _do_CPR_exec(self, machine: Machine, command: str, _wait: int) -> Answer:
        return Answer(value=0 if self.type(command, machine).value != -1 else -1)

    # -------------------------------------------------------------------------------------- commands

    def _do_XCMD(self, machine: Machine, command: str) -> Answer:
        return self.type(command, machine)

    def _do_XAU(self, machine: Machine, name: str, arguments: str) -> Answer:
        child = self._console.start_program(name, arguments.split(), parent=machine)
        return Answer(wait_for=f"xau {child}")

    def type(self, command: str, machine: Machine | None = None) -> Answer:
        """Carry out a typed command, for a program or for a person (on the foreground dataset).

        Raises
        ------
        Refused
            The console declines.
        """
        words = command.removeprefix("sendgui ").split()
        if not words:
            return Answer()
        verb, rest = words[0].lower(), words[1:]
        method: Callable[[list[str], Machine | None], Answer] | None = getattr(self, f"_type_{verb}", None)
        if method is not None:
            return method(rest, machine)
        place = self.place(machine) if machine is not None else self._console.foreground
        name = " ".join(words[:-1]).upper()
        if len(words) >= 2 and par.kind_of(name) is not None:
            kind = par.kind_of(name)
            try:
                value: Value = words[-1] if kind == "text" else float(words[-1])
                self._console.datasets.store(place, name, value)
            except (ValueError, KeyError, FileNotFoundError):
                raise Refused(f"{command}: not possible") from None
            return Answer()
        raise Refused(f"unknown command: {command}")

    def _type_xau(self, rest: list[str], machine: Machine | None) -> Answer:
        if not rest:
            raise Refused("xau: which program?")
        child = self._console.start_program(rest[0], rest[1:], parent=machine)
        return Answer() if machine is None else Answer(wait_for=f"xau {child}")

    def _type_zg(self, rest: list[str], machine: Machine | None) -> Answer:
        if machine is not None:
            return self._zg(machine, overwrite=rest[:1] == ["yes"])
        console = self._console
        if console.datasets.raw(console.foreground) is not None and rest[:1] != ["yes"]:
            raise Refused("raw data exist; not replaced")
        console.begin(console.foreground, None)
        return Answer()

    def _type_halt(self, _rest: list[str], _machine: Machine | None) -> Answer:
        if not self._console.halt("halt"):
            raise Refused("no acquisition is running")
        return Answer()

    def _type_stop(self, _rest: list[str], _machine: Machine | None) -> Answer:
        if not self._console.halt("stop"):
            raise Refused("no acquisition is running")
        return Answer()

    def _type_kill(self, rest: list[str], _machine: Machine | None) -> Answer:
        if not self._console.kill(rest[0] if rest else "zg"):
            raise Refused(f"{' '.join(rest) or 'zg'} does not run")
        return Answer()

    def _type_setdef(self, rest: list[str], _machine: Machine | None) -> Answer:
        if len(rest) != 2 or rest[0] not in {"ackn", "quest", "stdout", "stderr"}:
            raise Refused(f"setdef {' '.join(rest)}")
        if rest[1] != "?":
            self._console.setdef[rest[0]] = rest[1]
        return Answer()

    def _type_teset(self, rest: list[str], machine: Machine | None) -> Answer:
        place = self.place(machine) if machine is not None else self._console.foreground
        try:
            setpoint_K = float(rest[0]) if rest else float(self._console.datasets.fetch(place, "TE"))
        except ValueError:
            raise Refused(f"teset {rest[0]}") from None
        return self._teset(setpoint_K)

    def _type_heater(self, rest: list[str], _machine: Machine | None) -> Answer:
        return self._heater(rest[0] if rest else "")

    def _type_masg(self, _rest: list[str], _machine: Machine | None) -> Answer:
        return self._spin()

    def _type_re(self, rest: list[str], machine: Machine | None) -> Answer:
        here = self._console.foreground
        try:
            place = Place(here.disk, rest[0], int(rest[1]), int(rest[2]) if len(rest) > 2 else 1)
        except (IndexError, ValueError):
            raise Refused("re: name expno [procno]") from None
        if not self._console.datasets.exists(place):
            raise Refused(f"{place.name} {place.expno} does not exist")
        self._console.foreground = place
        if machine is not None:
            self._console.select(machine, place)
        return Answer()

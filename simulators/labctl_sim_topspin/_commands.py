"""What the console does when an AU program uses a macro, or somebody types a command.

A macro answers with its return code (AUERR); below 0 it failed, and the message says why. Meaning of macros: AU
reference of TopSpin 4 (aucmd.h); of commands: TopSpin command reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from labctl_sim_topspin import _parameters as par
from labctl_sim_topspin._acquisition import PulseProgramError
from labctl_sim_topspin._au_table import MACROS
from labctl_sim_topspin._au_types import Answer, Value
from labctl_sim_topspin._datasets import Place
from labctl_sim_topspin._macros import Refused
from labctl_sim_topspin._macros_datasets import DatasetMacros
from labctl_sim_topspin._macros_instruments import InstrumentMacros

if TYPE_CHECKING:
    from labctl_sim_topspin._au_machine import Machine

_PROCESSING = {
    *("EF", "EFP", "EM", "FT", "FP", "BC", "APK", "APKS", "ABS", "ABS1", "ABS2"),
    *("XF1", "XF2", "XFB", "SINO", "CT1", "CT2", "SIMFIT", "SREF"),
}
_ATMA_s = 90.0
_HIGHEST_GAIN = 101.0
_ANSWERS: dict[str, Literal["cancel", "overwrite", "ask"]] = {"can": "cancel", "ok": "overwrite"}  # of setdef quest


class Commands(DatasetMacros, InstrumentMacros):
    """The command layer of one console."""

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
        if name == "TEGET" and (slow_s := console.acquirer.slow_s):  # it writes status parameters
            return Answer(value=answer.value, outs=answer.outs, wait_until_s=console.now_s() + slow_s)
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
                answer = _ANSWERS.get(console.setdef.get("quest", ""), "ask")
            if answer == "ask":
                console.say(f"zg: raw data exist in {place.name} {place.expno}: replace them? (waits for a click)")
                return Answer(wait_for="a click: overwrite raw data?")
            if answer == "cancel":
                raise Refused(f"raw data exist in {place.name} {place.expno}; not replaced")
        running = console.begin(place, machine)
        if console.mischief.active("spooling"):
            return Answer(value=0)  # queued, says TopSpin; nobody waits for the end
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

    # messages and other programs

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

"""The simulated console: its clock, what happens by itself, and its state on disk.

Time moves only in `advance`. Between two moments of interest (see `_schedule`) nothing is computed: temperatures are
closed forms, an acquisition is written at its end.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.errors import InputError
from labctl_sim_topspin import _templates
from labctl_sim_topspin._acquirer import Acquirer
from labctl_sim_topspin._acquisition import PulseProgramError
from labctl_sim_topspin._au_machine import Machine
from labctl_sim_topspin._au_types import Answer, ParameterKind, Value
from labctl_sim_topspin._commands import Commands
from labctl_sim_topspin._datasets import Datasets, Place
from labctl_sim_topspin._files import ConsoleFiles
from labctl_sim_topspin._macros import Refused
from labctl_sim_topspin._mischief import Mischief
from labctl_sim_topspin._operator import Operator
from labctl_sim_topspin._parameters import kind_of
from labctl_sim_topspin._plant import Plant
from labctl_sim_topspin._programs import Programs, Running
from labctl_sim_topspin._record import Acquisition
from labctl_sim_topspin._schedule import Schedule
from labctl_sim_topspin._settings import Settings
from labctl_sim_topspin._state import read_state, write_state
from labctl_sim_topspin._writing import lists_dir
from labctl_sim_topspin.faults import Fault

if TYPE_CHECKING:
    from labctl_sim_sample import NmrSample

_MESSAGES = 200
_TURNS_PER_INSTANT = 2000


_path = functools.lru_cache(maxsize=4096)(Path)  # programs name the same files at every turn


class Console:
    """One simulated spectrometer.

    Parameters
    ----------
    start_s : float
        When a lab that does not exist yet is made; an existing one has its own time.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        seed: int,
        nmr: Callable[[], NmrSample],
        faults: tuple[Fault, ...],
        start_s: float,
    ) -> None:
        self.settings = settings
        self._root = settings.root
        self._inside = f"{self._root}{os.sep}"
        self._data = f"{settings.data_dir}{os.sep}"
        self._root.mkdir(parents=True, exist_ok=True)
        kept = read_state(self._root)
        saved = None if kept is None else kept[0]
        self._moved = False
        self._broken = False
        self._foreseen: tuple[float | None] | None = None
        self._unattended_since: str | None = None
        self._now_s = start_s if saved is None else float(saved["now_s"])
        self.born_s = self._now_s if saved is None else float(saved["born_s"])
        self._serial = 0 if saved is None else int(saved["serial"])
        self.files = ConsoleFiles(self._root / "undo" / "files", self._serial)
        self.clock_skew_s = 0.0
        self.powered = True
        self.share_gone = False
        self.datasets = Datasets(settings, self.files, self.wall_s)
        self.plant = Plant(settings, seed, self.now_s)
        self.acquirer = Acquirer(
            settings,
            self.files,
            self.datasets,
            self.plant,
            seed=seed,
            nmr=nmr,
            now_s=self.now_s,
            wall_s=self.wall_s,
        )
        self.programs = Programs(self, self._root, settings.job_dir)
        self.commands = Commands(self)
        self.mischief = Mischief(self, faults)
        self.setdef: dict[str, str] = {}
        self.messages: list[str] = []
        self.dialog_until_s = 0.0
        self._schedule = Schedule(self)
        self._operator = Operator(self)
        self._touched: dict[str, bool] = {}
        self._selected: dict[int, Place] = {}
        self.foreground = Place(str(settings.data_dir), settings.template_dataset, min(settings.templates.values()), 1)
        if kept is None:
            for folder in (
                self.au_dir,
                self.lists_dir / "vd",
                self.lists_dir / "vp",
                settings.data_dir,
                settings.job_dir,
            ):
                folder.mkdir(parents=True, exist_ok=True)
            _templates.make(self.datasets, self.files, settings)
            self.save()
        else:
            self._take_up(*kept)
            self._unattended_since = self._newest_lease()

    # ----------------------------------------------------------------------------------------- places

    @property
    def au_dir(self) -> Path:
        """Folder of the user's AU sources."""
        return self.settings.tshome / "exp" / "stan" / "nmr" / "au" / "src" / "user"

    @property
    def lists_dir(self) -> Path:
        """Folder of the lists."""
        return lists_dir(self.settings)

    # ------------------------------------------------------------------------------------------- host

    def call(self, machine: Machine, name: str, args: tuple[Value, ...]) -> Answer:
        """Carry out a macro of an AU program."""
        return self.commands.call(machine, name, args)

    def parameter_kind(self, name: str) -> ParameterKind | None:
        """Tell the C type of a TopSpin parameter."""
        return kind_of(name)

    def now_s(self) -> float:
        """Tell the console's time."""
        return self._now_s

    def wall_s(self) -> float:
        """Tell the time by the clock of the console's computer."""
        return self._now_s + self.clock_skew_s

    def path(self, name: str) -> Path:
        """Give the file behind a path that a program names."""
        path = self.inside(name)
        if path.startswith(self._data):
            self.datasets.flush()
        if path not in self._touched:
            self._touched[path] = os.path.exists(path)  # noqa: PTH110
        return _path(path)

    def inside(self, name: str) -> str:
        """Return a path in full; raises InputError where it leads out of the simulated lab's folder."""
        path = os.path.normpath(name if os.path.isabs(name) else self._root / name)  # noqa: PTH117
        if not path.startswith(self._inside):
            raise InputError(f"{name}: outside the simulated console's folder", expected=f"a path below {self._root}")
        return path

    # ----------------------------------------------------------------------------- for the commands

    def say(self, text: str) -> None:
        """Show a message on the console."""
        self.messages.append(text)
        del self.messages[:-_MESSAGES]

    def current_of(self, machine: Machine) -> Place:
        """Return the dataset a program used last; the foreground one at first."""
        return self._selected.get(self.programs.number_of(machine), self.foreground)

    def select(self, machine: Machine, place: Place) -> None:
        """Remember the dataset a program uses."""
        self._selected[self.programs.number_of(machine)] = place

    def begin(self, place: Place, machine: Machine | None) -> Acquisition:
        """Start an acquisition; raises PulseProgramError."""
        program = 0 if machine is None else self.programs.number_of(machine)
        running = self.acquirer.start(place, program=program)
        self.mischief.acquisition_begins(running)
        return running

    def halt(self, how: str) -> bool:
        """End the acquisition under way by ``halt`` or ``stop``; False if there is none."""
        self.alert()
        return self.acquirer.halt() if how == "halt" else self.acquirer.stop()

    def kill(self, name: str) -> bool:
        """Kill the acquisition (``zg``) or an AU program by its name; False if it does not run."""
        if name in {"zg", "go"}:
            running = self.acquirer.running
            waiting = 0 if running is None else running.program
            killed = self.acquirer.kill()
            if waiting in self.programs.running:
                self.programs.running[waiting].machine.resume(Answer(value=-1))
                self.programs.running[waiting].saved = None
            return killed
        numbers = [number for number, item in self.programs.running.items() if item.machine.name == name]
        for number in numbers:
            self._end_program(number)
        return bool(numbers)

    def start_program(self, name: str, args: list[str], *, parent: Machine | None) -> int:
        """Start an AU program; returns its number.

        Raises
        ------
        Refused
            There is none of that name.
        InputError
            It does not compile, and a person typed it.
        """
        source = self.au_dir / name
        if any(sign in name for sign in "/\\") or name in {".", ".."} or not source.is_file():
            source = self.au_dir / f"{name}.c"
            if any(sign in name for sign in "/\\") or not source.is_file():
                raise Refused(f"AU program {name} not found")
        number = 0 if parent is None else self.programs.number_of(parent)
        try:
            started = self.programs.start(source, name, args, parent=number)
            self.commands.put_foreground(started.machine)
            return started.number
        except InputError as problem:
            if parent is None:
                raise
            raise Refused(str(problem)) from None

    def fault_active(self, kind: str) -> bool:
        """Whether a fault of the script is upon the console now."""
        return self.mischief.active(kind)

    def gas_cutout(self) -> None:
        """Trip the heater where the VT unit's own cut-out would."""
        vt = self.plant.vt
        if vt.gas_L_per_h < self.settings.thermal.gas_cutout_L_per_h and not vt.tripped:
            self.plant.change_vt(tripped="gas flow")
            self.say("VT: heater off, gas flow too low")

    def restart(self) -> None:
        """Restart TopSpin: AU programs and preferences are gone, the spectrometer goes on."""
        for number in list(self.programs.running):
            self._end_program(number)
        if self.acquirer.running is not None:
            self.acquirer.running.program = 0
        self.setdef.clear()
        self.say("TopSpin restarted")

    def lose_mains(self) -> None:
        """Cut the power: programs, acquisition, heater, gas and drive are gone; the rotor runs down."""
        self.restart()
        self.acquirer.kill()
        self.acquirer.transfers.clear()
        self.powered = False
        self.plant.change_vt(heater_on=False, gas_L_per_h=0.0)
        self.plant.change_mas(regulated=False, error="no mains")

    def return_mains(self) -> None:
        """Power is back, and gas; heater, drive and TopSpin's programs want a person."""
        self.powered = True
        self.plant.change_vt(gas_L_per_h=self.plant.vt.gas_target_L_per_h)

    def occupy(self, for_s: float) -> bool:
        """Let somebody acquire on a dataset of their own; False if the console refuses because it is busy."""
        if self.acquirer.running is not None:
            return False
        place = Place(str(self.settings.data_dir), "somebody", 1, 1)
        source = Place(place.disk, self.settings.template_dataset, self.settings.templates["one_pulse"], 1)
        if not self.datasets.exists(place):
            self.datasets.copy(source, place, with_data=False)
        self.foreground = place
        running = self.begin(place, None)
        running.end_s = self._now_s + for_s
        return True

    def alert(self) -> None:
        """Poll exactly for a while: something happened."""
        self._schedule.alert()

    # ----------------------------------------------------------------------------------------- people

    def launch(self, command: str) -> None:
        """Type a command, as a person does.

        Raises
        ------
        InputError
            The command was refused, or the AU program it names goes beyond what the console can run.
        """
        self._unattended_since = None
        with self._transaction():
            self._moved = True
            self.type(command)
            self._run_due(self._now_s)

    def type(self, command: str) -> None:
        """Carry out a command a person types, within `launch` or `advance`; raises InputError if it is refused."""
        try:
            self.commands.type(command)
        except (Refused, PulseProgramError) as refusal:
            raise InputError(f"the console refused {command!r}: {refusal}") from None
        self.alert()

    # ------------------------------------------------------------------------------------------- time

    def advance(self, to_s: float, *, alone: bool = False) -> None:
        """Let the console live until `to_s` and save it.

        Parameters
        ----------
        alone : bool
            Nobody looks in between as an engine would, so that idle programs must not be left asleep. A lab that
            was taken up is alone until somebody types on it or renews the lease in its job folder.
        """
        if self._unattended_since is not None and self._newest_lease() != self._unattended_since:
            self._unattended_since = None
        alone = alone or self._unattended_since is not None
        with self._transaction():
            self._run_due(to_s, self.settings.stretch_unattended_s if alone else math.inf)
            self._now_s = max(self._now_s, to_s)
            self.acquirer.grow()

    def _newest_lease(self) -> str:
        folder = self.settings.job_dir / "lease"
        return max((path.name for path in folder.iterdir()), default="") if folder.is_dir() else ""

    def next_event_s(self) -> float | None:
        """Return when something will happen that somebody may want to see; None if nothing will.

        It stays so until the console is advanced or typed at, as everybody does after having put a file in its way.
        """
        if self._foreseen is None:
            self._foreseen = (self._schedule.next_event_s(),)
        return self._foreseen[0]

    def _run_due(self, to_s: float, stretch_s: float = math.inf) -> None:
        turns, instant_s = 0, self._now_s
        while True:
            due = min(self._schedule.candidates(to_s, stretch_s), key=lambda item: item[:2], default=None)
            if due is None or due[0] > to_s:
                return
            self._now_s = max(self._now_s, due[0])
            self._moved = True
            turns = turns + 1 if self._now_s == instant_s else 0
            instant_s = self._now_s
            if turns > _TURNS_PER_INSTANT and due[1]:
                self.say(f"{self.programs.running[due[1]].machine.name} never let time pass and was ended")
                self._end_program(due[1])
            else:
                due[2]()

    def events(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """Yield what happens by itself: when, and how."""
        if self.acquirer.running is not None:
            yield self.acquirer.running.end_s, self._finish
        for transfer in self.acquirer.transfers:
            yield transfer.at_s, lambda transfer=transfer: self.acquirer.transfer(transfer)  # type: ignore[misc]
        yield from self.mischief.events()
        yield from self._operator.events()

    def turn(self, running: Running) -> None:
        """Let an AU program run until it pauses."""
        self._touched = {}
        changes = self.plant.changes
        try:
            self.programs.turn(running, self._touched)
        except InputError as problem:
            self.say(f"{running.machine.name} broke: {problem}")
        running.acted = self.plant.changes != changes
        self.datasets.flush()
        if running.machine.state == "ended":
            self._end_program(running.number)
        self._operator.watch(running)
        if running.begun:
            self.mischief.step_begins(self._title_of_step(running.begun))
            running.begun = 0

    def _title_of_step(self, number: int) -> str:
        """Return the title that a step file of the job folder carries."""
        path = self.settings.job_dir / "steps" / f"{number:06d}.step"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return next((line.removeprefix("title=") for line in lines if line.startswith("title=")), "")

    def _end_program(self, number: int) -> None:
        ended = self.programs.running[number]
        code = ended.machine.exit_code
        self.programs.end(number)
        self._selected.pop(number, None)
        parent = self.programs.running.get(ended.parent)
        if parent is not None and parent.machine.waiting_for == f"xau {number}":
            parent.machine.resume(Answer(value=-1 if code is None else code))
            parent.saved = None

    def _finish(self) -> None:
        running, code, message = self.acquirer.finish()
        self.say(message)
        waiting = self.programs.running.get(running.program)
        if waiting is not None and waiting.machine.state == "blocked":
            waiting.machine.resume(Answer(value=code))
            waiting.saved = None

    # ------------------------------------------------------------------------------------------ state

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        before_s = self._now_s
        self._moved = False
        self._foreseen = None
        try:
            yield
        except InputError:
            raise  # declined as a whole, before anything was done
        except BaseException:
            self._broken = True
            raise
        finally:
            self._foreseen = None
        if self._moved or self._now_s != before_s:
            self.save()

    def save(self) -> None:
        """Write the state to disk; from here a killed process is taken up.

        Where something broke
        off in the middle nothing is saved any more: whoever opens the lab again gets the state before.
        """
        if self._broken:
            return
        self.datasets.flush()
        serial = self._serial + 1
        state = {
            "serial": serial,
            "born_s": self.born_s,
            "now_s": self._now_s,
            "setdef": self.setdef,
            "messages": self.messages,
            "dialog_until_s": self.dialog_until_s,
            "clock_skew_s": self.clock_skew_s,
            "powered": self.powered,
            "share_gone": self.share_gone,
            "alert_until_s": self._schedule.alert_until_s,
            "operator_at_s": self._operator.answers_at_s,
            "foreground": asdict(self.foreground),
            "selected": {str(number): asdict(place) for number, place in self._selected.items()},
            "plant": self.plant.plain(),
            "acquirer": self.acquirer.plain(),
            "mischief": self.mischief.plain(),
            "next_program": self.programs.next_number,
        }
        write_state(self._root, serial, state, self.programs.lines())
        self._serial = serial
        self.files.saved(serial)
        self.programs.saved()

    def _take_up(self, state: dict[str, Any], programs: list[str]) -> None:
        self.setdef = dict(state["setdef"])
        self.messages = list(state["messages"])
        self.dialog_until_s = state["dialog_until_s"]
        self.clock_skew_s = state.get("clock_skew_s", 0.0)
        self.powered = state.get("powered", True)
        self.share_gone = state.get("share_gone", False)
        self._schedule.alert_until_s = state["alert_until_s"]
        self._operator.answers_at_s = state["operator_at_s"]
        self.foreground = Place(**state["foreground"])
        self._selected = {int(number): Place(**place) for number, place in state["selected"].items()}
        self.plant.take_up(state["plant"])
        self.acquirer.take_up(state["acquirer"])
        self.mischief.take_up(state["mischief"])
        self.programs.take_up(state["next_program"], programs)

"""The procedure route: a ``.nox`` made in NOVA runs the vendor's own scan, with its own ranging.

The procedure is loaded anew for each sweep, because one that has run is inert. It has no field for a result or an
error: what it has recorded is read from the file it was saved to, and compared with what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from labctl.clock import Clock
from labctl.errors import InstrumentError
from labctl_autolab._files import ResultFolder
from labctl_autolab._link import Link
from labctl_autolab._potentiostat import Potentiostat
from labctl_autolab._record import Point
from labctl_autolab._sdk import Named, Procedure
from labctl_autolab._settings import Settings
from labctl_autolab._sweep import Run

POLL_S = 1.0
_COLUMNS = ("Frequency", "Z'", "-Z''", "Time")
_SAME = 1e-6


class ProcedureRoute:
    """A procedure of NOVA."""

    name = "procedure"

    def __init__(
        self,
        potentiostat: Potentiostat,
        settings: Settings,
        *,
        station: str,
        link: Link,
        folder: ResultFolder,
        clock: Clock,
        free_at_s: Callable[[], float],
    ) -> None:
        self._potentiostat = potentiostat
        self._settings = settings
        self._station = station
        self._link = link
        self._folder = folder
        self._clock = clock
        self._free_at_s = free_at_s

    def points(self, run: Run, bias_V: float) -> Iterator[float]:
        """Run the procedure and read what it saved; yields the times to go on."""
        hand, wanted = self._potentiostat, self._settings.procedure
        procedure = hand.procedure(self._link.path(wanted.file))
        self._write(run, procedure, bias_V)
        hand.call("Procedure.Measure", procedure.Measure)
        yield self._free_at_s()
        begun_s = run.now_s()
        try:
            while hand.call("Procedure.IsMeasuring", lambda: procedure.IsMeasuring):
                self._follow(run, procedure)
                run.take_temperature()
                yield max(self._free_at_s(), self._clock.monotonic_s() + POLL_S)
        except BaseException:
            hand.call("Procedure.Abort", procedure.Abort)
            raise
        yield self._free_at_s() + wanted.save_wait_s
        self._read_back(run, procedure, begun_s)

    # ---------------------------------------------------------------------------------------- parameters

    def _write(self, run: Run, procedure: Procedure, bias_V: float) -> None:
        """Write the numbers of this sweep into the procedure and read each back."""
        task, wanted = run.task, self._settings.procedure
        self._set(procedure, wanted.bias, bias_V)
        member = self._potentiostat.range_member(self._settings.ladder.ranges_A()[-1])
        self._set(procedure, wanted.range, member)
        if wanted.amplitude:
            peak = 2.0**0.5 if self._settings.amplitude_kind == "peak" else 1.0
            self._set(procedure, wanted.amplitude, task.amplitude_V_rms * peak)
        points = self._commands(procedure, wanted.point)
        if len(points) != len(task.frequencies_Hz):
            raise self._wrong(
                f"the procedure measures {len(points)} frequencies, the campaign wants {len(task.frequencies_Hz)}",
                wanted.point,
            )
        for command, frequency_Hz in zip(points, task.frequencies_Hz, strict=True):
            for name, value in (
                (wanted.frequency, float(frequency_Hz)),
                (wanted.integration, float(task.integration_s)),
                (wanted.cycles, int(task.cycles)),
            ):
                self._put(self._member(command.CommandParameters, name), name, value)

    def _set(self, procedure: Procedure, path: str, value: Any) -> None:
        command, _, parameter = path.partition("/")
        found = self._commands(procedure, command)
        if not found:
            raise self._wrong(f"the procedure has no command {command!r}", path)
        self._put(self._member(found[0].CommandParameters, parameter), path, value)

    def _put(self, parameter: Any, path: str, value: Any) -> None:
        hand = self._potentiostat
        hand.call(f"{path} = {value}", lambda: setattr(parameter, "ValueAsObject", value))
        found = hand.call(path, lambda: parameter.ValueAsObject)
        same = abs(found - value) <= 1e-9 * max(1.0, abs(value)) if isinstance(value, (int, float)) else found == value
        if not same:
            raise self._wrong(f"{value} was written, and {found} reads back", path)

    def _commands(self, procedure: Procedure, idname: str) -> list[Any]:
        """Return all commands of an id or name: a list of the SDK gives only the first, and none by number."""
        found = self._potentiostat.call(
            "Commands",
            lambda: (list(procedure.Commands), list(procedure.Commands.IdNames), list(procedure.Commands.Names)),
        )
        return [one for one, known, name in zip(*found, strict=True) if idname in {known, name}]

    def _member(self, names: Named, name: str) -> Any:
        known = self._potentiostat.call(name, lambda: {*names.IdNames, *names.Names})
        if name not in known:
            raise self._wrong(f"there is no parameter {name!r}; there are: {', '.join(sorted(known))}", name)
        return self._potentiostat.call(name, lambda: names[name])

    def _wrong(self, what: str, path: str) -> InstrumentError:
        return InstrumentError(
            f"{self._settings.procedure.file}: {what}",
            instrument=self._station,
            command=path,
            expected="a FRA procedure of NOVA with one command for each frequency",
            next_step="Make one in NOVA, or correct settings.procedure in the lab file",
        )

    # ------------------------------------------------------------------------------------------- results

    def _follow(self, run: Run, procedure: Procedure) -> None:
        """Say which frequency the scan has come to. There may be nothing to read yet."""
        try:
            measured = procedure.FraCommands[self._settings.procedure.scan].get_FIAMeasurement()
            frequency_Hz = float(next(iter(measured.Frequency)))
        except Exception:  # noqa: BLE001 - before the first point it raises whatever it likes
            return
        count = sum(one >= frequency_Hz * (1.0 - _SAME) for one in run.task.frequencies_Hz)
        run.phase = f"{count} of {len(run.task.frequencies_Hz)} points, {frequency_Hz:.3g} Hz"

    def _read_back(self, run: Run, procedure: Procedure, begun_s: float) -> None:
        """Save the procedure, load what was saved, and take the spectrum from it."""
        hand, wanted = self._potentiostat, self._settings.procedure
        path = self._folder.raw_path(run.name)
        if path.exists():
            raise self._wrong(f"{path} stands there already", "SaveAs")
        hand.call("Procedure.SaveAs", lambda: procedure.SaveAs(str(path)))
        saved = hand.procedure(str(path))
        found = self._commands(saved, wanted.result)
        if not found:
            raise self._wrong(f"what was saved has no command {wanted.result!r}", wanted.result)
        columns = {name: self._values(found[0].Signals, name) for name in _COLUMNS}
        self._compare(run, columns["Frequency"])
        for index, frequency_Hz in enumerate(columns["Frequency"]):
            run.add(
                Point(
                    frequency_Hz=frequency_Hz,
                    Z_real_ohm=columns["Z'"][index],
                    Z_imag_ohm=-columns["-Z''"][index],
                    at_s=begun_s + columns["Time"][index],
                )
            )

    def _values(self, signals: Named, name: str) -> list[float]:
        signal = self._member(signals, name)
        return [float(value) for value in self._potentiostat.call(name, lambda: signal.ValueAsObject)]

    def _compare(self, run: Run, measured_Hz: Sequence[float]) -> None:
        """A procedure that was stopped or failed looks finished: only its points tell."""
        wanted_Hz = run.task.frequencies_Hz
        same = len(measured_Hz) == len(wanted_Hz) and all(
            abs(one - other) <= 1e-3 * other for one, other in zip(measured_Hz, wanted_Hz, strict=True)
        )
        if not same:
            raise self._wrong(
                f"{len(measured_Hz)} points were recorded, {len(wanted_Hz)} were asked for",
                self._settings.procedure.result,
            )

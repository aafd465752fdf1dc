"""Readings over the campaign: ``readings/<station>.csv``, appended to, one value a line, thinned.

The file is for figures and for people; nothing is decided from it but whether a temperature band was held while the
engine was away. A torn last line is left out when reading and ended before more is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from labctl.ports import Reading

_HEADER = "at_s,quantity,value\n"


def trace_path(run_dir: Path, station: str) -> Path:
    """Return where the readings of a station stand."""
    return run_dir / "readings" / f"{station}.csv"


class ReadingsTrace:
    """Append readings, at most one value of each quantity in `record_s`.

    A reading the instrument has not renewed is not written again: silence stays visible as a gap.
    """

    def __init__(self, run_dir: Path, station: str, *, record_s: float) -> None:
        self._path = trace_path(run_dir, station)
        self._record_s = record_s
        self._last_s: dict[str, float] = {
            quantity: times_s[-1] for quantity, (times_s, _) in read_trace(run_dir, station).items()
        }
        self.last_s = max(self._last_s.values(), default=None)
        """Wall time of the last reading on file; None if there is none."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            self._path.write_text(_HEADER, encoding="utf-8", newline="\n")
        elif not self._path.read_bytes().endswith(b"\n"):
            with self._path.open("a", encoding="utf-8", newline="\n") as file:
                file.write("\n")

    def record(self, readings: Iterable[Reading]) -> None:
        """Append what is new and due; a full disk costs the trace, not the campaign."""
        due = [
            reading
            for reading in readings
            if reading.at_s >= self._last_s.get(reading.quantity, -math.inf) + self._record_s
        ]
        if not due:
            return
        try:
            with self._path.open("a", encoding="utf-8", newline="\n") as file:
                file.writelines(f"{reading.at_s:.3f},{reading.quantity},{reading.value:.6g}\n" for reading in due)
        except OSError:
            return  # seen as a gap; the journal, on the same disk, raises the alarm
        self._last_s.update((reading.quantity, reading.at_s) for reading in due)
        self.last_s = max(self._last_s.values())


def read_trace(run_dir: Path, station: str) -> dict[str, tuple[list[float], list[float]]]:
    """Return wall times [s] and values of each quantity (``sensor_K``, ``heater_percent``, ``spinning_Hz``...)."""
    path = trace_path(run_dir, station)
    found: dict[str, tuple[list[float], list[float]]] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8").split("\n")[1:-1]:
        try:
            at_s, quantity, value = line.split(",")
            times_s, values = found.setdefault(quantity, ([], []))
            number = float(value)
            times_s.append(float(at_s))
            values.append(number)
        except ValueError:
            continue  # a line that a crash tore
    return {quantity: series for quantity, series in found.items() if series[0]}

"""Status parameters, pulse program, lists and audit trail of an acquisition that has ended."""

from __future__ import annotations

from pathlib import Path

from labctl_sim_topspin import _bruker_files as bruker
from labctl_sim_topspin import _lists
from labctl_sim_topspin import _parameters as par
from labctl_sim_topspin._datasets import Datasets
from labctl_sim_topspin._files import ConsoleFiles
from labctl_sim_topspin._parameters import Parameters
from labctl_sim_topspin._plant import Plant
from labctl_sim_topspin._record import Acquisition
from labctl_sim_topspin._settings import Settings


def lists_dir(settings: Settings) -> Path:
    """Return where the site keeps its lists."""
    return settings.tshome / "exp" / "stan" / "nmr" / "lists"


class Writer:
    """Writes what TopSpin writes beside the raw data, in one layout."""

    def __init__(self, settings: Settings, files: ConsoleFiles, datasets: Datasets, plant: Plant) -> None:
        self._settings = settings
        self._files = files
        self._datasets = datasets
        self._plant = plant

    def write_status(self, running: Acquisition, raw: bruker.RawData, *, rows: int, scans: int, overflow: bool) -> None:
        """Write status parameters of both dimensions, of processing, and what the receiver says."""
        sequence, place, layout = running.sequence, running.place, self._settings.layout
        neo = layout != "3.6"
        baseopt = self._settings.digital_filter == "baseopt"
        te_K = self._plant.sensor_K()
        status = dict(running.direct)
        ended_s = running.end_s + running.skew_s
        first_write_s = running.started_s + float(sequence.row_starts_s()[0] + sequence.scans * sequence.scan_s()[0])
        status |= {
            "DATE": round(ended_s if neo else min(first_write_s, ended_s)),
            "DECIM": sequence.decimation,
            "DIGMOD": 3 if baseopt else 1,
            "DSPFVS": 21 if baseopt else 20,
            "DTYPA": raw.dtypa,
            "GRPDLY": float(sequence.group_delay),
            "INSTRUM": self._settings.instrument if neo else "spect",
            "NC": raw.nc,
            "NS": scans,
            "OVERFLW": int(overflow),
            "TE": te_K if te_K is not None else 0.0,
            "YMAX_a": raw.largest,
            "YMIN_a": raw.smallest,
        }
        par.write(status, "SW_h", 1.0 / sequence.dwell_s)
        if neo:
            status |= {"UUID": running.uuid, "ExpStatus": 0 if running.ended_by else 4}
        if layout == "4.2":
            status |= {"DATE_START": round(running.started_s), "TE_RAW": te_K if te_K is not None else 0.0}
        if sequence.experiment == "exsy":
            par.write(status, "D 0", sequence.first_t1_s)
            par.write(status, "IN 0", sequence.increment_s)
        self._datasets.put(place.folder / "acqus", status)
        if running.indirect is not None:
            second = dict(running.indirect)
            if sequence.experiment == "exsy":
                par.write(second, "SW_h", 1.0 / sequence.increment_s)
            self._datasets.put(place.folder / "acqu2s", {**second, "TD": rows, "NusTD": rows})
        self._write_processing(running, status)
        if neo:
            text = f'<?xml version="1.0" encoding="UTF-8"?>\n<adcInfo adcOverflow="{"yes" if overflow else "no"}"/>\n'
            self._files.write_text(place.folder / "adcInfo_TRX1.xml", text)

    def _write_processing(self, running: Acquisition, status: Parameters) -> None:
        carrier = {"SF": status["BF1"], "AXNUC": status["NUC1"]}
        for name, width in (("proc", par.number(status, "SW_h")), ("proc2", None)):
            path = running.place.processed / name
            if not self._datasets.has(path) or (width is None and running.indirect is None):
                continue
            width_Hz = width if width is not None else par.number(running.indirect or {}, "SW_h")
            offset_ppm = running.sequence.carrier_ppm + width_Hz / 2 / par.number(status, "BF1")
            values = {**self._datasets.values(path), **carrier}
            self._datasets.put(path.with_name(f"{name}s"), {**values, "SW_p": width_Hz, "OFFSET": offset_ppm})

    def write_programs(self, running: Acquisition) -> None:
        """Keep pulse program and list with the data, where this version keeps them."""
        folder, sequence = running.place.folder, running.sequence
        text = bruker.pulse_program_text(sequence)
        new = self._settings.layout == "4.2"
        self._files.write_text(folder / ("pulseprogram.precomp" if new else "pulseprogram"), text)
        if new:
            self._files.write_text(folder / "lists" / "pp" / sequence.pulse_program, text)
        for kind, key, experiment in (("vd", "VDLIST", "saturation_recovery"), ("vp", "VPLIST", "nutation")):
            if sequence.experiment != experiment:
                continue
            name = str(running.direct[key])
            path = _lists.find(lists_dir(self._settings), kind, name, folder)
            target = folder / "lists" / kind / name if new else folder / f"{kind}list"
            if path is not None and path != target:
                self._files.copy(path, target)

    @staticmethod
    def audit_blocks(path: Path) -> list[str]:
        """Return the blocks of an audit trail; none if there is none."""
        return bruker.blocks_of(path.read_text(encoding="utf-8")) if path.exists() else []

    def write_audit(self, path: Path, blocks: list[str]) -> None:
        """Write a whole audit trail."""
        self._files.write_text(path, bruker.audit_trail(blocks, self._settings, path.as_posix()))

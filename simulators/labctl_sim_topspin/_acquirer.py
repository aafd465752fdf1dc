"""An acquisition from ZG to its last file: started, ended or halted, written, transferred.

NEO consoles (layouts 4.0.8 and 4.2) acquire on their embedded computer and transfer at the end: the audit trail may
say completed before the raw data are on the workstation's disk. Older ones (3.6) allocate the ``ser`` at once.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl_sim_topspin import _bruker_files as bruker
from labctl_sim_topspin import _lists
from labctl_sim_topspin import _parameters as par
from labctl_sim_topspin._acquisition import PulseProgramError, counts, sequence_of, signal
from labctl_sim_topspin._datasets import Datasets, Place
from labctl_sim_topspin._files import ConsoleFiles
from labctl_sim_topspin._physics import keyed_normal
from labctl_sim_topspin._plant import Plant
from labctl_sim_topspin._record import Acquisition, Transfer
from labctl_sim_topspin._settings import Settings
from labctl_sim_topspin._writing import Writer, lists_dir

if TYPE_CHECKING:
    from labctl_sim_sample import NmrSample


class Acquirer:
    """Carries out acquisitions, one at a time.

    Parameters
    ----------
    nmr : callable
        The sample's NMR, loaded when first needed.
    """

    def __init__(
        self,
        settings: Settings,
        files: ConsoleFiles,
        datasets: Datasets,
        plant: Plant,
        *,
        seed: int,
        nmr: Callable[[], NmrSample],
        now_s: Callable[[], float],
        wall_s: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._files = files
        self._datasets = datasets
        self._plant = plant
        self._seed = seed
        self._nmr = nmr
        self._now_s = now_s
        self._wall_s = wall_s
        self._writer = Writer(settings, files, datasets, plant)
        self.running: Acquisition | None = None
        self.transfers: list[Transfer] = []
        self.number = 0
        self.disk_full = False
        self.slow_s = 0.0
        """How long the disk takes over what is written at the end of an acquisition."""

    def change_sample(self, nmr: Callable[[], NmrSample]) -> None:
        """See another sample from now on."""
        self._nmr = nmr

    # ----------------------------------------------------------------------------------------- start

    def start(self, place: Place, *, program: int) -> Acquisition:
        """Start what the request parameters of a dataset ask for; its raw data are gone.

        Raises
        ------
        PulseProgramError
            It cannot start; nothing was touched.
        """
        if self.running is not None:
            raise PulseProgramError(f"an acquisition is running in expno {self.running.place.expno}")
        direct = dict(self._datasets.values(place.folder / "acqu"))
        second = place.folder / "acqu2"
        two_dimensional = par.number(direct, "PARMODE") == 1
        indirect = dict(self._datasets.values(second)) if two_dimensional and self._datasets.has(second) else None
        sequence = sequence_of(direct, indirect, self._settings, lambda kind, name: self._list(place, kind, name))
        self.number += 1
        now_s = self._now_s()
        title = self._datasets.title(place)
        digest = hashlib.blake2b(f"{self._seed}|{title}|{place.expno}".encode(), digest_size=16).digest()
        self._plant.watch()
        settled_K = self._plant.vt.aim_K + self._plant.lift_K if self._plant.settled else None
        self.running = Acquisition(
            place=place,
            title=title,
            number=self.number,
            uuid=str(uuid.UUID(bytes=digest, version=4)),
            sequence=sequence,
            direct=direct,
            indirect=indirect,
            start_s=now_s,
            end_s=now_s + sequence.duration_s(),
            skew_s=self._wall_s() - now_s,
            rows=sequence.rows,
            scans=sequence.rows * sequence.scans,
            settled_K=settled_K,
            program=program,
        )
        self._prepare(self.running)
        return self.running

    def _prepare(self, running: Acquisition) -> None:
        place, layout = running.place, self._settings.layout
        had_data = self._datasets.raw(place) is not None
        self._datasets.remove_data(place)
        audit = place.folder / "audita.txt"
        if layout == "4.2":
            blocks = self._writer.audit_blocks(audit) if had_data else []
            if had_data:
                blocks.append(bruker.deleted_block(len(blocks) + 1, running.started_s, self._settings))
            blocks.append(bruker.in_progress_block(len(blocks) + 1, running.started_s, running.uuid, self._settings))
            self._writer.write_audit(audit, blocks)
        else:
            self._files.remove(audit)
        if layout == "3.6" and running.sequence.two_dimensional and not self.disk_full:
            whole = bruker.raw_size(running.sequence, layout)
            growing = self._settings.ser_during_acquisition == "growing"
            self._files.allocate(place.folder / "ser", 0 if growing else whole)

    # ------------------------------------------------------------------------------------------- end

    def halt(self) -> bool:
        """End after the scan under way; False if nothing runs."""
        running = self.running
        if running is None:
            return False
        if running.ended_by:
            return True
        end_s, running.rows, running.scans = running.sequence.after_scan(self._now_s() - running.start_s)
        running.end_s = running.start_s + end_s
        running.ended_by = "halt"
        return True

    def stop(self) -> bool:
        """End now, without the row under way; False if nothing runs."""
        running = self.running
        if running is None:
            return False
        elapsed_s = self._now_s() - running.start_s
        starts_s = running.sequence.row_starts_s()
        running.rows = int((starts_s[1:] <= elapsed_s).sum())
        running.scans = running.rows * running.sequence.scans
        running.end_s = self._now_s()
        running.ended_by = "stop"
        return True

    def kill(self) -> bool:
        """Drop the acquisition; the dataset stays as inconsistent as it is. False if nothing ran."""
        was = self.running is not None
        self.grow()
        self.running = None
        self._plant.history = []
        return was

    def grow(self) -> None:
        """Let the ``ser`` be what the console shows of it so far, for whoever looks."""
        running, layout = self.running, self._settings.layout
        if running is not None and self._settings.ser_during_acquisition == "rows":
            self._show(running)
            return
        if running is None or layout != "3.6" or self._settings.ser_during_acquisition != "growing":
            return
        if running.sequence.two_dimensional and not self.disk_full:
            elapsed_s = self._now_s() - running.start_s
            rows = int((running.sequence.row_starts_s()[1:] <= elapsed_s).sum())
            path = running.place.folder / "ser"
            size = bruker.raw_size(running.sequence, layout) // running.sequence.rows * rows
            if not path.exists() or path.stat().st_size < size:
                self._files.allocate(path, size)

    def _show(self, running: Acquisition) -> None:
        """Write the rows that are complete, in a ``ser`` of full size, with status parameters."""
        sequence = running.sequence
        elapsed_s = self._now_s() - running.start_s
        rows = min(running.rows, int((sequence.row_starts_s()[1:] <= elapsed_s).sum()))
        if not sequence.two_dimensional or self.disk_full or rows <= running.shown:
            return
        raw, overflow = self._acquire(running, rows, rows * sequence.scans)
        rest = bytes(bruker.raw_size(sequence, self._settings.layout) - len(raw.data))
        self._files.write(running.place.folder / "ser", raw.data, rest)
        self._writer.write_status(running, raw, rows=sequence.rows, scans=sequence.scans, overflow=overflow)
        running.shown = rows

    def finish(self) -> tuple[Acquisition, int, str]:
        """Write everything at the end of the acquisition; return it, ZG's return code and a message."""
        running = self.running
        assert running is not None
        self.running = None
        code = self._settings.code_after_halt if running.ended_by else 0
        if self.disk_full:
            self._plant.history = []
            return running, -1, f"disk full: expno {running.place.expno} could not be written"
        sequence, place = running.sequence, running.place
        one_row_started = not sequence.two_dimensional and running.scans > 0 and running.ended_by != "stop"
        rows = (1 if one_row_started else 0) if not sequence.two_dimensional else running.rows
        scans = sequence.scans if sequence.two_dimensional else running.scans
        raw, overflow = self._acquire(running, rows, scans)
        self._plant.history = []
        if rows:
            self._store(running, raw)
        self._writer.write_status(running, raw, rows=rows, scans=scans, overflow=overflow)
        self._writer.write_programs(running)
        audit = place.folder / "audita.txt"
        blocks = self._writer.audit_blocks(audit) if self._settings.layout == "4.2" else []
        entry = bruker.AuditEntry(
            started_s=running.started_s,
            ended_s=running.end_s + self._wall_s() - self._now_s(),
            uuid=running.uuid,
            ended_by=running.ended_by,
            points=sequence.points,
            rows=rows if sequence.two_dimensional else None,
            md5=raw.md5,
            configuration_md5=hashlib.md5(running.uuid.encode(), usedforsecurity=False).hexdigest(),
        )
        self._writer.write_audit(audit, [*blocks, bruker.closing_block(len(blocks) + 1, entry, self._settings)])
        self._datasets.flush()
        how = f"terminated by {running.ended_by}" if running.ended_by else "finished"
        return running, code, f"zg: expno {place.expno} {how}, {rows} of {sequence.rows} rows"

    def transfer(self, transfer: Transfer) -> None:
        """Put raw data where they belong."""
        self.transfers.remove(transfer)
        if not self.disk_full:
            self._files.publish(Path(transfer.source), Path(transfer.target))

    def _acquire(self, running: Acquisition, rows: int, scans: int) -> tuple[bruker.RawData, bool]:
        sequence, nmr = running.sequence, self._nmr()
        steady_K: float | None = None
        if running.settled_K is not None and len(self._plant.history) == 1:
            wander_K = keyed_normal(self._seed, "wander", running.title) * self._settings.thermal.wander_K
            steady_K = running.settled_K + wander_K

        def temperature_K(elapsed_s: float) -> float:
            return self._plant.sample_at_K(running.start_s + elapsed_s) if steady_K is None else steady_K

        spinning_Hz = self._plant.mas.aim_Hz
        # All rows, even of a halted one: cut short, the same matrix product may round its last bits another way.
        fids = signal(sequence, nmr, temperature_K=temperature_K, spinning_Hz=spinning_Hz)[:rows]
        summed, overflow = counts(
            sequence,
            fids,
            noise=nmr.noise_per_scan,
            scans=scans,
            per_unit=self._settings.counts,
            key=f"{self._seed}|{running.title}",
        )
        if running.mishap.overflow:
            limit = 0.5 * float(abs(summed).max()) if summed.size else 0.0
            parts = summed.view(float)
            parts.clip(-limit, limit, out=parts)
        raw = bruker.raw_data(summed, two_dimensional=sequence.two_dimensional, layout=self._settings.layout)
        return raw, overflow or running.mishap.overflow

    def _store(self, running: Acquisition, raw: bruker.RawData) -> None:
        sequence, layout = running.sequence, self._settings.layout
        target = running.place.folder / ("ser" if sequence.two_dimensional else "fid")
        data: list[bytes | memoryview] = [raw.data]
        planned = bruker.raw_size(sequence, layout)
        if running.ended_by and sequence.two_dimensional:
            data.append(bytes(planned - len(raw.data)))  # allocated at full size: what was not acquired stays zero
        if running.mishap.short_rows:
            row = planned // sequence.rows
            cut = running.mishap.short_rows * row if sequence.two_dimensional else row // 2
            data = [raw.data[: max(0, len(raw.data) - cut)]]
        late_s = running.mishap.late_s + self.slow_s + (0.0 if layout == "3.6" else self._settings.transfer_delay_s)
        if late_s <= 0.0:
            self._files.write(target, *data)
            return
        staged = self._settings.root / "staging" / f"{running.number}.raw"
        self._files.write(staged, *data)
        self._files.write(target, raw.data[: len(raw.data) // 8])  # what has come across so far
        self.transfers.append(Transfer(at_s=running.end_s + late_s, source=str(staged), target=str(target)))

    # ----------------------------------------------------------------------------------------- pieces

    def _list(self, place: Place, kind: str, name: str) -> tuple[float, ...]:
        path = _lists.find(lists_dir(self._settings), kind, name, place.folder)
        if path is None:
            raise PulseProgramError(f"list {kind}/{name or '(no name)'} not found")
        try:
            values = _lists.values_s(path.read_text(encoding="utf-8"), bare="u" if kind == "vp" else "s")
        except (ValueError, UnicodeDecodeError) as problem:
            raise PulseProgramError(f"list {kind}/{name}: {problem}") from None
        if not values:
            raise PulseProgramError(f"list {kind}/{name} is empty")
        return values

    # ------------------------------------------------------------------------------------------ state

    def plain(self) -> dict[str, Any]:
        """Return plain data for the console's state."""
        return {
            "running": None if self.running is None else self.running.plain(),
            "transfers": [asdict(transfer) for transfer in self.transfers],
            "number": self.number,
            "disk_full": self.disk_full,
            "slow_s": self.slow_s,
        }

    def take_up(self, data: dict[str, Any]) -> None:
        """Go on from plain data."""
        self.running = None if data["running"] is None else Acquisition.from_plain(data["running"])
        self.transfers = [Transfer(**transfer) for transfer in data["transfers"]]
        self.number, self.disk_full = data["number"], data["disk_full"]
        self.slow_s = data.get("slow_s", 0.0)

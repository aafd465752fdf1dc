"""What a dataset says of an acquisition: title token, audit trail, sizes. Files are the truth, return codes are not.

A dataset counts as complete when its audit trail has an end entry *and* its raw data have the size that its own
parameters imply *and* nothing has changed for a quiet period: a console may write the end entry before the last
rows have come over from the acquisition computer, and clients that did not wait have shipped cut files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labctl.errors import InputError
from labctl.formats.bruker_audit import AuditTrail, read_audit
from labctl.formats.bruker_jcamp import Value, read_jcamp, read_text
from labctl.ports import Evidence, Standing

BLOCK_BYTES = 1024
SAMPLE_BYTES = {0: 4, 2: 8}

Signature = tuple[int, int]
"""Size [bytes] and time of the last change [ns]; a preallocated ``ser`` changes only the latter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    """One EXPNO as it stands on disk.

    Attributes
    ----------
    exists : bool
        There is a folder at all.
    title : str
        ``pdata/1/title``.
    raw : Path or None
        ``ser`` or ``fid``.
    signature : tuple or None
        By which growth is noticed.
    audit : AuditTrail or None
        None where there is none, or while it is being written.
    acqus, acqu2s, acqu2 : dict
        Empty where there are none, or while they are being written.
    """

    folder: Path
    exists: bool
    title: str = ""
    raw: Path | None = None
    signature: Signature | None = None
    audit: AuditTrail | None = None
    acqus: dict[str, Value]
    acqu2s: dict[str, Value]
    acqu2: dict[str, Value]

    @property
    def ended(self) -> bool:
        """The audit trail has an end entry."""
        return self.audit is not None and self.audit.ended != "unknown"

    @property
    def terminated(self) -> bool:
        """It ended by `halt` or `stop`."""
        return self.audit is not None and self.audit.ended in {"halt", "stop"}

    def rows_asked(self) -> int:
        """TD of F1 as requested; 1 for a 1D."""
        return _integer(self.acqu2, "TD") or _integer(self.acqu2s, "TD") or 1

    def rows_acquired(self) -> int:
        """TD of F1 as acquired (`halt` and `stop` reduce it); 1 for a 1D."""
        return _integer(self.acqu2s, "TD") or self.rows_asked()

    def expected_bytes(self) -> tuple[int, ...]:
        """Sizes a whole raw file may have; empty while the status parameters are not there.

        Each row of a ``ser`` fills blocks of 1024 bytes; a ``fid`` may or may not. After `halt` and `stop` a
        ``ser`` may keep the size planned.
        """
        points, sample = _integer(self.acqus, "TD"), SAMPLE_BYTES.get(_integer(self.acqus, "DTYPA"))
        if not points or sample is None or self.raw is None:
            return ()
        padded = -(-points * sample // BLOCK_BYTES) * BLOCK_BYTES
        if self.raw.name == "fid":
            return (points * sample, padded)
        return tuple(dict.fromkeys((self.rows_acquired() * padded, self.rows_asked() * padded)))

    @property
    def whole(self) -> bool:
        """The raw data have the size their parameters imply."""
        return self.signature is not None and self.signature[0] in self.expected_bytes()

    def short_of(self, *, rows: int, scans: int) -> str:
        """Say what is missing of what was asked for, empty if nothing is."""
        if rows and self.rows_acquired() < rows:
            return f"{self.rows_acquired()} of {rows} rows"
        acquired = _integer(self.acqus, "NS")
        if self.terminated and not rows and acquired < scans:
            return f"{acquired} of {scans} scans"
        return ""


def look_at(folder: Path) -> DatasetView:
    """Return what stands in an EXPNO folder; files that are being written count as not there."""
    raw = next((path for name in ("ser", "fid") if (path := folder / name).is_file()), None)
    signature = None
    if raw is not None:
        status = raw.stat()
        signature = (status.st_size, status.st_mtime_ns)
    audit = None
    if (folder / "audita.txt").is_file():
        try:
            audit = read_audit(folder / "audita.txt")
        except InputError:
            audit = None
    title_path = folder / "pdata" / "1" / "title"
    return DatasetView(
        folder=folder,
        exists=folder.is_dir(),
        title=read_text(title_path).strip() if title_path.is_file() else "",
        raw=raw,
        signature=signature,
        audit=audit,
        acqus=_parameters(folder / "acqus"),
        acqu2s=_parameters(folder / "acqu2s"),
        acqu2=_parameters(folder / "acqu2"),
    )


def _parameters(path: Path) -> dict[str, Value]:
    if not path.is_file():
        return {}
    try:
        return read_jcamp(path)
    except InputError:
        return {}


def _integer(parameters: dict[str, Value], name: str) -> int:
    value = parameters.get(name, 0)
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0


def acquisition_evidence(
    view: DatasetView, *, token: str, rows: int, scans: int, begun: bool, busy: bool, handed_over: bool
) -> Evidence:
    """Return how an acquisition stands by what is on disk.

    Parameters
    ----------
    token : str
        What the title of our dataset carries.
    rows, scans : int
        What was asked for; 0 rows for a 1D.
    begun : bool
        The executor's records say that it began this order.
    busy : bool
        An executor that is there has begun this order and not ended it.
    handed_over : bool
        A step file carries the token.

    Notes
    -----
    1. no EXPNO folder: not started. 2. our token, no raw data, idle: prepared. 3. busy with it: running.
    4. idle, end entry and whole: finished. 5. idle, raw data short or without end: interrupted. 6. a folder
    without our token: foreign, nothing may be touched.
    """
    ours = token in view.title
    if view.exists and not ours and (view.raw is not None or not begun):
        holds = f"{view.raw.name} of {view.signature[0]} bytes" if view.raw and view.signature else "no raw data"
        return Evidence(
            standing=Standing.FOREIGN,
            detail=f"{view.folder} does not carry {token} in its title ({view.title[:60]!r}); it holds {holds}",
        )
    if view.raw is not None and view.ended and view.whole and not busy:
        short = view.short_of(rows=rows, scans=scans)
        if short:
            return Evidence(
                standing=Standing.INTERRUPTED,
                detail=f"terminated by {view.audit.ended if view.audit else '?'} after {short}",
            )
        return Evidence(standing=Standing.FINISHED, detail="audit trail has its end entry and the raw data are whole")
    if busy:
        return Evidence(standing=Standing.RUNNING, detail="the executor has begun it and has not ended it")
    if view.raw is not None:
        size = view.signature[0] if view.signature else 0
        wanted = " or ".join(map(str, view.expected_bytes())) or "unknown"
        said = view.audit.ended if view.audit else "no audit trail"
        return Evidence(
            standing=Standing.INTERRUPTED,
            detail=f"raw data of {size} bytes (expected {wanted}), end by the audit trail: {said}",
        )
    if view.exists or handed_over:
        return Evidence(standing=Standing.PREPARED, detail="handed over, no raw data")
    return Evidence(standing=Standing.NOT_STARTED, detail=f"no folder {view.folder} and no step with this token")

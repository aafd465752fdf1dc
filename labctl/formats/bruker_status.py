"""The parameter files of one EXPNO: status where there is status, requested where a comparison needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Finding, InputError
from labctl.formats.bruker_audit import AuditTrail, read_audit
from labctl.formats.bruker_jcamp import Value, read_jcamp, read_text


@dataclass(frozen=True, slots=True)
class StatusParameters:
    """The parameter files of one EXPNO; `acqu2s` is None for a 1D."""

    folder: Path
    acqus: dict[str, Value]
    acqu2s: dict[str, Value] | None
    acqu2: dict[str, Value]
    procs: dict[str, Value]
    proc2s: dict[str, Value]
    audit: AuditTrail | None

    @classmethod
    def read(cls, folder: Path) -> StatusParameters:
        """Read whatever parameter files are there; ``acqus`` must be."""
        if not (folder / "acqus").is_file():
            expected = "a Bruker EXPNO folder that holds acqus and fid or ser"
            raise InputError(
                findings=(Finding(file=str(folder), what="no file acqus here", expected=f"expected {expected}"),)
            )
        procno = _procno(folder)

        def optional(path: Path | None) -> dict[str, Value]:
            return read_jcamp(path) if path is not None and path.is_file() else {}

        acqu2s = optional(folder / "acqu2s") or optional(folder / "acqu2") or None
        return cls(
            folder=folder,
            acqus=read_jcamp(folder / "acqus"),
            acqu2s=acqu2s if (folder / "ser").is_file() or not (folder / "fid").is_file() else None,
            acqu2=optional(folder / "acqu2"),
            procs=optional(procno and procno / "procs"),
            proc2s=optional(procno and procno / "proc2s"),
            audit=read_audit(folder / "audita.txt") if (folder / "audita.txt").is_file() else None,
        )

    def number(self, name: str) -> float:
        """Return a positive number of acqus, or say that it is missing."""
        value = self.acqus.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise InputError(
                findings=(
                    Finding(
                        file=str(self.folder / "acqus"),
                        key_path=name,
                        what="the parameter is missing" if value is None else "the parameter makes no sense",
                        value="" if value is None else repr(value),
                        expected="expected a positive number",
                    ),
                )
            )
        return float(value)

    def integer(self, name: str, default: int) -> int:
        """Return an integer of acqus, or `default`."""
        value = self.acqus.get(name, default)
        return int(value) if isinstance(value, (int, float)) else default

    def text(self, name: str) -> str:
        """Return a text of acqus, empty if it is not there."""
        value = self.acqus.get(name, "")
        return value if isinstance(value, str) else str(value)

    def _element(self, array: str, index: int) -> float | None:
        values = self.acqus.get(array)
        if not isinstance(values, list) or len(values) <= index:
            return None
        value = values[index]
        return float(value) if isinstance(value, (int, float)) else None

    def delay(self, index: int) -> float | None:
        """D index [s]."""
        return self._element("D", index)

    def pulse(self, index: int) -> float | None:
        """P index [s]."""
        value = self._element("P", index)
        return None if value is None else value * 1e-6

    @property
    def rows_written(self) -> int:
        """TD of F1 after the acquisition (reduced by `halt` and `stop`), 1 for a 1D."""
        td = 1 if self.acqu2s is None else self.acqu2s.get("TD", 1)
        return int(td) if isinstance(td, (int, float)) else 1

    @property
    def topspin(self) -> tuple[int, ...]:
        """Version that acquired, by the audit trail or else by the title of acqus; empty if unknown."""
        text = (self.audit.version if self.audit else "") or self.text("TITLE").split()[-1:] or ""
        parts = (text if isinstance(text, str) else text[0]).split(".")
        return tuple(int(part) for part in parts if part.isdigit())

    @property
    def title(self) -> str:
        """The title a person (or labctl) gave the dataset."""
        procno = _procno(self.folder)
        path = procno / "title" if procno else None
        return read_text(path).strip() if path is not None and path.is_file() else ""


def _procno(folder: Path) -> Path | None:
    try:
        candidates = [path for path in (folder / "pdata").iterdir() if path.is_dir()]
    except OSError:
        return None
    return min(candidates, key=lambda path: (not path.name.isdigit(), path.name.zfill(8)), default=None)

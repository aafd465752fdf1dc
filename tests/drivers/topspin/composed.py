"""EXPNO folders and job-folder records as a console would leave them, written by hand for the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

AUDIT = """##TITLE= Audit trail, TopSpin 4.0.8
##JCAMPDX= 5.01
##ORIGIN= Bruker BioSpin GmbH
##OWNER= root
$$ audita.txt
##AUDIT TRAIL=  $$ (NUMBER, WHEN, WHO, WHERE, PROCESS, VERSION, WHAT)
(   1,<2026-01-12 22:49:19.777 +0000>,<root>,<BladeEpu>,<go4>,<TopSpin 4.0.8>,
      <{what}>)
##END=
"""
STARTED = "created by zg\n       started at 2026-01-12 20:00:00.000 +0000, POWCHK enabled, PULCHK disabled,\n       "
COMPLETED = STARTED + "completed at 2026-01-12 22:49:19.775 +0000"
HALTED = STARTED + "terminated by command 'halt' at 2026-01-12 22:49:19.775 +0000"


@dataclass(frozen=True, kw_only=True)
class Composed:
    """What an EXPNO folder shall hold; None leaves a file out."""

    title: str | None = "campaign nmr/x 0a1b2c3d-1"
    audit: str | None = COMPLETED
    raw_bytes: int | None = 16 * 4096
    two_dimensional: bool = True
    points: int = 512
    rows_asked: int = 16
    rows_acquired: int = 16
    scans: int = 8
    te_K: float = 333.15

    def write(self, folder: Path) -> Path:
        """Write it and return the folder."""
        processed = folder / "pdata" / "1"
        processed.mkdir(parents=True)
        (folder / "acqu").write_text("##$TD= 512\n##END=\n", encoding="utf-8")
        if self.title is not None:
            (processed / "title").write_text(self.title + "\n", encoding="utf-8")
        if self.audit is not None:
            (folder / "audita.txt").write_text(AUDIT.format(what=self.audit), encoding="utf-8")
        if self.raw_bytes is not None:
            (folder / ("ser" if self.two_dimensional else "fid")).write_bytes(b"\1" * self.raw_bytes)
            (folder / "acqus").write_text(self._acqus(), encoding="utf-8")
        if self.two_dimensional:
            for name, rows in (("acqu2", self.rows_asked), ("acqu2s", self.rows_acquired)):
                if name == "acqu2" or self.raw_bytes is not None:
                    (folder / name).write_text(
                        f"##$TD= {rows}\n##$SW_h= 1250\n##$FnMODE= 5\n##END=\n", encoding="utf-8"
                    )
        return folder

    def _acqus(self) -> str:
        def array(values: dict[int, float]) -> str:
            return "(0..63)\n" + " ".join(f"{values.get(index, 0.0):.15g}" for index in range(64))

        return "\n".join(
            [
                "##TITLE= Parameter file, TopSpin 4.0.8",
                "##$BF1= 73.578",
                "##$CNST= " + array({31: 10000.0}),
                "##$D= " + array({1: 5.0, 8: 0.2}),
                "##$DS= 4",
                "##$DTYPA= 2",
                "##$MASR= 4200",
                f"##$NS= {self.scans}",
                "##$NUC1= <6Li>",
                "##$O1= 110.367",
                "##$OVERFLW= 0",
                "##$P= " + array({1: 4.9}),
                "##$PULPROG= <noesyph>",
                "##$RG= 64",
                "##$SFO1= 73.578110367",
                "##$SW_h= 10000",
                f"##$TD= {self.points}",
                f"##$TE= {self.te_K}",
                "##$UUID= <014ec2dc>",
                "##END=",
                "",
            ]
        )

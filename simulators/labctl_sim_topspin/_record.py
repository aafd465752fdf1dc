"""What the console remembers of an acquisition under way, and of raw data under way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from labctl_sim_topspin._acquisition import Sequence
from labctl_sim_topspin._datasets import Place
from labctl_sim_topspin._parameters import Parameters


@dataclass(slots=True, kw_only=True)
class Mishap:
    """What a fault script does to the files of one acquisition."""

    late_s: float = 0.0
    short_rows: int = 0
    overflow: bool = False


@dataclass(slots=True, kw_only=True)
class Acquisition:
    """The acquisition under way; plain data but for its sequence.

    `program` is the AU program that waits for its end (0: typed by a person). `rows` and `scans` (of all rows) say
    what there will be at `end_s`.
    """

    place: Place
    title: str
    number: int
    uuid: str
    sequence: Sequence
    direct: Parameters
    indirect: Parameters | None
    start_s: float
    end_s: float
    rows: int
    scans: int
    settled_K: float | None
    program: int
    ended_by: str = ""
    mishap: Mishap = field(default_factory=Mishap)
    shown: int = 0
    """Rows that stand in the ``ser`` while it is acquired, where the console shows them."""
    skew_s: float = 0.0
    """By how much the console's clock was beside the lab's time at the start."""

    @property
    def started_s(self) -> float:
        """When it started, by the console's clock."""
        return self.start_s + self.skew_s

    def plain(self) -> dict[str, Any]:
        """Return plain data; the parameters, which do not change any more, as they are."""
        plain: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            **plain,
            "place": asdict(self.place),
            "mishap": asdict(self.mishap),
            "sequence": {item.name: getattr(self.sequence, item.name) for item in fields(self.sequence)},
        }

    @classmethod
    def from_plain(cls, data: dict[str, Any]) -> Acquisition:
        """Return what `plain` was made of."""
        return cls(
            **{
                **data,
                "place": Place(**data["place"]),
                "sequence": Sequence.from_plain(data["sequence"]),
                "mishap": Mishap(**data["mishap"]),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Raw data on their way from the embedded computer."""

    at_s: float
    source: str
    target: str

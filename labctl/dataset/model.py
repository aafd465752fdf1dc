"""The description of a finished dataset and of what analysis first thought of it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DatasetKind = Literal["one_pulse", "nutation", "saturation_recovery", "exsy", "impedance", "cycling"]
Completeness = Literal["complete", "partial", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One file of a dataset: path relative to the run folder (posix), size [bytes] and sha256 (hex)."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTemperature:
    """The temperature of the sample and how it is known.

    `setpoint_K` was sent, `sensor_K` was read back (mean over the acquisition), `sample_K` ± `sample_se_K`
    is what calibration `model` makes of it.
    """

    setpoint_K: float
    sensor_K: float
    sample_K: float
    sample_se_K: float
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A finished acquisition as the journal, the analysis and the report know it.

    Attributes
    ----------
    step_id : str
        ``nmr500/vt_exsy/T02/tmix03``.
    key, attempt : str, int
        Identity of the step (hash of its unresolved parameters) and how many times it was begun.
    directory : str
        Folder of the raw data relative to the run folder (posix), ``nmr500/2031``.
    settings : mapping
        Parameters *read back* from the instrument's own files, units in the keys
        (``mixing_time_s``, ``recycle_delay_s``, ``scans``, ``rows``, ``sensor_before_K``...).
    started_s, ended_s : float
        Wall time [s since 1970 UTC] by the instrument's records.
    part, part_from : int
        0: the whole. Else what was brought in while the acquisition went on: its parts (cycles) from `part_from` to
        `part`, counted from 1; together with the parts before it is the beginning of the whole.
    """

    step_id: str
    key: str
    attempt: int
    station: str
    procedure: str
    kind: DatasetKind
    directory: str
    files: tuple[DataFile, ...]
    completeness: Completeness
    started_s: float
    ended_s: float
    temperature: SampleTemperature | None = None
    temperature_index: int | None = None
    settings: Mapping[str, float | int | str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    part: int = 0
    part_from: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the analysis says of one dataset at once; journaled with the hand-off, so replay agrees.

    Attributes
    ----------
    gate : str
        ``pass``; ``settled`` ends a series of settling checks early; ``stop`` asks for a person; ``enough``, of a part:
        the acquisition it belongs to has told its share and is ended, what it has is kept and used.
    measured : mapping
        Numbers that later steps may need, units in the keys: ``T1_s/Li2S``, ``p90_us``, ``line_ppm/LPSC``.
    message : str
        One sentence for people.
    """

    gate: Literal["pass", "settled", "stop", "enough"] = "pass"
    measured: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    warnings: tuple[str, ...] = ()

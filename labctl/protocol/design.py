"""What an author wants to know and believes beforehand, so that `labctl plan --design` can choose the measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator

from labctl.protocol.quantity import Quantity, ShortForm, Written, as_block, fault, key
from labctl.protocol.sample import SiteName

ALL_PHASES = "*"
"""Key of a mapping by phase for a value that holds for every phase."""

Energy = Annotated[float, Quantity("eV", "120 meV", above="0 eV", at_most="5 eV")]
Rate = Annotated[float, Quantity("1/s", "0.003 /s", above="1e-12 /s", at_most="1e9 /s")]
Width = Annotated[float, Quantity("Hz", "30 Hz", above="0 Hz", at_most="100 kHz")]
Share = Annotated[float, Quantity("percent", "1 %", above="0 %", at_most="100 %")]


def _for_all(value: Any) -> Any:
    """One value for all phases, or one for each: always to a mapping."""
    return value if isinstance(value, dict) else {ALL_PHASES: value}


def _either(quantity: Quantity) -> WithJsonSchema:
    text = quantity.json_schema
    return WithJsonSchema({"anyOf": [text, {"type": "object", "additionalProperties": text}]})


EnergyByPhase = Annotated[
    Mapping[str, Energy], BeforeValidator(_for_all), _either(Quantity("eV", "120 meV", above="0 eV"))
]
RateByPhase = Annotated[Mapping[str, Rate], BeforeValidator(_for_all), _either(Quantity("1/s", "0.003 /s"))]
WidthByPhase = Annotated[Mapping[str, Width], BeforeValidator(_for_all), _either(Quantity("Hz", "30 Hz"))]


def of_phase(table: Mapping[str, float], phase: str) -> float | None:
    """Return a phase's value, or the one that holds for all; None if there is neither."""
    return table.get(phase, table.get(ALL_PHASES))


class Aim(Written):
    """What is wanted: a standard error of Ea, of some phases or of all."""

    Ea_se_eV: Annotated[float, Quantity("eV", "10 meV", above="0.1 meV", at_most="1 eV")] = key(
        "Ea", "standard error of the activation energy that is good enough"
    )
    of: tuple[SiteName, ...] = key("of", "phases whose Ea is wanted; all layers if left out", default=())


class Noise(ShortForm):
    """How noisy a 2D is."""

    amplitude_percent: Share = key(
        "amplitude", "standard error of an amplitude over the sum of all, fully relaxed, at a short mixing time"
    )
    rows: Annotated[int, Field(strict=True, ge=4, le=65536)] = key("rows", "of the 2D meant", default=320)
    scans: Annotated[int, Field(strict=True, ge=1, le=100_000)] = key("scans", "per row of the 2D meant", default=8)

    _short = model_validator(mode="before")(as_block("amplitude"))


_POPULATIONS = "Li in each phase, in any unit common to all (1D intensities)"
_KD = "D / d^2 of each phase or of all; d: radius or half thickness of the innermost"
_WIDTHS = "FWHM of each line, or one for all"
_NOISE = "a text is the amplitude's standard error in 320 rows of 8 scans"


class Wish(Written):
    """Prior and goal of a campaign: what is known goes under `analysis`, what is believed goes here."""

    goal: Aim = key("goal", "what is wanted")
    budget_s: Annotated[float, Quantity("s", "200 h", above="1 h", at_most="1000 d")] = key(
        "budget", "never more instrument time than this", default="60 d"
    )
    populations: Mapping[SiteName, Annotated[float, Field(strict=True, gt=0)]] = key(
        "populations", _POPULATIONS, default={}
    )
    kD_per_s: RateByPhase = key("kD", _KD, default={})
    kD_at_K: Annotated[float, Quantity("K", "20 degC", above="0 K", at_most="1500 K")] = key(
        "at", "temperature at which kD is meant", default="20 degC"
    )
    kD_within: Annotated[float, Field(strict=True, gt=1, le=1000)] = key(
        "kD_within", "factor by which kD may be off, one standard error", default=3.0
    )
    Ea_eV: EnergyByPhase = key("Ea", "activation energy of each phase, or one for all", default="120 meV")
    Ea_within_eV: Energy = key("Ea_within", "standard error of that", default="50 meV")
    contact: Annotated[float, Quantity("percent", "95 %", above="1 %", at_most="100 %")] = key(
        "contact", "part of the Li that takes part in exchange", default="95 %"
    )
    contact_within: Share = key("contact_within", "standard error of that", default="5 %")
    T1_Ea_eV: Annotated[float, Quantity("eV", "90 meV", at_least="-1 eV", at_most="1 eV")] = key(
        "T1_Ea",
        "with which T1 falls from the first temperature on, where t1.expect gives one value",
        default="0 eV",
    )
    widths_Hz: WidthByPhase = key("widths", _WIDTHS, default={})
    noise: Noise | None = key("noise", _NOISE, default=None)

    def missing(self, layers: Sequence[str]) -> dict[str, str]:
        """Return the keys that do not say everything of each of the layers, and what they lack."""
        found = {}
        for name, table in self._tables():
            if lacking := [one for one in layers if of_phase(table, one) is None]:
                found[name] = f"{name} lacks {', '.join(lacking)}"
        if self.noise is None:
            found["noise"] = "noise is missing"
        return found

    def require(self, layers: Sequence[str]) -> None:
        """Raise a validator's error unless what is said is said of each of the layers, and of nothing else."""
        missing = self.missing(layers)
        for name, table in self._tables():
            if table and name in missing:
                raise fault(missing[name], expected=f"a value for each of {', '.join(layers)}")
            if strange := [one for one in table if one not in layers and one != ALL_PHASES]:
                raise fault(f"{name} names {', '.join(strange)}", expected=f"of {', '.join(layers)}")
        if strange := [one for one in self.goal.of if one not in layers]:
            raise fault(f"goal.of names {', '.join(strange)}", expected=f"of {', '.join(layers)}")

    def _tables(self) -> tuple[tuple[str, Mapping[str, float]], ...]:
        return (
            ("populations", self.populations),
            ("kD", self.kD_per_s),
            ("Ea", self.Ea_eV),
            ("widths", self.widths_Hz),
        )


class Design(Wish):
    """What `labctl plan --design` is asked; the procedure's temperatures are those that may be chosen from.

    What pilot data tell may be left out where they are given (`--from`): populations, kD, widths, noise.
    """

    rows: Annotated[tuple[Annotated[int, Field(strict=True, ge=16, le=4096)], ...], Field(min_length=1)] = key(
        "rows", "numbers of rows to choose from; fewer than 48 want known line shapes", default=(48,)
    )


class Adapt(Wish):
    """A campaign that chooses its next 2D by all that were measured before; the procedure's own are the pilot."""

    populations: Mapping[SiteName, Annotated[float, Field(strict=True, gt=0)]] = key("populations", _POPULATIONS)
    kD_per_s: RateByPhase = key("kD", _KD)
    widths_Hz: WidthByPhase = key("widths", _WIDTHS)
    noise: Noise = key("noise", _NOISE)

    temperatures_K: Annotated[
        tuple[Annotated[float, Quantity("K", "20 degC", above="0 K", at_most="1500 K")], ...],
        Field(min_length=2, max_length=30),
    ] = key("temperatures", "of the sample, to choose from")
    mixing_times_s: Annotated[
        tuple[Annotated[float, Quantity("s", "100 ms", above="0 s", at_most="1 h")], ...], Field(max_length=99)
    ] = key("mixing_times", "to choose from; left out: a series from 20 ms to twice the slowest T1", default=())
    stop_early: StrictBool = key(
        "stop_early",
        "end a 2D once nine tenths of what it can tell are in, or the goal is reached; wants a console that shows rows"
        " as they are acquired (`live_rows: ser` in the lab file)",
        default=False,
    )

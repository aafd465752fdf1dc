"""What was published of a measurement, as the author states it: the report compares with it, nothing else uses it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import StringConstraints, model_validator

from labctl import units
from labctl.protocol.quantity import NUMBER, Quantity, Written, fault, key

Relation = Literal["equal", "above", "below", "none", "seen", "shown"]
Convention = Literal["ln D", "ln D T", "ln k", "ln sigma", "ln sigma T", "not stated"]
Temperature = Annotated[float, Quantity("K", "100 degC", above="0 K", at_most="1500 K")]
Mixing = Annotated[float, Quantity("s", "20 s", above="0 s", at_most="1000 d")]
FigureLabel = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}([a-z](-[a-z])?)?$")]

_WORDS: Mapping[str, Relation] = {"none": "none", "seen": "seen"}
_SIGNS: Mapping[str, Relation] = {">": "above", "<": "below"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A published statement in one unit.

    Attributes
    ----------
    relation : str
        ``equal``, ``above``, ``below`` a value; ``none`` or ``seen`` of a peak; ``shown``: a figure without a number.
    value, error : float or None
        Published value and its standard error, in `unit`; most publications give no error.
    step : float
        To which the value is rounded: its last digit, unless the author says otherwise.
    """

    relation: Relation
    unit: str
    value: float | None = None
    error: float | None = None
    step: float = 0.0


class Published(Written):
    """One published number, or a figure without one."""

    UNITS: ClassVar[Mapping[str, str]] = {}
    """Unit of each quantity that may be stated; empty for peaks and for figures alone."""

    figure: FigureLabel = key("figure", "where it stands: `3f`, `3g-i`; the report follows this order")
    what: str
    value: str | None = key(
        "value",
        'number with its unit; "> 97.8 %" or "< 1 %" for a limit; of a cross peak `none` or `seen`; '
        "left out: the figure is shown and no number compared",
        default=None,
    )
    error: str | None = key("error", "published standard error, same unit; left out: none was published", default=None)
    rounded_to: str | None = key(
        "rounded_to", "step to which the value is rounded; its last digit if left out", default=None
    )
    remark: str = key("remark", "what the publication leaves open; stands beside the verdict", default="")

    def claim(self) -> Claim:
        """Return what is stated, in the unit of its quantity.

        Raises
        ------
        labctl.units.QuantityError
            The value is not a quantity of this kind; a loaded protocol has been through this.
        """
        unit = self.UNITS[self.what]
        if self.value is None:
            return Claim(relation="shown", unit=unit)
        text = self.value.strip()
        if text in _WORDS:
            return Claim(relation=_WORDS[text], unit=unit)
        relation = _SIGNS.get(text[:1], "equal")
        text = text.lstrip("<> ")
        return Claim(
            relation=relation,
            unit=unit,
            value=units.parse(text, unit),
            error=None if self.error is None else units.parse(self.error, unit),
            step=last_place(text, unit) if self.rounded_to is None else units.parse(self.rounded_to, unit),
        )

    @model_validator(mode="after")
    def _one_kind(self) -> Published:
        peaks, word = self.what == "cross peak", self.value in _WORDS
        if self.value is None and (self.error is not None or self.rounded_to is not None):
            raise fault("gives an error without a value", expected="value, such as 0.107 eV")
        if peaks != word and self.value is not None:
            expected = (
                "`none` or `seen`" if peaks else f"a number in {self.UNITS[self.what] or 'no unit: leave it out'}"
            )
            raise fault(f"{self.value!r} is no value of a published {self.what}", expected=expected)
        if self.value is not None and not word and not self.UNITS[self.what]:
            raise fault(f"there is no number to compare of {self.what}", expected="no value: the figure is shown")
        try:
            claim = self.claim()
        except units.QuantityError as problem:
            raise fault(problem.what, expected=problem.expected) from None
        if (claim.error is not None and claim.error <= 0.0) or claim.step < 0.0:
            raise fault("has an error or a rounding that is not positive", expected="leave out what is not known")
        return self


def last_place(text: str, unit: str) -> float:
    """Return what one step in the last digit of a number is worth in `unit`: 0.001 of ``0.107 eV``."""
    found = re.match(NUMBER, text)
    if found is None:
        return 0.0
    mantissa, _, exponent = found[0].lower().partition("e")
    places = len(mantissa.partition(".")[2])
    return abs(units.parse(f"1e{int(exponent or 0) - places} {text[found.end() :].strip()}", unit))


class PublishedExchange(Published):
    """Published of an exchange campaign."""

    UNITS: ClassVar[Mapping[str, str]] = {"activation energy": "eV", "cross peak": "", "build-up": "", "spectrum": ""}

    what: Literal["activation energy", "cross peak", "build-up", "spectrum"] = key(
        "what", "`activation energy` and `cross peak` can be compared; `build-up` and `spectrum` are shown"
    )
    of: str = key("of", "pair of sites (`Li2S-LPSC`), phase, or direction (`A->B`); all if left out", default="")
    by: Literal["pairs", "layers", "rates", "not stated"] = key(
        "by",
        "model of an energy: `pairs` one by one, all `layers` together, discrete `rates`; numbers of different models "
        "are not compared",
        default="not stated",
    )
    convention: Convention = key("convention", "what was plotted against 1/T", default="not stated")
    at_K: Temperature | None = key("at", "sample temperature of a cross peak or spectrum", default=None)
    mixing_time_s: Mixing | None = key("mixing_time", "Tmix of a cross peak", default=None)

    @model_validator(mode="after")
    def _peak_has_a_place(self) -> PublishedExchange:
        if self.what == "cross peak" and not (self.of and self.at_K is not None and self.mixing_time_s is not None):
            raise fault("does not say which cross peak", expected="of, at and mixing_time")
        if self.what == "activation energy" and not self.of:
            raise fault("does not say of what the activation energy is", expected="of, such as Li2S-LPSC")
        return self


class PublishedConductivity(Published):
    """Published of an impedance ladder."""

    UNITS: ClassVar[Mapping[str, str]] = {"activation energy": "eV", "conductivity": "S/cm"}

    what: Literal["activation energy", "conductivity"] = key("what", "conductivities are compared at 25 °C")
    convention: Convention = key("convention", "what was plotted against 1/T", default="not stated")


class PublishedCycling(Published):
    """Published of a cell."""

    UNITS: ClassVar[Mapping[str, str]] = {
        "activation plateau": "V",
        "overpotential": "V",
        "coulombic efficiency": "percent",
        "last coulombic efficiency": "percent",
        "discharge capacity": "mAh/g",
        "voltage curves": "",
        "cycle life": "",
    }

    what: Literal[
        "activation plateau",
        "overpotential",
        "coulombic efficiency",
        "last coulombic efficiency",
        "discharge capacity",
        "voltage curves",
        "cycle life",
    ] = key(
        "what",
        "of the first charge: plateau, overpotential; of all cycles that count: mean and last efficiency, mean "
        "discharge capacity; curves and life are shown",
    )


def is_pair(of: str, pair: Sequence[str]) -> bool:
    """Whether a published ``A-B`` means this pair, in either order; names may hold hyphens themselves."""
    return of in {"-".join(pair), "-".join(reversed(pair))}


def figure_order(label: str) -> tuple[int, str]:
    """Return what sorts figure labels as a paper has them: 1f, 3a, 3c, 3g-i, 4, 5a, 10."""
    digits = re.match(r"\d*", label)
    number = digits[0] if digits else ""
    return int(number or 0), label[len(number) :]

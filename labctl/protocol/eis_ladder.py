"""The `eis_ladder` procedure as an author writes it: impedance of one cell at a series of oven temperatures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, model_validator

from labctl.protocol.published import PublishedConductivity
from labctl.protocol.quantity import Quantity, ShortForm, Written, fault, key
from labctl.protocol.sample import OWN_SAMPLE, Sample
from labctl.protocol.vt_exsy import Kelvin, Seconds

Millimetres = Annotated[float, Quantity("mm", "1.28 mm", above="0 mm", at_most="1000 mm")]
Hertz = Annotated[float, Quantity("Hz", "100 kHz", above="0 Hz", at_most="1 MHz")]

OPEN_CIRCUIT = "open circuit"


class OvenSettle(Written):
    """When a temperature counts as reached: in the band and at rest, then in it without a break for `hold`."""

    within_K: Annotated[float, Quantity("K", "0.5 K", above="0 K", at_most="10 K", difference=True)] = key(
        "within", "band around the set point", default="0.5 K"
    )
    give_up_s: Seconds = key("give_up", "time after which the campaign is made safe", default="5 h")


class Amplitude(ShortForm):
    """Of the sine: ``5 mV rms`` or ``7 mV peak``. Which of the two is never guessed: they differ by 1.41."""

    amplitude_V: Annotated[float, Quantity("V", "5 mV", above="0 V", at_most="350 mV")] = key("amplitude", "how much")
    kind: Literal["rms", "peak"] = key("kind", "of which kind")

    @model_validator(mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        amount, _, kind = value.strip().rpartition(" ")
        if kind not in {"rms", "peak"}:
            raise fault("does not say whether it is rms or peak", expected='text such as "5 mV rms" or "7 mV peak"')
        return {"amplitude": amount, "kind": kind}

    @property
    def V_rms(self) -> float:
        """The amplitude, rms [V]."""
        return self.amplitude_V if self.kind == "rms" else self.amplitude_V / 2.0**0.5


class Bias(ShortForm):
    """DC potential under the sine: ``0 V``, or ``open circuit`` for what the cell has by itself just before."""

    potential_V: Annotated[float, Quantity("V", "0 V", at_least="-10 V", at_most="10 V")] | None = key(
        "potential", "between the electrodes; at open circuit if left out", default=None
    )

    @model_validator(mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return {} if value.strip() == OPEN_CIRCUIT else {"potential": value}


class FrequencySweep(Written):
    """One spectrum."""

    from_Hz: Hertz = key("from", "first frequency", default="100 kHz")
    to_Hz: Hertz = key("to", "last frequency", default="1 Hz")
    points_per_decade: Annotated[int, Field(strict=True, ge=1, le=100)] = key(
        "points_per_decade", "evenly in the logarithm", default=10
    )
    amplitude: Amplitude = key("amplitude", "of the sine: text such as `5 mV rms`, or a block", default="5 mV rms")
    bias: Bias = key("bias", "`0 V` for a symmetric, blocking cell; `open circuit` for any other", default="0 V")
    integration_s: Seconds = key("integration", "shortest integration of one point", default="1 s")
    cycles: Annotated[int, Field(strict=True, ge=1, le=1000)] = key("cycles", "fewest periods of one point", default=1)
    settle_s: Annotated[float, Quantity("s", "200 ms", at_least="0 s", at_most="10 min")] = key(
        "settle", "from a new frequency to the start of its integration", default="200 ms"
    )
    mains: Literal["50 Hz", "60 Hz", "none"] = key(
        "mains", "points too close to its harmonics are moved to where it integrates to nothing", default="50 Hz"
    )


class Pellet(Written):
    """The pellet as somebody measured it; conductivities rest on it."""

    thickness_mm: Millimetres = key("thickness", "between the electrodes")
    diameter_mm: Millimetres = key("diameter", "of the electrodes", default="10 mm")
    mass_mg: Annotated[float, Quantity("mg", "200 mg", above="0 mg", at_most="100000 mg")] | None = key(
        "mass", "of the pellet; its density is held against what is plausible", default=None
    )
    thickness_uncertainty_mm: Annotated[float, Quantity("mm", "0.02 mm", at_least="0 mm", at_most="100 mm")] = key(
        "thickness_uncertainty", "standard error", default="0.02 mm"
    )
    diameter_uncertainty_mm: Annotated[float, Quantity("mm", "0.05 mm", at_least="0 mm", at_most="100 mm")] = key(
        "diameter_uncertainty", "standard error", default="0.05 mm"
    )


class EisLadder(Written):
    """Impedance over temperatures: heat, come to rest, soak, sweep; at the end back to where it began."""

    station: str = key("station", "name of the potentiostat in the lab file")
    sample: Sample | None = key("sample", OWN_SAMPLE, default=None)
    temperatures_K: Annotated[tuple[Kelvin, ...], Field(min_length=1, max_length=90)] = key(
        "temperatures", "of the sample, in the order they are visited; upward is faster"
    )
    ramp_K_per_s: Annotated[float, Quantity("K/s", "2 K/min", above="0 K/min", at_most="30 K/min")] = key(
        "ramp", "ramp of the set point", default="2 K/min"
    )
    hold_s: Seconds = key("hold", "soak at each temperature; leaving the band begins it all over", default="30 min")
    settle: OvenSettle = key("settle", "when a temperature counts as reached", default={})
    sweep: FrequencySweep = key("sweep", "the spectrum taken at each temperature", default={})
    repeats: Annotated[int, Field(strict=True, ge=1, le=20)] = key("repeats", "spectra at each temperature", default=1)
    moved_K: Annotated[float, Quantity("K", "0.2 K", above="0 K", at_most="10 K", difference=True)] = key(
        "moved", "a spectrum is flagged when the temperature moved by more than this during it", default="0.2 K"
    )
    pellet: Pellet = key("pellet", "the pellet between its electrodes")
    return_to_first_temperature: StrictBool = key(
        "return_to_first_temperature", "end where it began, which shows what heat has changed for good", default=True
    )
    published: Annotated[tuple[PublishedConductivity, ...], Field(max_length=100)] = key(
        "published", "numbers of a publication; the report holds this campaign's against them", default=()
    )

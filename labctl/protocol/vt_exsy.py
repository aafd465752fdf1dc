"""The `vt_exsy` procedure as an author writes it: variable-temperature 2D-EXSY with the steps of a real campaign.

Defaults are bench practice; a default that a site's manual contradicts is written out in the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from labctl.protocol.analysis import Analysis
from labctl.protocol.blackout import Blackout
from labctl.protocol.design import Adapt, Design, Wish
from labctl.protocol.published import PublishedExchange
from labctl.protocol.quantity import Quantity, ShortForm, Written, as_block, fault, key
from labctl.protocol.sample import OWN_SAMPLE, Sample

Seconds = Annotated[float, Quantity("s", "10 s", above="0 s", at_most="1000 d")]
Kelvin = Annotated[float, Quantity("K", "333 K", above="0 K", at_most="1500 K")]
Fraction = Annotated[float, Quantity("percent", "10 %", above="0 %", at_most="100 %")]
Shift = Annotated[float, Quantity("ppm", "0.02 ppm", above="0 ppm", at_most="1000 ppm")]
Scans = Annotated[int, Field(strict=True, ge=1, le=100_000)]
Factor = Annotated[float, Field(strict=True, ge=0.1, le=10)]

ALL_SITES = "*"
"""Key of `T1.expect_s` for a T1 that holds for every site."""


class Drift(ShortForm):
    """How far a line may move in a time: ``0.02 ppm per 15 min``."""

    shift_ppm: Shift = key("shift", "largest move of the line")
    per_s: Seconds = key("per", "within this time")

    @model_validator(mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        shift, per, time = value.partition(" per ")
        if not per:
            raise fault("does not say within which time", expected='text such as "0.02 ppm per 15 min"')
        return {"shift": shift.strip(), "per": time.strip()}


class Settle(Written):
    """When a temperature counts as reached: first by the sensor, then by the sample's own line."""

    within_K: Annotated[float, Quantity("K", "0.5 K", above="0 K", at_most="10 K", difference=True)] = key(
        "within", "band around the set point", default="0.5 K"
    )
    for_s: Seconds = key("for", "time on end within the band", default="30 min")
    give_up_s: Seconds = key("give_up", "time after which the campaign is made safe", default="90 min")
    shift: Drift | None = key(
        "shift",
        "the line's largest move between two 1Ds; `none` leaves the line unchecked",
        default="0.02 ppm per 15 min",
    )
    scans: Scans = key("scans", "scans of each of these 1Ds", default=8)
    recycle_delay_s: Seconds = key(
        "recycle_delay", "recycle delay of these 1Ds; a position needs no full recovery", default="5 s"
    )

    @model_validator(mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return {**value, "shift": None} if isinstance(value, dict) and value.get("shift") == "none" else value


class Spinning(ShortForm):
    """Magic-angle spinning; the rotor is spun up by a person before the campaign."""

    rate_Hz: Annotated[float, Quantity("Hz", "10 kHz", above="0 Hz", at_most="200 kHz")] = key("rate", "MAS rate")
    tolerance_Hz: Annotated[float, Quantity("Hz", "20 Hz", above="0 Hz", at_most="1 kHz")] = key(
        "tolerance", "largest deviation before heat and before each acquisition", default="20 Hz"
    )
    check_sidebands: StrictBool = key("check_sidebands", "compare sideband spacing with the rate", default=True)

    _short = model_validator(mode="before")(as_block("rate"))


class Tuning(ShortForm):
    """Tuning of the probe at each temperature."""

    by: Literal["operator", "atma", "none"] = key("by", "who tunes; `operator` is a prompt", default="operator")
    give_up_s: Seconds = key("give_up", "then the set point goes to 25 °C", default="30 min")

    _short = model_validator(mode="before")(as_block("by"))


class PulseCheck(Written):
    """Nutation around the 90° pulse."""

    each_temperature: StrictBool = key("each_temperature", "or at the first temperature only", default=True)
    abort_beyond_percent: Fraction = key(
        "abort_beyond", "deviation from the expected 90° pulse that stops the campaign", default="15 %"
    )
    points: Annotated[int, Field(strict=True, ge=4, le=64)] = key("points", "pulse lengths", default=12)
    longest_p90: Annotated[float, Field(strict=True, ge=2, le=8)] = key(
        "longest", "longest pulse as a multiple of the 90° pulse", default=4.0
    )
    recovery_s: Seconds = key("recovery", "recovery after the comb, the same for each row", default="5 s")
    scans: Scans = key("scans", "scans per row", default=8)


class Delays(Written):
    """Recovery delays, log or linear between two ends."""

    from_s: Seconds = key("from", "shortest")
    to_s: Seconds = key("to", "longest")
    points: Annotated[int, Field(strict=True, ge=3, le=256)] = key("points", "how many", default=10)
    spacing: Literal["log", "linear"] = key("spacing", "steps of equal ratio or of equal size", default="log")


def _expected(value: Any) -> Any:
    """One T1, one per temperature, or either of these per site: always to a list per site."""

    def listed(item: Any) -> Any:
        return item if isinstance(item, list) else [item]

    return (
        {site: listed(item) for site, item in value.items()} if isinstance(value, dict) else {ALL_SITES: listed(value)}
    )


_T1_TEXT = Quantity("s", "17 s", above="0 s", at_most="1 d").json_schema
_T1_OR_LIST = {"anyOf": [_T1_TEXT, {"type": "array", "items": _T1_TEXT}]}

ExpectedT1 = Annotated[
    Mapping[str, tuple[Annotated[float, Quantity("s", "17 s", above="0 s", at_most="1 d")], ...]],
    BeforeValidator(_expected),
    WithJsonSchema({"anyOf": [*_T1_OR_LIST["anyOf"], {"type": "object", "additionalProperties": _T1_OR_LIST}]}),
]


class T1(Written):
    """Saturation recovery at each temperature, before the 2Ds."""

    expect_s: ExpectedT1 | None = key(
        "expect",
        "what plan reckons with until it is measured: one value, a list with one per temperature, or either per site",
        default=None,
    )
    delays: Delays = key("delays", "recovery delays")
    scans: Scans = key("scans", "scans per delay", default=8)

    def expected_s(self, site: str, temperature_index: int) -> float | None:
        """Return the T1 [s] plan reckons with at a temperature (counted from 0); the slowest for ``slowest``.

        None when nothing is expected of that site.
        """
        table = self.expect_s or {}
        if site == "slowest":
            lists = list(table.values())
        else:
            found = table.get(site, table.get(ALL_SITES))
            lists = [] if found is None else [found]
        values = [values[min(temperature_index, len(values) - 1)] for values in lists if values]
        return max(values, default=None)


class RecycleDelay(ShortForm):
    """Recycle delay: fixed, or a multiple of a measured T1 with a cap."""

    fixed_s: Seconds | None = key("fixed", "the same at every temperature", default=None)
    times_T1: Factor | None = key("times_T1", "multiple of T1", default=None)
    of: str = key("of", "the site whose T1 counts, or `slowest`", default="slowest")
    max_s: Seconds = key("max", "never longer than this", default="60 s")
    if_longer: Literal["cap", "ask"] = key(
        "if_longer",
        "when the measured T1 makes a 2D longer than planned: keep the planned delay and warn, or wait for a person",
        default="cap",
    )
    ask_beyond_percent: Annotated[float, Quantity("percent", "20 %", at_least="0 %", at_most="1000 %")] = key(
        "ask_beyond", "growth of a 2D from which `if_longer` applies", default="20 %"
    )

    _short = model_validator(mode="before")(as_block("fixed"))

    @model_validator(mode="after")
    def _one_of_two(self) -> RecycleDelay:
        if (self.fixed_s is None) == (self.times_T1 is None):
            raise fault(
                "gives "
                + ("neither a fixed delay nor" if self.fixed_s is None else "both a fixed delay and")
                + " times_T1",
                expected='"50 s", or {times_T1: 3, of: slowest, max: 60 s}',
            )
        return self


class Reference1D(Written):
    """The 1D before and after each 2D, and how much it may change between two."""

    around_each_2d: StrictBool = key("around_each_2d", "or one per temperature only", default=True)
    shift_ppm: Shift = key("shift", "move of a line that is reported", default="0.03 ppm")
    area_percent: Fraction = key("area", "change of area that is reported", default="3 %")
    width_percent: Fraction = key("width", "change of width that is reported", default="10 %")
    scans: Scans = key("scans", "scans of each 1D", default=8)


MixingTimes = Annotated[
    tuple[Annotated[float, Quantity("s", "100 ms", above="0 s", at_most="1 h")], ...],
    Field(min_length=1, max_length=99),
]


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


class Visit(Written):
    """What differs at one temperature from the rest of the procedure."""

    mixing_times_s: MixingTimes | None = key(
        "mixing_times", "Tmix at this temperature; the procedure's if left out", default=None
    )
    scans: Annotated[
        tuple[Scans, ...] | None,
        BeforeValidator(_one_or_more),
        WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}),
    ] = key(
        "scans", "scans per row: one number, or one for each mixing time; the procedure's if left out", default=None
    )


class VtExsy(Written):
    """2D-EXSY over temperatures and mixing times, with everything a careful spectroscopist does around it."""

    station: str = key("station", "name of the spectrometer in the lab file")
    sample: Sample | None = key("sample", OWN_SAMPLE, default=None)
    temperatures_K: Annotated[tuple[Kelvin, ...], Field(min_length=1, max_length=90)] = key(
        "temperatures", "of the sample, in the order they are visited; the lab file's calibration gives the set point"
    )
    ramp_K_per_s: Annotated[float, Quantity("K/s", "2 K/min", above="0 K/min", at_most="30 K/min")] = key(
        "ramp", "ramp of the set point, rotor spinning", default="2 K/min"
    )
    settle: Settle = key("settle", "when a temperature counts as reached", default={})
    spinning: Spinning = key("spinning", "magic-angle spinning; text is the rate")
    tune: Tuning = key("tune", "`operator`, `atma` or `none`, or a block", default="operator")
    p90: PulseCheck = key("p90", "pulse check", default={})
    t1: T1 | None = key("t1", "saturation recovery; may be left out with a fixed recycle delay", default=None)
    recycle_delay: RecycleDelay = key("recycle_delay", "a time, or a multiple of T1")
    mixing_times_s: MixingTimes = key("mixing_times", "Tmix of the 2Ds; step ids count them in this order")
    visits: tuple[Visit, ...] = key(
        "visits",
        "one block for each temperature, in order, where mixing times or scans differ: "
        "`[{mixing_times: [10 ms, 5 s], scans: [8, 72]}, {}]`; none if left out",
        default=(),
    )
    order: Literal["palindrome", "ascending", "as_written"] = key(
        "order",
        "in which the mixing times are measured; palindrome: up by every second one, down by the rest",
        default="palindrome",
    )
    increments: Annotated[int, Field(strict=True, ge=4, le=65536)] = key(
        "increments", "rows of F1 (TD1): two per complex t1 point"
    )
    increment_s: Annotated[float, Quantity("s", "0.8 ms", above="0 s", at_most="1 s")] = key(
        "increment", "t1 step of a complex point, 1/SW(F1); whole rotor periods"
    )
    scans: Scans = key("scans", "scans per row; whole phase cycles of 8", default=8)
    dummy_scans: Annotated[int, Field(strict=True, ge=0, le=1024)] = key(
        "dummy_scans", "before each acquisition", default=4
    )
    points: Annotated[int, Field(strict=True, ge=64, le=1_048_576)] = key(
        "points", "TD of F2, real and imaginary together", default=2048
    )
    spectral_width_Hz: Annotated[float, Quantity("Hz", "20 kHz", above="0 Hz", at_most="5 MHz")] = key(
        "spectral_width", "SW of F2", default="20 kHz"
    )
    carrier_ppm: Annotated[float, Quantity("ppm", "1 ppm", at_least="-10000 ppm", at_most="10000 ppm")] | None = key(
        "carrier", "offset of F2 and F1; the middle of the sites if left out", default=None
    )
    pulse_s: Annotated[float, Quantity("s", "4.9 us", above="0 s", at_most="1 ms")] | None = key(
        "pulse", "90° pulse; the lab file's for the nucleus if left out", default=None
    )
    receiver_gain: Annotated[float, Field(strict=True, gt=0, le=100_000)] | None = key(
        "receiver_gain", "frozen for the campaign; the template's if left out", default=None
    )
    reference_1d: Reference1D = key("reference_1d", "1Ds that see rotor trouble, sample change and drift", default={})
    presaturation: Literal["comb", "none"] = key(
        "presaturation", "comb before the recycle delay, so that each scan starts alike", default="comb"
    )
    return_to_first_temperature: StrictBool = key(
        "return_to_first_temperature",
        "end where it began, with a 1D that shows what the sample went through",
        default=True,
    )
    repeat_first_mixing_time: StrictBool = key(
        "repeat_first_mixing_time", "on return, also repeat the 2D that was measured first", default=False
    )
    max_dataset_s: Seconds = key("max_dataset", "longer 2Ds are split into several of fewer scans", default="12 h")
    max_temperature_changes: Annotated[int, Field(strict=True, ge=0, le=1000)] = key(
        "max_temperature_changes", "each costs an hour and a little of the rotor", default=6
    )
    blackouts: tuple[Blackout, ...] = key("blackouts", "magnet fills, bookings", default=())
    thermometry: Literal["separate_rotor", "inside_rotor", "none"] = key(
        "thermometry",
        "how the sample's temperature was calibrated (KBr beforehand, same rate and flows)",
        default="separate_rotor",
    )
    analysis: Analysis | None = key("analysis", "what is known of the phases beside the spectra", default=None)
    design: Design | None = key(
        "design", "goal and prior from which `labctl plan --design` proposes what to measure", default=None
    )
    adapt: Adapt | None = key(
        "adapt", "goal, prior and choices of a campaign that decides after each 2D what to measure next", default=None
    )
    published: Annotated[tuple[PublishedExchange, ...], Field(max_length=100)] = key(
        "published", "numbers and figures of a publication; the report holds this campaign's against them", default=()
    )

    @field_validator("visits")
    @classmethod
    def _visits_fit(cls, visits: tuple[Visit, ...], info: ValidationInfo) -> tuple[Visit, ...]:
        temperatures, common = info.data.get("temperatures_K"), info.data.get("mixing_times_s")
        if visits and temperatures is not None and len(visits) != len(temperatures):
            raise fault(
                f"has {len(visits)} blocks for {len(temperatures)} temperatures",
                expected="one block for each temperature, {} where nothing differs, or no visits at all",
            )
        for number, visit in enumerate(visits, start=1):
            times = visit.mixing_times_s or common
            if visit.scans is not None and times is not None and len(visit.scans) not in (1, len(times)):
                raise fault(
                    f"gives {len(visit.scans)} numbers of scans for {len(times)} mixing times in block {number}",
                    expected="one number, or one for each mixing time",
                )
        return visits

    @field_validator("design", "adapt")
    @classmethod
    def _has_layers(cls, wish: Wish | None, info: ValidationInfo) -> Wish | None:
        if wish is None or "analysis" not in info.data:
            return wish
        analysis = info.data["analysis"]
        if analysis is None or not analysis.layers:
            raise fault("needs to know the phases", expected="analysis: {layers: [...]}, from the innermost outwards")
        wish.require(analysis.layers)
        return wish

    @field_validator("adapt")
    @classmethod
    def _can_go_on(cls, adapt: Adapt | None, info: ValidationInfo) -> Adapt | None:
        if adapt is None:
            return None
        given = info.data
        if given.get("order", "as_written") != "as_written":
            raise fault("adds mixing times to those that were measured", expected="order: as_written")
        reference = given.get("reference_1d")
        if reference is not None and not reference.around_each_2d:
            raise fault("adds 2Ds one by one", expected="reference_1d: {around_each_2d: true}")
        delay = given.get("recycle_delay")
        if delay is not None and delay.times_T1 is None:
            raise fault("wants a recycle delay that follows T1", expected="recycle_delay: {times_T1: 1.5, max: 60 s}")
        pilot = given.get("temperatures_K", ())
        if pilot and not any(abs(pilot[-1] - one_K) < 0.01 for one_K in adapt.temperatures_K):
            raise fault("does not offer the temperature the pilot ends at", expected="it among adapt.temperatures")
        return adapt

    def series(self, temperature_index: int) -> tuple[tuple[float, int], ...]:
        """Return mixing time [s] and scans per row of each 2D at a temperature (counted from 0), as written."""
        visit = self.visits[temperature_index] if self.visits else Visit()
        times = visit.mixing_times_s or self.mixing_times_s
        scans = visit.scans or (self.scans,)
        return tuple(zip(times, scans * len(times) if len(scans) == 1 else scans, strict=True))

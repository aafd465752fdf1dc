"""What is wrong or doubtful in a `vt_exsy` procedure as such: relations between its own keys and the sample."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from labctl.plan.findings import Notebook, nth, suggestion
from labctl.plan.series import PHASE_CYCLE, carrier_ppm
from labctl.protocol.model import Sample, VtExsy
from labctl.protocol.vt_exsy import ALL_SITES
from labctl.units import duration_text

SHORTEST_RECYCLE_T1 = 1.3
"""Least recycle delay in T1 of the slowest line: with less, time is lost, not won, and lines saturate unevenly."""

SYNCHRONY = 1e-3
"""Largest deviation of the increment from whole rotor periods, in rotor periods."""

ROWS_ENOUGH = 96
"""Rows beyond which time is wasted once line shapes are known: 48 give the precision of 320 in a sixth of the time."""


def check_times(note: Notebook, p: VtExsy) -> None:
    """Settling, relaxation and mixing times against each other."""
    if p.settle.give_up_s <= p.settle.for_s:
        note.error(
            ("settle", "give_up"),
            "is over before the temperature can have been stable",
            value=duration_text(p.settle.give_up_s),
            expected=f"more than `for`, {duration_text(p.settle.for_s)}",
        )
    if p.settle.shift is not None and p.settle.shift.per_s > p.settle.give_up_s:
        note.warning(("settle", "shift"), "leaves time for one comparison of the line only before `give_up`")
    _check_t1(note, p)
    _check_recycle(note, p)
    _check_mixing(note, p)


def _check_t1(note: Notebook, p: VtExsy) -> None:
    if p.t1 is None:
        if p.recycle_delay.times_T1 is not None:
            note.error(
                ("recycle_delay",),
                "follows from T1, but the procedure measures none",
                expected='a `t1` block, or a fixed delay such as "50 s"',
            )
        else:
            note.advice((), "no T1 is measured, so incomplete recovery cannot be corrected", expected="a `t1` block")
        return
    delays = p.t1.delays
    if delays.to_s <= delays.from_s:
        note.error(
            ("t1", "delays", "to"),
            "is not longer than `from`",
            value=duration_text(delays.to_s),
            expected=f"more than {duration_text(delays.from_s)}, about 5 T1",
        )
    for site, values in (p.t1.expect_s or {}).items():
        if len(values) not in {1, len(p.temperatures_K)}:
            path: tuple[str, ...] = ("t1", "expect") if site == ALL_SITES else ("t1", "expect", site)
            note.error(
                path,
                f"lists {len(values)} values for {len(p.temperatures_K)} temperatures",
                expected="one value, or one per temperature",
            )
    longest_s = max((value for values in (p.t1.expect_s or {}).values() for value in values), default=None)
    if longest_s is not None and delays.to_s < 3 * longest_s:
        note.warning(
            ("t1", "delays", "to"),
            f"is less than 3 times the expected T1 of {duration_text(longest_s)}; the fit will lean on its model",
            value=duration_text(delays.to_s),
            expected=f"about {duration_text(5 * longest_s)}",
        )
    if longest_s is None and p.recycle_delay.times_T1 is not None:
        note.advice(("t1",), "expects no T1, so the plan reckons with the longest recycle delay", expected="`expect`")


def _check_recycle(note: Notebook, p: VtExsy) -> None:
    rule = p.recycle_delay
    if rule.times_T1 is not None and p.t1 is not None and p.t1.expect_s:
        expected_s = [p.t1.expected_s(rule.of, index) for index in range(len(p.temperatures_K))]
        if None in expected_s and rule.of != "slowest":
            note.warning(("t1", "expect"), f"says nothing of {rule.of}, whose T1 sets the recycle delay")
        ideal_s = rule.times_T1 * max((value for value in expected_s if value is not None), default=0.0)
        if rule.max_s < 0.95 * ideal_s:
            note.warning(
                ("recycle_delay", "max"),
                f"cuts {rule.times_T1:g} T1 of {rule.of} ({duration_text(ideal_s)}) short: lines saturate unevenly",
                value=duration_text(rule.max_s),
            )
    if p.t1 is None or not p.t1.expect_s:
        return
    for index in range(len(p.temperatures_K)):
        slowest_s = p.t1.expected_s("slowest", index)
        own_s = p.t1.expected_s(rule.of, index) or slowest_s or 0.0
        delay_s = rule.fixed_s if rule.fixed_s is not None else min((rule.times_T1 or 1.0) * own_s, rule.max_s)
        if slowest_s is not None and 0 < delay_s < SHORTEST_RECYCLE_T1 * slowest_s * (1 - 1e-9):
            note.warning(
                ("recycle_delay",),
                f"is shorter than {SHORTEST_RECYCLE_T1:g} times the expected T1 of {duration_text(slowest_s)}:"
                f" the slowest line recovers to"
                f" {100 * -math.expm1(-delay_s / slowest_s):.0f} %",
                value=duration_text(delay_s),
                expected="1.3 to 3 T1, with T1 measured so that saturation can be corrected",
            )
            return


def _check_mixing(note: Notebook, p: VtExsy) -> None:
    """Mixing times and scans, the procedure's or those of each visit."""
    if not p.visits:
        _check_times(note, p, 0, ("mixing_times",), p.mixing_times_s)
    for index, visit in enumerate(p.visits):
        own = visit.mixing_times_s is not None
        where: tuple[str | int, ...] = ("visits", index, "mixing_times") if own else ("mixing_times",)
        _check_times(note, p, index, where, visit.mixing_times_s or p.mixing_times_s)
        for scans in visit.scans or ():
            _check_cycle(note, ("visits", index, "scans"), scans)


def _check_times(
    note: Notebook, p: VtExsy, visit: int, where: tuple[str | int, ...], mixing_times_s: tuple[float, ...]
) -> None:
    first: dict[float, int] = {}
    for index, tmix_s in enumerate(mixing_times_s):
        if tmix_s in first and p.adapt is None:
            note.warning(
                (*where, index),
                f"repeats the {nth(first[tmix_s] + 1)} mixing time; each entry is measured",
                value=duration_text(tmix_s),
            )
        first.setdefault(tmix_s, index)
        slowest_s = p.t1.expected_s("slowest", visit) if p.t1 else None
        if slowest_s is not None and tmix_s > 2 * slowest_s:
            note.warning(
                (*where, index),
                f"is more than twice the expected T1 of {duration_text(slowest_s)}: at most"
                f" {100 * math.exp(-tmix_s / slowest_s):.0f} % of the signal is left",
                value=duration_text(tmix_s),
                expected=f"at most {duration_text(2 * slowest_s)}",
            )
    if len(first) == 1:
        note.advice(where, "one mixing time cannot tell the rate from the plateau", expected="at least two")


def _check_cycle(note: Notebook, where: tuple[str | int, ...], scans: int) -> None:
    if scans % PHASE_CYCLE:
        note.warning(
            where,
            f"is not a whole number of phase cycles of {PHASE_CYCLE}: axial peaks remain",
            value=str(scans),
            expected=f"{max(1, round(scans / PHASE_CYCLE)) * PHASE_CYCLE}",
        )


def check_temperature_changes(note: Notebook, p: VtExsy) -> None:
    """As many changes of temperature as the author allows."""
    visits = list(p.temperatures_K) + list(p.temperatures_K[:1] if p.return_to_first_temperature else ())
    changes = sum(before != after for before, after in itertools.pairwise(visits))
    if changes > p.max_temperature_changes:
        note.error(
            ("max_temperature_changes",),
            f"is less than the {len(p.temperatures_K)} temperatures need, return included",
            value=str(p.max_temperature_changes),
            expected=f"{changes}, or fewer temperatures",
        )


def check_grid(note: Notebook, p: VtExsy) -> None:
    """Rows, increment, scans and points."""
    if p.increments % 2:
        note.error(
            ("increments",),
            "is odd; States-TPPI takes two rows per t1 point",
            value=str(p.increments),
            expected=f"{p.increments - 1} or {p.increments + 1}",
        )
    periods = p.increment_s * p.spinning.rate_Hz
    if abs(periods - round(periods)) > SYNCHRONY or round(periods) < 1:
        whole = max(1, round(periods)) / p.spinning.rate_Hz
        note.error(
            ("increment",),
            f"is {periods:.4g} rotor periods at {p.spinning.rate_Hz / 1000:g} kHz; sidebands of F1 would not fold"
            " onto the centre bands",
            value=duration_text(p.increment_s),
            expected=f"whole rotor periods, such as {whole * 1e3:.6g} ms",
        )
    _check_cycle(note, ("scans",), p.scans)
    if p.points % 2:
        note.error(
            ("points",),
            "is odd; real and imaginary points come in pairs",
            value=str(p.points),
            expected="an even number",
        )
    if p.dummy_scans == 0 and p.presaturation == "none":
        note.warning(("dummy_scans",), "is 0 without presaturation: the first row is stronger than the others")
    if p.increments > ROWS_ENOUGH:
        note.advice(
            ("increments",),
            f"48 rows give the same precision as {p.increments} in {48 / p.increments:.0%} of the time, by a model"
            " with known line shapes and white noise",
            value=str(p.increments),
        )
    if p.receiver_gain is None:
        note.advice(
            ("receiver_gain",),
            "is left to the template",
            expected="set at the coldest temperature, fully recovered, shortest Tmix; take half and freeze it",
        )


def check_sites(note: Notebook, p: VtExsy, sample: Sample, frequency_Hz: float) -> None:
    """Sites inside the spectral widths, and apart enough for the longest t1."""
    hertz_per_ppm = frequency_Hz / 1e6
    carrier = carrier_ppm(p, list(sample.sites.values()))
    f1_width_Hz = 1 / p.increment_s
    for site, ppm in sample.sites.items():
        away_Hz = abs(ppm - carrier) * hertz_per_ppm
        if away_Hz > p.spectral_width_Hz / 2:
            note.error(
                ("spectral_width",),
                f"does not reach {site} at {ppm:g} ppm, {away_Hz:.0f} Hz from the carrier at {carrier:g} ppm",
                value=f"{p.spectral_width_Hz:g} Hz",
                expected=f"at least {2.2 * away_Hz:.0f} Hz, or another carrier",
            )
        elif away_Hz > f1_width_Hz / 2:
            note.warning(
                ("increment",),
                f"gives F1 a width of {f1_width_Hz:.0f} Hz: {site}, {away_Hz:.0f} Hz from the carrier, folds",
                expected=f"at most {1e3 / (2.2 * away_Hz):.3g} ms, in whole rotor periods",
            )
    pairs = itertools.combinations(sample.sites.items(), 2)
    apart = [(abs(a - b) * hertz_per_ppm, one, two) for (one, a), (two, b) in pairs if a != b]
    if not apart:
        return
    gap_Hz, one, two = min(apart)
    longest_t1_s = (p.increments // 2 - 1) * p.increment_s
    if longest_t1_s < 1 / (2 * gap_Hz):
        rows = 2 * (math.ceil(1 / (2 * gap_Hz) / p.increment_s) + 1)
        note.warning(
            ("increments",),
            f"longest t1 {duration_text(longest_t1_s)} cannot tell {one} from {two}, {gap_Hz:.0f} Hz apart",
            value=str(p.increments),
            expected=f"at least {rows} rows (t1 of 1/(2 x {gap_Hz:.0f} Hz))",
        )


def check_sample(note: Notebook, sample: Sample, *, alone_is_well: bool = False) -> None:
    """Sites of the sample among themselves; `alone_is_well`: one line is no reason to wonder."""
    if sample.nucleus is None:
        note.error((), "names no nucleus, and a spectrometer needs one", expected="nucleus: 6Li")
    if not sample.sites:
        note.error((), "names no sites, and a spectrometer needs them", expected="sites: {Li2S: 2.31 ppm, ...}")
        return
    by_shift: dict[float, str] = {}
    for site, ppm in sample.sites.items():
        if ppm in by_shift:
            note.error(
                ("sites", site),
                f"stands at the same shift as {by_shift[ppm]}",
                value=f"{ppm:g} ppm",
                expected="one name per line",
            )
        by_shift[ppm] = site
        if site in {"slowest", ALL_SITES}:
            note.error(("sites", site), "is a word with a meaning of its own here", expected="another name")
    lowered = [site.lower() for site in sample.sites]
    for site in sample.sites:
        if lowered.count(site.lower()) > 1:
            note.warning(("sites", site), "differs from another site in capitals only")
    if len(sample.sites) < 2 and not alone_is_well:
        note.warning(("sites",), "names one site; exchange needs at least two")


def check_site_names(note: Notebook, p: VtExsy, sites: Mapping[str, float]) -> None:
    """Sites that the procedure names are sites of the sample."""
    of = p.recycle_delay.of
    if of != "slowest" and of not in sites:
        note.error(
            ("recycle_delay", "of"),
            "is no site of the sample",
            value=repr(of),
            expected=suggestion(of, ["slowest", *sites]),
        )
    for site in (p.t1.expect_s or {}) if p.t1 else {}:
        if site != ALL_SITES and site not in sites:
            note.error(
                ("t1", "expect", site), "is no site of the sample", value=repr(site), expected=suggestion(site, sites)
            )
    _check_published(note, p, sites)
    if p.analysis is None:
        return
    for index, site in enumerate(p.analysis.layers):
        if site not in sites:
            note.error(
                ("analysis", "layers", index),
                "is no site of the sample",
                value=repr(site),
                expected=suggestion(site, sites),
            )
    for site in p.analysis.densities_per_nm3:
        if site not in sites:
            note.error(
                ("analysis", "densities", site),
                "is no site of the sample",
                value=repr(site),
                expected=suggestion(site, sites),
            )
    if p.analysis.layers and (missing := [site for site in sites if site not in p.analysis.layers]):
        note.error(
            ("analysis", "layers"),
            f"lacks {', '.join(missing)}",
            expected="every site of the sample once, from the innermost phase outwards",
        )


def _check_published(note: Notebook, p: VtExsy, sites: Mapping[str, float]) -> None:
    """What was published is of sites of the sample, and of temperatures and mixing times that are measured."""
    known = [*sites, *(f"{a}{by}{b}" for by in ("-", "->") for a, b in itertools.permutations(sites, 2))]
    for index, one in enumerate(p.published):
        if one.of and one.of not in known:
            of = suggestion(one.of, known)
            note.error(("published", index, "of"), "is nothing of the sample", value=repr(one.of), expected=of)
        if one.what != "cross peak" or one.at_K is None or one.mixing_time_s is None:
            continue
        at_K, tmix_s = one.at_K, one.mixing_time_s
        visits = p.visits or (None,) * len(p.temperatures_K)
        measured = [
            any(
                math.isclose(tmix_s, own_s, rel_tol=0.01)
                for own_s in (visit and visit.mixing_times_s) or p.mixing_times_s
            )
            for visit, T_K in zip(visits, p.temperatures_K, strict=True)
            if abs(T_K - at_K) <= 2.0
        ]
        if not any(measured):
            missing = "mixing_time" if measured else "at"
            note.warning(("published", index, missing), "is not measured here, so that nothing can be compared")

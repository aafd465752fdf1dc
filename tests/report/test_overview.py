"""The overview: published numbers in the publication's order, beside the campaign's own, each with its verdict."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.analysis.published import compare
from labctl.analysis.published_results import StationHours
from labctl.analysis.results import OtherSample, Results
from labctl.protocol.published import Published, PublishedCycling, PublishedExchange
from labctl.report.by_sample import views
from labctl.report.figure import Figure
from labctl.report.figures import build_up
from labctl.report.numbers import plain
from labctl.report.overview import claimed, covering, overview, summary
from labctl.report.page import Timeline, write_report
from labctl.report.tidy import csv_tables

FIRST, SECOND = "nmr500/vt_exsy", "nmr500/vt_exsy.2"
RATE = {"figure": "4d", "what": "activation energy", "of": "Li2S->LPSC", "by": "rates"}
PEAK = {"figure": "3c", "what": "cross peak", "of": "Li2S-LPSC", "at": "293 K", "mixing_time": "1 s"}


def judged(results: Results, *entries: dict[str, str], procedure: str = FIRST) -> Results:
    """Return the results with published numbers of the exchange judged."""
    published: list[Published] = [PublishedExchange.model_validate(one) for one in entries]
    results.published += compare(results, procedure, "coated", published)
    return results


def test_verdicts_come_from_the_campaigns_own_numbers(results: Results) -> None:
    """Energies by the model that is named, peaks at the place that is named; another model is not compared."""
    found = judged(
        results,
        {**RATE, "value": "0.16 eV", "convention": "ln k"},
        {**RATE, "value": "0.30 eV"},
        {**RATE, "value": "0.16 eV", "convention": "ln D T"},
        {**RATE, "value": "0.16 eV", "by": "not stated"},
        {**RATE, "value": "0.16 eV", "by": "layers"},
        {**PEAK, "value": "seen"},
        {**PEAK, "value": "none"},
        {**PEAK, "value": "none", "at": "333 K"},
    ).published
    assert [one.verdict for one in found] == [
        "agrees",
        "differs",
        "not comparable",
        "not comparable",
        "not resolved",
        "agrees",
        "differs",
        "not resolved",
    ]
    assert found[1].n_sigma == pytest.approx(7.42, rel=0.01)
    assert (found[0].ours, found[0].ours_convention) == (0.15, "ln k")
    assert (found[5].ours, found[5].ours_se) == (0.2, 0.003)


def test_another_sample_answers_for_itself(results: Results) -> None:
    """A published number of the second sample is held against the second sample's data alone."""
    other = results.exsy.model_copy(deep=True)
    for entry in other.buildup:
        entry.cross = [0.0, 0.0, 0.001]
    results.other_samples.append(OtherSample(sample="uncoated", procedure=SECOND, exsy=other))
    judged(results, {**PEAK, "value": "none"}, procedure=SECOND)
    judged(results, {**PEAK, "value": "none"}, procedure=FIRST)
    assert [one.verdict for one in results.published] == ["agrees", "differs"]
    assert "95 %" in results.published[0].why


def test_what_is_missing_is_not_resolved() -> None:
    """A campaign that has acquired nothing yet resolves nothing, and says so for each number."""
    cell = PublishedCycling.model_validate({"figure": "5e", "what": "coulombic efficiency", "value": "99.6 %"})
    empty = Results()
    empty.published += compare(empty, "maccor/fixed_capacity_cycling", "cell", [cell])
    assert [one.verdict for one in empty.published] == ["not resolved"]
    assert overview(empty, []) is not None
    assert overview(Results(), []) is None


def test_cards_follow_the_publication_and_each_figure_stands_once(results: Results, tmp_path: Path) -> None:
    """Cards go by the publication's figures; one that shares its picture with the card before joins it."""
    judged(results, {**RATE, "value": "0.16 eV"}, {**PEAK, "value": "seen"}, {**PEAK, "figure": "3b", "value": "seen"})
    judged(results, {"figure": "3a", "what": "build-up"}, {"figure": "10", "what": "build-up"})
    drawn = [
        Figure(path=tmp_path / f"{name}.svg", title=name, caption="", shows=(what,), procedures=(FIRST,))
        for name, what in {"curves": "build-up", "planes": "cross peak", "others": "spectrum"}.items()
    ]
    told = overview(results, drawn)
    assert told is not None
    assert [card.heading for card in told.cards] == ["Fig. 3a", "Fig. 3b, 3c", "Fig. 4d", "Fig. 10"]
    assert [[one.title for one in card.figures] for card in told.cards] == [["curves"], ["planes"], [], []]
    assert [one.title for one in told.cards[3].above] == ["curves"]
    assert told.no_errors
    assert [(words, count) for words, _, count in told.counts] == [("agree", 3)]


def test_few_figures_show_all_that_is_told(results: Results, tmp_path: Path) -> None:
    """One figure of two cells is preferred to one of each."""
    judged(results, {"figure": "3a", "what": "build-up"}, procedure=FIRST)
    judged(results, {"figure": "3a", "what": "build-up"}, procedure=SECOND)
    one, two, both = (
        Figure(path=tmp_path / name, title=name, caption="", shows=("build-up",), procedures=procedures)
        for name, procedures in {"one": (FIRST,), "two": (SECOND,), "both": (FIRST, SECOND)}.items()
    )
    assert covering(results.published, [one, two, both]) == [both]
    assert covering(results.published, [one, two]) == [one, two]
    assert covering(results.published, []) == []


def test_the_page_tells_verdicts_hours_and_certificate(results: Results, tmp_path: Path) -> None:
    """Each number stands with its verdict before anything else; figures of the overview are not drawn twice."""
    judged(results, {**RATE, "value": "0.30 eV"}, {"figure": "3e", "what": "build-up"})
    results.provenance["published_in"] = "Somebody <et al.>"
    times = dict.fromkeys(
        ("planned_waiting_h", "planned_tending_h", "acquiring_h", "waiting_h", "tending_h", "idle_h"), 1.0
    )
    results.hours.append(StationHours(station="nmr500", planned_acquiring_h=1234.0, **times))
    drawn = build_up(results, tmp_path)
    assert drawn is not None
    figure = Figure(path=drawn.path, title="Curves", caption="", shows=("build-up",), procedures=(FIRST,))
    page = write_report(tmp_path / "r.html", results, [figure], timeline=Timeline(), protocol_text="")
    text = page.read_text(encoding="utf-8")
    assert "Somebody &lt;et al.&gt;" in text
    assert "differs by 7.4 σ" in text
    assert text.count("data:image/svg+xml") == 1
    assert text.index("Fig. 3e") < text.index("Fig. 4d") < text.index("Instrument hours") < text.index("Certificate")
    assert "1234" in text
    assert "differs by 7.4 σ" in "\n".join(summary(results))


def test_tables_hold_verdicts_and_every_sample(results: Results) -> None:
    """Verdicts are a table; where two samples were in the rotor each row names its own, and no row is lost."""
    judged(results, {**RATE, "value": "0.30 eV"})
    alone = csv_tables(results)
    assert "sample" not in next(csv.reader(io.StringIO(alone["exsy_rates"])))
    results.other_samples.append(OtherSample(sample="uncoated", procedure=SECOND, exsy=results.exsy, t1=results.t1))
    results.provenance["sample"] = "coated"
    both = {name: list(csv.DictReader(io.StringIO(text))) for name, text in csv_tables(results).items()}
    assert both["published"][0]["verdict"] == "differs"
    for name in ("exsy_rates", "exsy_matrices", "exsy_buildup", "t1", "recoveries", "arrhenius"):
        assert [row["sample"] for row in both[name]].count("uncoated") == len(both[name]) / 2
    assert [view.sample for view in views(results)] == ["coated", "uncoated"]


def test_an_unresolved_rate_is_a_bound_on_the_page(results: Results, tmp_path: Path) -> None:
    """Where there is a limit the page shows that, and neither estimate nor error."""
    fit = results.exsy.fits[0]
    assert fit.model == "exchange"
    fit.k_upper_per_s = [[None, 0.0123], [0.0456, None]]
    text = write_report(tmp_path / "r.html", results, (), timeline=Timeline(), protocol_text="").read_text("utf-8")
    assert "&lt; 0.012 1/s (95 %)" in text
    assert text.count("1.00 ± 0.10 1/s") == 0


@given(digits=st.integers(1, 99999), exponent=st.integers(-14, 3))
def test_a_published_number_is_printed_to_its_digits(digits: int, exponent: int) -> None:
    """What was published comes back to the last digit, however small."""
    value, step = digits * 10.0**exponent, 10.0**exponent
    text = plain(value, step)
    number, _, power = text.partition(" × 10^")
    assert float(number) * 10.0 ** int(power or 0) == pytest.approx(value, abs=0.51 * step)
    mantissa = number.replace(".", "").lstrip("0")
    assert len(mantissa) <= max(len(str(digits)), exponent + len(str(digits)))


def test_a_claim_reads_as_people_write(results: Results) -> None:
    """Percent signs, limits and peaks are written out."""
    one = judged(results, {**PEAK, "value": "none"}).published[0]
    assert claimed(one).published == "none seen"
    efficiency = one.model_copy(
        update={"unit": "percent", "relation": "above", "published": 97.8, "published_step": 0.1}
    )
    assert claimed(efficiency).published == "> 97.8 %"

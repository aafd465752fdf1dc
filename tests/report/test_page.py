"""The report page from results alone."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from labctl.analysis.paper_results import PaperMode, PaperPair
from labctl.analysis.results import Results, ResultWarning
from labctl.report import figures
from labctl.report.numbers import plus_minus
from labctl.report.page import Timeline, grouped, write_report


def test_the_page_holds_every_figure_and_needs_nothing_beside_it(results: Results, tmp_path: Path) -> None:
    """The page embeds its figures and refers to no other file or host."""
    drawn = [
        figures.build_up(results, tmp_path),
        figures.arrhenius_plot(results, tmp_path),
        figures.saturation_recovery(results, tmp_path),
        figures.trace([(0.0, "sensor_K", 293.0), (3600.0, "sensor_K", 313.0)], 0.0, tmp_path),
    ]
    kept = tuple(figure for figure in drawn if figure is not None)
    assert len(kept) == len(drawn)
    page = write_report(tmp_path / "report.html", results, kept, timeline=Timeline(), protocol_text="a: <b>")
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/svg+xml;base64,") == len(drawn)
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "0.150 ± 0.020 eV" in text


def test_the_published_analysis_is_never_the_headline(results: Results, tmp_path: Path) -> None:
    """Energies of pairs fitted one by one stand below, under a label of their own, with bias and misfit."""
    pairwise = results.exsy.arrhenius[0].model_copy(update={"model": "product", "Ea_eV": 0.777, "Ea_se_eV": 0.01})
    results.exsy.arrhenius.append(pairwise)
    results.exsy.paper = PaperMode(
        half_width_Hz=37.0,
        bias=["boxes tell tails"],
        pairs=[
            PaperPair(
                pair=["Li2S", "LPSC"],
                intensities="boxes",
                T_K=[293.0],
                kD_per_s=[0.1],
                kD_se_per_s=[0.01],
                plateau=[0.25],
                Ea_eV=0.666,
                rms=0.01,
                rms_of_plateau=0.04,
                chi2_red=[9.0],
                misfits=True,
            )
        ],
    )
    text = write_report(tmp_path / "r.html", results, (), timeline=Timeline(), protocol_text="").read_text("utf-8")
    above, below = text.split("As the paper did it")
    assert "0.150 ± 0.020 eV" in above
    assert "0.777" not in above
    assert "0.666" not in above
    for said in ("0.777", "0.666", "misfits", "boxes tell tails"):
        assert said in below


def test_what_people_wrote_is_escaped(results: Results, tmp_path: Path) -> None:
    """A campaign's name or a protocol cannot put markup into the page."""
    page = write_report(
        tmp_path / "report.html", results, (), timeline=Timeline(), protocol_text="<script>alert(1)</script>"
    )
    text = page.read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "a &lt;b&gt;&amp;c" in text


def test_equal_results_give_equal_figures(results: Results, tmp_path: Path) -> None:
    """Figures carry no date and no random ids, so that a report made again is the same."""
    first = figures.arrhenius_plot(results, tmp_path / "one")
    second = figures.arrhenius_plot(results, tmp_path / "two")
    assert first is not None
    assert second is not None
    assert first.path.read_bytes() == second.path.read_bytes()


def test_figures_are_png_too_only_while_asked_for(results: Results, tmp_path: Path) -> None:
    """A PNG stands beside the SVG of figures drawn meanwhile, and beside none drawn after."""
    with figures.png_too():
        figures.arrhenius_plot(results, tmp_path / "with")
    figures.arrhenius_plot(results, tmp_path / "without")
    assert (tmp_path / "with" / "arrhenius.png").read_bytes().startswith(b"\x89PNG")
    assert [one.name for one in (tmp_path / "without").iterdir()] == ["arrhenius.svg"]


def test_warnings_of_one_kind_are_told_once(results: Results, tmp_path: Path) -> None:
    """Of twelve alike the gravest stands out, with its advice; all of them are there, folded."""
    results.warnings = [
        ResultWarning(
            code="drift", message=f"moved by {shift} Hz", advice="wait", where=f"T{shift}", value=float(shift)
        )
        for shift in (*range(6), -40, *range(7, 12))
    ]
    results.warnings.append(ResultWarning(code="chi2", message="too much"))
    first, second = grouped(results.warnings)
    assert (first.gravest.value, len(first.all), second.code) == (-40.0, 12, "chi2")
    text = write_report(tmp_path / "r.html", results, (), timeline=Timeline(), protocol_text="").read_text("utf-8")
    assert text.index("moved by -40 Hz") < text.index("moved by 0 Hz")
    assert all(f"moved by {one.value:.0f} Hz" in text for one in first.all)
    assert text.count("wait") == 1


def test_empty_results_draw_nothing(tmp_path: Path) -> None:
    """A campaign without data still has a page."""
    empty = Results()
    assert figures.build_up(empty, tmp_path) is None
    assert figures.arrhenius_plot(empty, tmp_path) is None
    assert figures.saturation_recovery(empty, tmp_path) is None
    assert figures.trace([], 0.0, tmp_path) is None
    page = write_report(tmp_path / "report.html", empty, (), timeline=Timeline(), protocol_text="")
    assert page.is_file()


@given(
    value=st.floats(min_value=1e-12, max_value=1e12),
    relative=st.floats(min_value=1e-6, max_value=10.0),
)
def test_a_printed_number_is_the_number_within_its_error(value: float, relative: float) -> None:
    """What people read differs from the estimate by no more than a twentieth of its standard error."""
    error = value * relative
    text = plus_minus(value, error)
    match = re.fullmatch(r"\(?([-\d.]+) ± ([-\d.]+)\)?(?: × 10\^(-?\d+))?", text)
    assert match is not None, text
    scale = 10.0 ** int(match.group(3) or 0)
    assert abs(float(match.group(1)) * scale - value) <= 0.051 * error + 1e-9 * value
    assert abs(float(match.group(2)) * scale - error) <= 0.051 * error


def test_a_missing_number_is_said() -> None:
    """Nothing is printed as a number that is none, and a missing error is never silent."""
    assert plus_minus(None, None) == "not resolved"
    assert plus_minus(float("nan"), 1.0) == "not resolved"
    assert "no error known" in plus_minus(1.0, None)

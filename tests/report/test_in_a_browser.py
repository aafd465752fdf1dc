"""The report in a headless Chromium: nothing asked for, nothing complained of, everything there to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.analysis.published_results import Comparison
from labctl.analysis.results import Results
from labctl.report import figures
from labctl.report.overview import VERDICTS
from labctl.report.page import Timeline, write_report
from labctl.report.tidy import csv_tables
from tests.report.browser import Page, chromium, opened

BROWSER = chromium()
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (LABCTL_CHROMIUM names one)")


@pytest.fixture(scope="module")
def page(kept_results: Results, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, Path]]:
    """Return a browser, and a report with verdicts, figures, wide tables, a long word and folded parts."""
    kept_results.published += [
        Comparison(
            figure=f"{index}a",
            procedure="nmr500/vt_exsy",
            sample="mLi2S(LiI)-mLPSC",
            what="activation energy",
            of="Li2S-LPSC",
            unit="eV",
            relation="equal",
            published=0.107,
            published_step=0.001,
            ours=0.15,
            ours_se=0.02,
            ours_convention="ln k",
            method="exchange at each temperature",
            n_sigma=2.1,
            verdict=verdict,
            why="a reason that is long enough to run over several lines of a telephone, as they do",
        )
        for index, verdict in enumerate(VERDICTS, start=1)
    ]
    kept_results.provenance |= {"published_in": "Somebody et al., 2021", "simulated": True}
    folder = tmp_path_factory.mktemp("report")
    drawn = [
        draw(kept_results, folder) for draw in (figures.build_up, figures.arrhenius_plot, figures.saturation_recovery)
    ]
    kept = tuple(figure for figure in drawn if figure is not None)
    rows = ({"step": "x" * 80, "begun_s": 0.0, "duration_s": 3.0, "attempt": 1, "outcome": "done", "remark": ""},)
    timeline = Timeline(begun_s=0.0, ended_s=3600.0, state="complete", rows=rows)
    report = write_report(
        folder / "report.html", kept_results, kept, timeline=timeline, protocol_text="a: " + "b" * 300
    )
    assert BROWSER is not None
    with opened(BROWSER) as browser:
        yield browser, report


def test_it_asks_nobody_and_complains_of_nothing(page: tuple[Page, Path]) -> None:
    """Opening the page requests the page alone and leaves the console empty."""
    browser, report = page
    browser.open(report)
    assert set(browser.requests()) == {report.resolve().as_uri()}
    assert browser.complaints() == []


def test_every_figure_is_drawn(page: tuple[Page, Path]) -> None:
    """All images decode to a size that can be seen, and each says what it shows."""
    browser, report = page
    browser.open(report)
    sizes = browser.evaluate("[...document.images].map(one => [one.naturalWidth, one.naturalHeight, one.alt])")
    assert len(sizes) == 3
    assert all(width > 200 and height > 100 and alt for width, height, alt in sizes)


def test_tables_can_be_taken_out(page: tuple[Page, Path], kept_results: Results) -> None:
    """Every table is a link that holds the CSV file itself, byte for byte what would be written beside the report."""
    browser, report = page
    browser.open(report)
    links = browser.evaluate(
        "Promise.all([...document.querySelectorAll('a[download]')].map(async one => "
        "[one.download, await (await fetch(one.href)).text()]))"
    )
    assert dict(links) == {f"{name}.csv": text for name, text in csv_tables(kept_results).items()}


@pytest.mark.parametrize("width", [360, 390, 768, 1200])
def test_it_is_readable_at_any_width(page: tuple[Page, Path], width: int) -> None:
    """Even unfolded the page never scrolls sideways, wide tables and figures do in their frames; no text is small."""
    browser, report = page
    browser.open(report, width=width)
    browser.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    smallest = browser.evaluate(
        "Math.min(...[...document.querySelectorAll('p, li, td, th, figcaption, summary')]"
        ".map(one => parseFloat(getComputedStyle(one).fontSize)))"
    )
    assert smallest >= 12.0
    scale = browser.evaluate("Math.min(...[...document.images].map(one => one.clientWidth / one.naturalWidth))")
    assert scale > 0.6  # figures are lettered in 9.5 points


@pytest.mark.parametrize(("width", "stacked"), [(390, True), (1200, False)])
def test_verdicts_stack_on_a_telephone(page: tuple[Page, Path], width: int, stacked: bool) -> None:
    """Where there is no room side by side, every part of a verdict has a line with its name; nothing is cut off."""
    browser, report = page
    browser.open(report, width=width)
    tops = browser.evaluate("[...document.querySelector('table.stack tbody tr').cells].map(one => one.offsetTop)")
    assert len(set(tops)) == (5 if stacked else 1)
    widest = browser.evaluate(
        "Math.max(...[...document.querySelectorAll('table.stack')].map(one => one.getBoundingClientRect().right))"
    )
    assert widest <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(page: tuple[Page, Path], scheme: str) -> None:
    """In light and dark every text has a contrast of at least 4.5 to 1 to what lies behind it (WCAG 2.1, AA)."""
    browser, report = page
    browser.colours(scheme)
    browser.open(report)
    worst = browser.evaluate(CONTRAST)
    assert worst["ratio"] >= 4.5, worst
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in ground[4:-1].split(",")) < 3 * 128) == (scheme == "dark")


def test_it_prints_in_ink_on_paper(page: tuple[Page, Path]) -> None:
    """Printed from a dark screen it is dark text on white, and a PDF comes out."""
    browser, report = page
    browser.call(
        "Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    browser.open(report)
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    browser.call("Emulation.setEmulatedMedia", media="")
    assert browser.pdf().startswith(b"%PDF-")


CONTRAST = """
(() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const colour = channels(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let worst = {ratio: 21, text: ''};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    if (!text) continue;
    const one = walker.currentNode.parentElement;
    const pair = [channels(getComputedStyle(one).color), behind(one)].map(luminance).sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < worst.ratio) worst = {ratio: ratio, text: text};
  }
  return worst;
})()
"""

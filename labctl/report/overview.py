"""The overview: what was published, figure by figure in the publication's order, beside what this campaign found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from labctl.analysis.published_results import Comparison, Verdict
from labctl.analysis.results import Results
from labctl.protocol.published import figure_order
from labctl.report.figure import Figure
from labctl.report.numbers import plain, plus_minus

VERDICTS: tuple[Verdict, ...] = ("agrees", "differs", "not resolved", "not comparable")
_CLASSES: dict[Verdict, str] = {
    "agrees": "good",
    "differs": "bad",
    "not resolved": "warn",
    "not comparable": "sub",
}
_MANY: dict[Verdict, str] = {"agrees": "agree", "differs": "differ"}
_SIGNS = {"above": "> ", "below": "< ", "equal": "", "none": "none seen", "seen": "seen", "shown": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One comparison in the words of the page."""

    figure: str
    sample: str
    what: str
    published: str
    ours: str
    method: str
    verdict: str
    style: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Figures of the publication that are told together: their labels, what was found, and the pictures."""

    labels: tuple[str, ...]
    rows: tuple[Claimed, ...]
    figures: tuple[Figure, ...]
    above: tuple[Figure, ...] = ()
    """Pictures that an earlier card shows already."""

    @property
    def heading(self) -> str:
        """Return ``"Fig. 3g, 3h"``."""
        return f"Fig. {', '.join(self.labels)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything published of this campaign, judged."""

    published_in: str
    cards: tuple[Card, ...]
    counts: tuple[tuple[str, str, int], ...] = field(default=())
    """Verdict, its style, and how many numbers got it; figures without a number are not counted."""
    no_errors: bool = False


def overview(results: Results, figures: Sequence[Figure]) -> Overview | None:
    """Return the overview; None where the protocol states nothing published."""
    if not results.published:
        return None
    by_label: dict[str, list[Comparison]] = {}
    for one in sorted(results.published, key=lambda one: figure_order(one.figure)):
        by_label.setdefault(one.figure, []).append(one)
    cards: list[Card] = []
    shown: list[Figure] = []
    for label, told in by_label.items():
        chosen = covering(told, figures)
        rows = tuple(claimed(one) for one in told if one.relation != "shown")
        last = cards[-1] if cards else None
        if last is not None and chosen and set(chosen) == {*last.figures, *last.above}:
            cards[-1] = Card(
                labels=(*last.labels, label), rows=last.rows + rows, figures=last.figures, above=last.above
            )
            continue
        cards.append(
            Card(
                labels=(label,),
                rows=rows,
                figures=tuple(one for one in chosen if one not in shown),
                above=tuple(one for one in chosen if one in shown),
            )
        )
        shown += chosen
    numbers = [one for one in results.published if one.relation != "shown"]
    return Overview(
        published_in=str(results.provenance.get("published_in", "")),
        cards=tuple(cards),
        counts=tuple((words, _CLASSES[verdict], n) for verdict, words, n in counted(numbers)),
        no_errors=all(one.published_se is None for one in numbers),
    )


def covering(told: Iterable[Comparison], figures: Sequence[Figure]) -> list[Figure]:
    """Return few figures that together show what is told, those that show most of it first."""
    wanted = {(one.procedure, one.what) for one in told}
    found: list[Figure] = []
    while wanted:
        best = max(figures, key=lambda figure: len(wanted & shows(figure)), default=None)
        if best is None or not wanted & shows(best):
            break
        found.append(best)
        wanted -= shows(best)
    return found


def shows(figure: Figure) -> set[tuple[str, str]]:
    """Return what a figure shows, as pairs of procedure and quantity."""
    return {(procedure, what) for procedure in figure.procedures for what in figure.shows}


def claimed(one: Comparison) -> Claimed:
    """Return a comparison in words."""
    percent = one.unit == "percent"
    unit = "%" if percent else one.unit
    published = _SIGNS[one.relation]
    if one.published is not None:
        number = (
            plain(one.published, one.published_step)
            if one.published_se is None
            else plus_minus(one.published, one.published_se)
        )
        published += f"{number} {unit}"
    if one.bound is not None and one.ours is not None:
        ours = f"{'>' if one.bound == 'lower' else '<'} {one.ours:.3g} {unit} (95 %)"
    elif one.ours is not None and one.ours_se is None:
        ours = f"{plain(one.ours, one.published_step, finer=True)} {unit}"
    else:
        ours = plus_minus(one.ours, one.ours_se, unit)
    verdict = one.verdict
    far = verdict == "differs" and one.n_sigma is not None
    said = f"differs by {one.n_sigma:.1f} σ" if far and one.n_sigma is not None else verdict
    if verdict == "agrees" and one.n_sigma is not None and one.relation == "equal":
        said = f"agrees, {one.n_sigma:.1f} σ"
    return Claimed(
        figure=one.figure,
        sample=one.sample,
        what=f"{one.what}{f' {one.of}' if one.of else ''}",
        published=published,
        ours=ours,
        method=one.method + (f", {one.ours_convention}" if one.ours_convention else ""),
        verdict=said,
        style=_CLASSES[verdict],
        why=one.why,
    )


def counted(numbers: Sequence[Comparison]) -> list[tuple[Verdict, str, int]]:
    """Return how many got each verdict, with the verb that fits the number."""
    counts = [(verdict, sum(one.verdict == verdict for one in numbers)) for verdict in VERDICTS]
    return [(verdict, verdict if n == 1 else _MANY.get(verdict, verdict), n) for verdict, n in counts if n]


def summary(results: Results) -> list[str]:
    """Return the verdicts as lines of a terminal: one for all of them, one for each that does not agree."""
    numbers = [one for one in results.published if one.relation != "shown"]
    if not numbers:
        return []
    counts = ", ".join(f"{n} {words}" for _, words, n in counted(numbers))
    source = str(results.provenance.get("published_in", "")) or "published"
    lines = [f"against {source}: {counts}"]
    for one in numbers:
        if one.verdict != "agrees":
            told = claimed(one)
            lines.append(
                f"  Fig. {told.figure} {told.what}, {told.sample}: {told.ours} ({told.published}): {told.verdict}"
            )
    return lines

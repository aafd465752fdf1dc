"""Whether a campaign's number agrees with a published one. Pure: two statements in, a verdict with its reason out.

A difference counts in standard errors of both numbers together. What a publication rounds away (a step q, uniformly
distributed: q / sqrt(12)) enters as an error too. Most publications give no error of their own: a verdict then rests on
ours alone, and whoever shows it has to say so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from labctl.analysis.published_results import Verdict
from labctl.protocol.published import Claim

AGREES_WITHIN = 2.0
"""Standard errors within which two numbers are not told apart (95 %)."""
SEEN_FROM = 3.0
"""Standard errors from which a peak counts as seen."""
ONE_SIDED_95 = 1.645


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A campaign's own number, in the unit of the claim.

    Attributes
    ----------
    value, se : float or None
        `se` None or 0: not known. With `bound` the value is that 95 % limit.
    ceiling : float or None
        Of a peak: what full exchange would show (p_i p_j); a limit above it excludes nothing.
    note : str
        What has to stand beside the verdict.
    """

    value: float | None = None
    se: float | None = None
    bound: Literal["lower", "upper"] | None = None
    convention: str = ""
    method: str = ""
    ceiling: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict, the number of standard errors it rests on where there are any, and why."""

    verdict: Verdict
    n_sigma: float | None = None
    why: str = ""


def judge(claim: Claim, found: Finding) -> Judged:
    """Return the verdict on one published statement."""
    if claim.relation == "shown":
        return Judged(verdict="not comparable", why="a figure without a number")
    if found.value is None or not math.isfinite(found.value):
        return Judged(verdict="not resolved", why="these data do not give this number")
    if claim.relation in {"none", "seen"}:
        return _peak(claim, found)
    if claim.value is None:
        return Judged(verdict="not comparable", why="no value was published")
    return _bound(claim, claim.value, found) if found.bound else _value(claim, claim.value, found)


def _error(claim: Claim, found: Finding) -> float | None:
    """Standard error of the difference; None where ours is not known, because half an error is none."""
    if found.se is None or not math.isfinite(found.se) or found.se <= 0.0:
        return None
    return math.sqrt(found.se**2 + (claim.error or 0.0) ** 2 + claim.step**2 / 12.0)


def _value(claim: Claim, published: float, found: Finding) -> Judged:
    assert found.value is not None
    off = found.value - published
    if (claim.relation == "above" and off >= 0.0) or (claim.relation == "below" and off <= 0.0):
        return Judged(verdict="agrees", n_sigma=0.0, why=f"it is {claim.relation} the published limit")
    error = _error(claim, found)
    if error is None:
        if abs(off) <= 0.5 * claim.step * (1.0 + 1e-9):
            return Judged(verdict="agrees", why="to the digits published; of ours no error is known")
        why = f"they are {abs(off):.2g} {claim.unit} apart, and of ours no error is known"
        return Judged(verdict="not comparable", why=why)
    n_sigma = abs(off) / error
    if not math.isfinite(n_sigma):
        return Judged(verdict="not comparable", why="the errors are too small to reckon with")
    if n_sigma > AGREES_WITHIN:
        return Judged(verdict="differs", n_sigma=n_sigma)
    if claim.relation != "equal":
        return Judged(
            verdict="agrees", n_sigma=n_sigma, why="it misses the published limit by less than its error tells"
        )
    coarse = 2.0 * error > abs(published)
    weak = "a weak test: ours is good to no better than half of the value" if coarse else ""
    return Judged(verdict="agrees", n_sigma=n_sigma, why=weak)


def _bound(claim: Claim, published: float, found: Finding) -> Judged:
    """A one-sided limit of ours contradicts or leaves open; it confirms only a limit on the same side."""
    assert found.value is not None
    reach = (claim.error or 0.0) * AGREES_WITHIN + 0.5 * claim.step
    lower = found.bound == "lower"
    beyond = published + reach < found.value if lower else published - reach > found.value
    if claim.relation == "above":
        inside, outside = lower and found.value >= published, not lower and beyond
    elif claim.relation == "below":
        inside, outside = not lower and found.value <= published, lower and beyond
    else:
        inside, outside = False, beyond
    if inside:
        return Judged(verdict="agrees", why="our 95 % limit lies on the published side")
    if outside:
        return Judged(verdict="differs", why=f"the published value lies {'below' if lower else 'above'} our 95 % limit")
    return Judged(verdict="not resolved", why="ours is a limit (95 %), and the published value lies within it")


def _peak(claim: Claim, found: Finding) -> Judged:
    """A peak that was published as absent or present."""
    assert found.value is not None
    if found.se is None or not math.isfinite(found.se) or found.se <= 0.0 or found.bound is not None:
        return Judged(verdict="not resolved", why="the peak has no error")
    n_sigma = found.value / found.se
    if not math.isfinite(n_sigma):
        return Judged(verdict="not resolved", why="the peak's error is too small to reckon with")
    if claim.relation == "seen":
        if n_sigma >= SEEN_FROM:
            return Judged(verdict="agrees", n_sigma=n_sigma, why=f"seen, {n_sigma:.1f} standard errors above nothing")
        why = f"not seen: {n_sigma:.1f} standard errors, below {upper_limit(found):.2g} of all intensity (95 %)"
        return Judged(verdict="not resolved", n_sigma=max(0.0, n_sigma), why=why)
    limit = upper_limit(found)
    if n_sigma > AGREES_WITHIN:
        return Judged(verdict="differs", n_sigma=n_sigma, why="a peak is seen where none was published")
    said = f"below {limit:.2g} of all intensity (95 %)"
    if found.ceiling is not None and limit >= found.ceiling:
        why = f"not seen, but only {said}: full exchange would show {found.ceiling:.2g}"
        return Judged(verdict="not resolved", n_sigma=max(0.0, n_sigma), why=why)
    share = "" if found.ceiling is None else f", {100.0 * limit / found.ceiling:.2g} % of what full exchange would show"
    return Judged(verdict="agrees", n_sigma=max(0.0, n_sigma), why=f"not seen here either: {said}{share}")


def upper_limit(found: Finding) -> float:
    """Return the one-sided 95 % limit of a value that cannot be negative."""
    assert found.value is not None
    assert found.se is not None
    return max(found.value, 0.0) + ONE_SIDED_95 * found.se


def judge_conventions(claim: Claim, published: str, findings: list[Finding]) -> tuple[Judged, Finding]:
    """Return the verdict among findings in several conventions, and the finding it is about.

    A stated convention is compared with its like alone. Where the publication does not say, all are compared; the
    nearest decides, and what the others say stands beside it.
    """
    if not findings:
        return Judged(verdict="not resolved", why="these data do not give this number"), Finding()
    if published not in {"", "not stated"}:
        like = [one for one in findings if one.convention in {published, ""}]
        if not like:
            ours = " and ".join(one.convention for one in findings)
            return (
                Judged(verdict="not comparable", why=f"published as {published} against 1/T, ours is {ours}"),
                findings[0],
            )
        return judge(claim, like[0]), like[0]
    judged = [(judge(claim, one), one) for one in findings]
    judged.sort(key=lambda pair: math.inf if pair[0].n_sigma is None else pair[0].n_sigma)
    best, found = judged[0]
    if len(findings) == 1 or not found.convention:
        return best, found
    rest = [
        f"as {other.convention} ours is {other.value:.4g} {claim.unit}, {told.n_sigma:.1f} standard errors off"
        for told, other in judged[1:]
        if other.value is not None and told.n_sigma is not None
    ]
    why = _joined(best.why, f"the convention was not published; this is {found.convention}", *rest)
    return Judged(verdict=best.verdict, n_sigma=best.n_sigma, why=why), found


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)

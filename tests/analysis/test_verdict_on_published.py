"""Verdicts on published numbers: a difference counts in errors, a limit confirms only its own side."""

from __future__ import annotations

import math
from typing import Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from labctl.analysis.verdict_on_published import (
    AGREES_WITHIN,
    SEEN_FROM,
    Finding,
    Judged,
    judge,
    judge_conventions,
    upper_limit,
)
from labctl.protocol.published import Claim, Relation

values = st.floats(min_value=-1e3, max_value=1e3)
errors = st.floats(min_value=1e-3, max_value=1e2)
steps = st.floats(min_value=0.0, max_value=1.0)


def equal(value: float, error: float | None = None, step: float = 0.0) -> Claim:
    """Return a published value."""
    return Claim(relation="equal", unit="eV", value=value, error=error, step=step)


def limit(relation: Relation, value: float) -> Claim:
    """Return a published limit."""
    return Claim(relation=relation, unit="eV", value=value)


@given(published=values, ours=values, se=errors, error=st.none() | errors, step=steps)
def test_a_difference_counts_in_the_errors_of_both(
    published: float, ours: float, se: float, error: float | None, step: float
) -> None:
    """The number of standard errors is the difference over all errors in quadrature, and two of them decide."""
    told = judge(equal(published, error, step), Finding(value=ours, se=se))
    variance = se**2 + (error or 0.0) ** 2 + step**2 / 12
    assert told.n_sigma is not None
    assert told.n_sigma == pytest.approx(abs(ours - published) / math.sqrt(variance))
    assert told.verdict == ("agrees" if told.n_sigma <= AGREES_WITHIN else "differs")


@given(a=values, b=values, se_a=errors, se_b=errors)
def test_it_does_not_matter_who_published(a: float, b: float, se_a: float, se_b: float) -> None:
    """Exchanging the two numbers with their errors changes neither verdict nor distance."""
    there, back = judge(equal(a, se_a), Finding(value=b, se=se_b)), judge(equal(b, se_b), Finding(value=a, se=se_a))
    assert there.verdict == back.verdict
    assert there.n_sigma == back.n_sigma


@given(published=values, ours=values, se=errors, more=errors)
def test_a_larger_error_never_makes_a_difference(published: float, ours: float, se: float, more: float) -> None:
    """What agrees goes on agreeing when an error grows."""
    small, large = (judge(equal(published), Finding(value=ours, se=one)) for one in (se, se + more))
    assert small.verdict != "agrees" or large.verdict == "agrees"


@given(published=values, ours=values, step=steps, error=st.none() | errors)
def test_without_an_error_of_ours_nothing_differs(
    published: float, ours: float, step: float, error: float | None
) -> None:
    """Where our error is not known no number of standard errors is claimed: rounding agrees, all else is open."""
    told = judge(equal(published, error, step), Finding(value=ours))
    assert told.n_sigma is None
    assert told.verdict == ("agrees" if abs(ours - published) <= 0.5 * step * (1 + 1e-9) else "not comparable")
    assert "no error" in told.why


@given(published=values, ours=values, se=errors, relation=st.sampled_from(["above", "below"]))
def test_a_published_limit_is_broken_only_beyond_our_error(
    published: float, ours: float, se: float, relation: Literal["above", "below"]
) -> None:
    """On its own side of the limit a number agrees at no distance; on the other, by its distance."""
    told = judge(limit(relation, published), Finding(value=ours, se=se))
    if (ours >= published) == (relation == "above") or ours == published:
        assert told == Judged(verdict="agrees", n_sigma=0.0, why=told.why)
    else:
        assert told.n_sigma == pytest.approx(abs(ours - published) / se)


@given(published=values, ours=values, bound=st.sampled_from(["lower", "upper"]))
def test_our_limit_contradicts_or_leaves_open(published: float, ours: float, bound: Literal["lower", "upper"]) -> None:
    """A limit of ours never confirms a value: it excludes what lies beyond it, and says so without a sigma."""
    told = judge(equal(published), Finding(value=ours, bound=bound))
    excluded = published < ours if bound == "lower" else published > ours
    assert told.verdict == ("differs" if excluded else "not resolved")
    assert told.n_sigma is None


@given(published=values, ours=values)
def test_limits_on_one_side_confirm_each_other(published: float, ours: float) -> None:
    """Ours below theirs confirms it; ours above theirs leaves it open; ours from below contradicts it from beyond."""
    upper = judge(limit("below", published), Finding(value=ours, bound="upper"))
    assert upper.verdict == ("agrees" if ours <= published else "not resolved")
    lower = judge(limit("below", published), Finding(value=ours, bound="lower"))
    assert lower.verdict == ("differs" if ours > published else "not resolved")


@given(value=st.floats(min_value=-10, max_value=10), se=st.floats(min_value=0.1, max_value=3))
def test_a_peak_is_there_or_is_bounded(value: float, se: float) -> None:
    """Seen from three errors on; absent within two, and then with the limit that the data set."""
    found = Finding(value=value, se=se)
    seen = judge(Claim(relation="seen", unit=""), found)
    none = judge(Claim(relation="none", unit=""), found)
    assert (seen.verdict == "agrees") == (value / se >= SEEN_FROM)
    assert (none.verdict == "agrees") == (value / se <= AGREES_WITHIN)
    assert seen.verdict in {"agrees", "not resolved"}
    if none.verdict == "agrees":
        assert f"{upper_limit(found):.2g}" in none.why


@given(value=st.floats(min_value=-0.1, max_value=0.1), se=st.floats(min_value=0.06, max_value=0.3))
def test_a_limit_that_full_exchange_would_pass_says_nothing(value: float, se: float) -> None:
    """Where even full exchange would lie below our limit, the absence of a peak is not confirmed."""
    found = Finding(value=value, se=se, ceiling=0.2)
    assume(value / se <= AGREES_WITHIN)
    told = judge(Claim(relation="none", unit=""), found)
    assert told.verdict == ("not resolved" if upper_limit(found) >= 0.2 else "agrees")


def test_conventions_are_not_mixed() -> None:
    """A stated convention is compared with its like alone, and without one of its kind there is no comparison."""
    ours = [Finding(value=0.2, se=0.01, convention="ln sigma"), Finding(value=0.23, se=0.01, convention="ln sigma T")]
    for convention, off in {"ln sigma": 0.0, "ln sigma T": 3.0}.items():
        told, found = judge_conventions(equal(0.2), convention, ours)
        assert found.convention == convention
        assert told.n_sigma == pytest.approx(off)
    told, _ = judge_conventions(equal(0.2), "ln D T", ours)
    assert told.verdict == "not comparable"
    assert "ln D T" in told.why
    assert told.n_sigma is None


def test_an_unstated_convention_is_said() -> None:
    """Where the publication does not say, the nearest decides and the distance of the other stands beside it."""
    ours = [Finding(value=0.23, se=0.01, convention="ln sigma T"), Finding(value=0.2, se=0.01, convention="ln sigma")]
    told, found = judge_conventions(equal(0.2), "not stated", ours)
    assert (told.verdict, found.convention) == ("agrees", "ln sigma")
    assert "convention was not published" in told.why
    assert "3.0 standard errors" in told.why


def test_what_is_missing_is_not_resolved() -> None:
    """No number of ours is not resolved; a figure without a number is not comparable."""
    assert judge(equal(0.1), Finding()).verdict == "not resolved"
    assert judge_conventions(equal(0.1), "ln D", [])[0].verdict == "not resolved"
    assert judge(Claim(relation="shown", unit=""), Finding(value=1.0, se=0.1)).verdict == "not comparable"


def test_agreeing_by_a_large_error_is_called_weak() -> None:
    """A number whose error is as large as the published value agrees with nearly anything, and that is said."""
    assert "weak" in judge(equal(0.1), Finding(value=0.2, se=0.1)).why
    assert "weak" not in judge(equal(0.1), Finding(value=0.11, se=0.01)).why

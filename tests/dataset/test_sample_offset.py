"""How far the sample is from the sensor, as titles carry it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.dataset.sample_offset import offset_in, offset_words

offsets = st.integers(-99_99, 99_99).map(lambda hundredths: hundredths / 100)


@given(offsets, offsets.map(abs), st.text(max_size=20), st.from_regex(r"[0-9a-f]{8}-[1-9]", fullmatch=True))
@settings(max_examples=25)
def test_what_a_title_tells_is_read_back(offset_K: float, se_K: float, before: str, token: str) -> None:
    """Among any other words of a title both numbers come back to the hundredth."""
    told = offset_in(f"{before} {offset_words(offset_K, se_K)} {token}")
    assert told == pytest.approx((offset_K, se_K))


@pytest.mark.parametrize("title", ["", "sample TE", "sample TE+8.8 K", "resample TE+8.82 K +-2.00 Kelvin", "TE+8.82 K"])
def test_other_titles_tell_nothing(title: str) -> None:
    """Half of the words, or others, are no calibration."""
    assert offset_in(title) is None

"""The 335's language, both ways, for any number and any noise."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_lakeshore._codec import (
    READING_STATUS,
    Garbled,
    bits,
    fields,
    identity,
    is_query,
    next_tag,
    number,
    ramp_text,
    tagged,
    temperature_K,
    temperature_text,
    untag,
    whole,
)

answers = st.lists(st.from_regex(r"[+-][0-9]{1,3}\.[0-9]{3}|[0-9]{1,3}", fullmatch=True), min_size=1, max_size=9)


@given(answers, st.integers(1, 255), st.integers(1, 255))
def test_an_answer_belongs_to_its_tag_alone(told: list[str], tag: int, other: int) -> None:
    """The answers come back whole for their own tag and number, and for no other."""
    line = ";".join((*told, str(tag)))
    assert untag(line, len(told), tag) == tuple(told)
    assert untag(line, len(told) + 1, tag) is None
    assert (untag(line, len(told), other) is None) is (other != tag)


@given(st.text(max_size=60), st.integers(1, 255))
def test_noise_is_no_answer_to_three_questions(noise: str, tag: int) -> None:
    """Anything without three answers and the tag is refused, without a traceback."""
    told = untag(noise, 3, tag)
    assert told is None or (len(told) == 3 and noise.rsplit(";", maxsplit=1)[-1].strip() == str(tag))


def test_tags_go_round() -> None:
    """No tag is 0, and each of 255 comes once in a round."""
    tag, seen = 1, set()
    for _ in range(255):
        seen.add(tag)
        tag = next_tag(tag)
    assert seen == set(range(1, 256))
    assert tag == 1


def test_a_question_sets_and_asks_the_mask() -> None:
    """The line as it goes out."""
    assert tagged(("SETP 1,350.000", "SETP? 1"), 37) == "*ESE 37;SETP 1,350.000;SETP? 1;*ESE?"
    assert is_query("SETP? 1")
    assert is_query("*ESR?")
    assert not is_query("SETP 1,350")


@given(st.floats(1.0, 999.0), st.booleans())
def test_temperatures_go_there_and_back(kelvin: float, celsius: bool) -> None:
    """To the controller's last digit, in either unit."""
    assert temperature_K(temperature_text(kelvin, celsius=celsius), celsius=celsius) == pytest.approx(kelvin, abs=6e-4)


@given(st.floats(0.1 / 60.0, 100.0 / 60.0))
def test_a_ramp_is_never_steeper_than_asked(ramp_K_per_s: float) -> None:
    """Rounded down to a tenth of a kelvin per minute, and never to 0, which would be no ramp at all."""
    sent = float(ramp_text(ramp_K_per_s))
    assert 0.1 <= sent <= 60.0 * ramp_K_per_s + 1e-5
    assert sent > 60.0 * ramp_K_per_s - 0.1 - 1e-9


@pytest.mark.parametrize("ramp_K_per_s", [0.0, 0.05 / 60.0, 101.0 / 60.0, -1.0])
def test_an_impossible_ramp_is_refused(ramp_K_per_s: float) -> None:
    """0 would mean infinitely fast."""
    with pytest.raises(Garbled, match="cannot be set"):
        ramp_text(ramp_K_per_s)


@given(st.text(max_size=12))
def test_numbers_are_numbers(text: str) -> None:
    """Whatever comes, a number is finite or refused by name; `nan` and `1_0` are no numbers."""
    for reader in (number, whole):
        with contextlib.suppress(Garbled):
            assert math.isfinite(reader(text))
            assert set(text) <= set("+-.0123456789eE")


def test_status_bits_have_names() -> None:
    """Known bits by name, unknown ones by number."""
    assert bits(160, READING_STATUS) == "temperature over range, sensor over range"
    assert bits(2, READING_STATUS) == "bits 2"
    assert bits(0, READING_STATUS) == ""
    assert identity("LSCI,MODEL335,LSA23RT/#######,1.4").model == "MODEL335"
    with pytest.raises(Garbled, match="2 fields"):
        fields("1,2", 3)

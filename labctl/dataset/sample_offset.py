"""How far the sample is from the sensor, in words that a dataset's title carries where nothing else can."""

from __future__ import annotations

import re

_WORDS = re.compile(r"\bsample TE([+-]\d{1,3}\.\d\d) K \+-(\d{1,3}\.\d\d) K(?= |$)")


def offset_words(offset_K: float, se_K: float) -> str:
    """Return ``sample TE+8.82 K +-2.00 K`` for an offset and its standard error [K]."""
    return f"sample TE{offset_K:+.2f} K +-{se_K:.2f} K"


def offset_in(title: str) -> tuple[float, float] | None:
    """Return offset and standard error [K] that a title tells, None where it tells none."""
    found = _WORDS.search(title)
    return (float(found[1]), float(found[2])) if found is not None else None

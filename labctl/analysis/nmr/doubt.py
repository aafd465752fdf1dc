"""A doubt about spectra: its sentence, with the number and the advice that results carry beside it."""

from __future__ import annotations

from typing import Self


class Doubt(str):
    """A sentence; `value` is its number and `advice` what to do about it."""

    __slots__ = ("advice", "value")
    advice: str
    value: float | None

    def __new__(cls, text: str, value: float | None, advice: str) -> Self:
        """Return the sentence with its number and advice."""
        self = super().__new__(cls, text)
        self.advice, self.value = advice, value
        return self

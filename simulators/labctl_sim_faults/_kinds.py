"""What a fault is: what it does, what a script may say of it, and what labctl has to make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

Form = Literal["quantity", "number", "count", "function"]


class Reaction(Enum):
    """What labctl does about a fault, by itself."""

    RETRY = "retry"
    """It asks, waits or sends again; the campaign goes on and nothing is repeated."""
    NEW_ATTEMPT = "new attempt"
    """What was acquired is kept, and another attempt follows, visible everywhere."""
    PAUSE = "pause"
    """Nothing new is begun at that station until a person comes."""
    SAFE = "safe"
    """The station goes to its safe state, which only a person leaves."""
    ALARM = "alarm only"
    """People are told, data are flagged; the campaign goes on."""
    NOTHING = "nothing"
    """It does no harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A value that a fault takes beside `fault`, `station`, its time and `for`.

    Attributes
    ----------
    what : str
        For people.
    form : str
        ``quantity`` (text with a unit), ``number`` (plain), ``count`` (whole, from 1), ``function`` ([6, 2]).
    unit : str
        A quantity's, in which it comes back.
    example : str
        As one would write it.
    default : float or None
        None: it must be given, unless `optional`.
    difference : bool
        A difference of temperatures.
    signed : bool
        May be negative.
    """

    what: str
    example: str
    form: Form = "quantity"
    unit: str = ""
    default: float | None = None
    optional: bool = False
    difference: bool = False
    signed: bool = False


Trigger = Mapping[str, Literal["text", "count"]]
"""Keys by which a script names the step, acquisition or sweep that starts a fault's count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """A fault that a simulator knows.

    Attributes
    ----------
    what : str
        What happens, physically.
    where : str
        The part of the instrument it happens to.
    lasts : str
        Whether the script says for how long: not at all, if it likes, or always.
    parameters : mapping
        What else it takes.
    only : str
        The one instrument of several that share a table that can have it; empty: all.
    reaction : Reaction or None
        What labctl does; None: not declared.
    otherwise : mapping
        Phases of a campaign in which labctl does something else.
    message : str
        Words that the message carries which a person gets; empty: nobody is told.
    hazard : str
        What a person at the instrument has to mind, as the message says it.
    within_s, growing_s : float
        How long after the fault labctl acts at the latest; the latter while an acquisition goes on. 0: not told.
    rehearsed : mapping
        How tests rehearse it: `for` and parameters, as a script has them.
    """

    what: str
    where: str = ""
    lasts: Literal["", "optional", "needed"] = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    only: str = ""
    reaction: Reaction | None = None
    otherwise: Mapping[str, Reaction] = field(default_factory=dict)
    message: str = ""
    hazard: str = ""
    within_s: float = 0.0
    growing_s: float = 0.0
    rehearsed: Mapping[str, str] = field(default_factory=dict)

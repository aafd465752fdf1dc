"""What an error says."""

from __future__ import annotations

from labctl.errors import (
    Finding,
    ForeignDataError,
    InputError,
    InstrumentError,
    InternalError,
    LabctlError,
    PausedByPerson,
    SafetyRefusal,
)


def test_a_finding_is_one_line_with_place_key_value_and_remedy() -> None:
    """``file:line:column: key path: what, got value; what would be right``."""
    finding = Finding(
        file="p.yaml", line=3, column=5, key_path="a.b[1]", what="has no unit", value="10", expected='such as "10 ms"'
    )
    assert str(finding) == 'p.yaml:3:5: a.b[1]: has no unit, got 10; such as "10 ms"'


def test_an_instrument_error_shows_what_was_asked_and_answered() -> None:
    """Instrument, command and reply stand in the message."""
    problem = InstrumentError("heater tripped", instrument="nmr500", command="teget", reply="E7", next_step="Look.")
    text = str(problem)
    for part in ("nmr500", "heater tripped", "teget", "E7", "Look."):
        assert part in text


def test_an_instrument_error_says_each_thing_once() -> None:
    """Nothing is said of a reply that never came, and the instrument is named once, also around another error."""
    problem = InstrumentError("no answer", instrument="nmr500", command="teget")
    assert str(problem) == "nmr500: no answer (command 'teget')"
    assert str(InstrumentError(str(problem), instrument="nmr500")) == str(problem)


def test_exit_codes_are_those_people_script_against() -> None:
    """Input 2, fault 1, refused 3, person 4, bug 70."""
    codes = {
        kind: kind.exit_code
        for kind in (InputError, InstrumentError, ForeignDataError, SafetyRefusal, PausedByPerson, InternalError)
    }
    assert list(codes.values()) == [2, 1, 3, 3, 4, 70]
    assert all(issubclass(kind, LabctlError) for kind in codes)

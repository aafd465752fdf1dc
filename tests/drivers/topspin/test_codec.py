"""What stands in the files of the job folder."""

from __future__ import annotations

import dataclasses
import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl.formats.bruker_lists import read_delays, read_pulses
from labctl.ports import (
    Acquire,
    AwaitStable,
    CheckSpinning,
    CoolDown,
    Experiment,
    Exsy,
    Nutation,
    OnePulse,
    Order,
    SaturationRecovery,
    SetTemperature,
    Task,
    Tune,
)
from labctl_topspin._codec import (
    ENDINGS,
    Ending,
    decode,
    delay_list,
    encode,
    expno,
    heartbeat,
    pulse_list,
    record,
    safe_path,
    safe_title,
    step_pairs,
)
from labctl_topspin._settings import read_settings
from tests.drivers.topspin.orders import GOOD, ONE_PULSE, order

SETTINGS = read_settings(GOOD, station="nmr")

numbers = st.floats(min_value=1e-6, max_value=1e5)
tokens = st.from_regex(r"[0-9a-f]{8}-[1-9]", fullmatch=True)
experiments: st.SearchStrategy[Experiment] = st.one_of(
    st.just(OnePulse(purpose="line")),
    st.builds(Nutation, pulses_s=st.tuples(numbers, numbers), recovery_s=numbers),
    st.builds(SaturationRecovery, delays_s=st.lists(numbers, min_size=2, max_size=12).map(tuple)),
    st.builds(Exsy, mixing_time_s=numbers, rows=st.integers(2, 512), increment_s=numbers),
)
tasks: st.SearchStrategy[Task] = st.one_of(
    st.builds(SetTemperature, setpoint_K=numbers, sample_K=numbers, ramp_K_per_s=numbers, give_up_s=numbers),
    st.builds(CoolDown, setpoint_K=numbers, ramp_K_per_s=numbers, give_up_s=numbers),
    st.builds(AwaitStable, setpoint_K=numbers, sample_K=numbers, within_K=numbers, hold_s=numbers, give_up_s=numbers),
    st.builds(CheckSpinning, rate_Hz=numbers, tolerance_Hz=numbers, give_up_s=numbers),
    st.builds(Tune, mode=st.sampled_from(["operator", "atma"]), give_up_s=numbers),
    st.builds(
        Acquire,
        experiment=experiments,
        expno_slot=st.integers(100, 9000),
        template=st.just(""),
        nucleus=st.just("6Li"),
        scans=st.integers(1, 512),
        dummy_scans=st.integers(0, 16),
        recycle_delay_s=numbers,
        points=st.integers(64, 4096),
        spectral_width_Hz=numbers,
        carrier_ppm=st.floats(-100, 100),
        pulse_s=numbers,
        receiver_gain=st.none() | numbers,
        spinning_Hz=numbers,
        spinning_tolerance_Hz=numbers,
        setpoint_K=numbers,
        sample_K=numbers,
        duration_s=numbers,
    ),
)
orders = st.builds(lambda token, task, epoch: order(task, token=token, epoch=epoch), tokens, tasks, st.integers(1, 99))


@given(orders)
def test_a_step_file_gives_back_what_was_ordered(given_order: Order) -> None:
    """Every value of a step survives its file, floats to the last bit."""
    pairs = step_pairs(given_order, seq=7, settings=SETTINGS)
    text = encode(pairs)
    read = decode(text)
    assert read is not None
    assert read.keys() == pairs.keys()
    for key, value in pairs.items():
        assert type(value)(read[key]) == value
    assert text.isascii()
    assert max(map(len, text.splitlines())) < 240


@given(orders)
def test_a_step_names_what_the_executor_reads(given_order: Order) -> None:
    """The executor has a line for every key that a step file may carry."""
    source = resources.files("labctl_topspin").joinpath("au/labctl_executor.c").read_text(encoding="utf-8")
    read = set(re.findall(r'sscanf\(line, "(\w+)=', source))
    assert step_pairs(given_order, seq=7, settings=SETTINGS).keys() - {"seq"} <= read


@given(st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), st.text()))
def test_nothing_typed_becomes_a_line_of_its_own(pairs: dict[str, str]) -> None:
    """Whatever somebody writes, it is refused or it comes back as that one value."""
    try:
        text = encode(pairs)
    except InputError:
        return
    assert decode(text) == pairs


@given(st.text(), tokens)
def test_a_title_is_made_plain_and_keeps_its_token(text: str, token: str) -> None:
    """A campaign may be called anything: the title is one ASCII line that ends in the token."""
    title = safe_title(f"{text} {token}", token)
    assert title.endswith(token)
    assert re.fullmatch(r"[A-Za-z0-9_.+\-:/ ]+", title)
    assert encode({"title": title})


def test_a_title_without_token_is_refused() -> None:
    """Evidence is found by the token, so a title must carry it."""
    with pytest.raises(InputError, match="token"):
        safe_title("campaign", "0123abcd-1")


@pytest.mark.parametrize("path", ["/data/a;rm", "/data/$HOME", "/data/a\nb", "C:/da'ta", "/data/%s", "/d/" + "x" * 200])
def test_a_path_that_could_mean_more_is_refused(path: str) -> None:
    """What TopSpin, a shell or printf would take for more than a name is no folder of ours."""
    with pytest.raises(InputError):
        safe_path(path, "the folder", any_letter=True)


def test_a_windows_path_gets_forward_slashes() -> None:
    """Paths reach the console with forward slashes; letters outside ASCII only where the console is simulated."""
    assert safe_path("C:\\Bruker\\data", "the folder", any_letter=False) == "C:/Bruker/data"
    assert safe_path("/home/josé/x (1)", "the folder", any_letter=True) == "/home/josé/x (1)"
    with pytest.raises(InputError):
        safe_path("/home/josé", "the folder", any_letter=False)


@given(st.sampled_from(ENDINGS), st.text())
def test_a_cut_file_counts_as_not_there(ending: Ending, tail: str) -> None:
    """Without its last line a record or heartbeat does not exist yet, wherever it was cut."""
    whole = "seq=7\ntoken=0123abcd-1\nphase=begun\ntime=5\nexecutor=1\nend\n"
    assert record(ending, whole) is not None
    for length in range(len(whole) - 1):
        assert record(ending, whole[:length]) is None
        assert heartbeat(whole[:length]) is None
    record(ending, tail)
    heartbeat(tail)


def test_a_failed_reading_is_none_and_not_zero() -> None:
    """A heartbeat without a value, or with nonsense in it, has no reading there."""
    beat = heartbeat("seq=1\ntime=10\nte_K=nan\nspinning_Hz=9999.5\nstate=safe\nneeds_person=1\nend\n")
    assert beat is not None
    assert beat.te_K is None
    assert beat.gas_L_per_h is None
    assert beat.spinning_Hz == 9999.5
    assert beat.needs_person


@given(values_s=st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=30))
def test_lists_hold_seconds_and_microseconds(tmp_path_factory: pytest.TempPathFactory, values_s: list[float]) -> None:
    """Delay and pulse lists say the same to whoever reads them back, to a nanosecond."""
    path = tmp_path_factory.getbasetemp() / "list"
    path.write_text(delay_list(values_s), encoding="ascii")
    assert read_delays(path) == pytest.approx(values_s, rel=1e-12, abs=1e-9)
    path.write_text(pulse_list(values_s), encoding="ascii")
    assert read_pulses(path) == pytest.approx(values_s, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("attempt", [0, 10])
def test_only_nine_attempts_have_an_expno(attempt: int) -> None:
    """The EXPNO map keeps one digit for the attempt; what does not fit is refused and never wraps."""
    given = dataclasses.replace(order(ONE_PULSE), attempt=3)
    assert expno(given) == ONE_PULSE.expno_slot + 3
    with pytest.raises(InputError):
        expno(dataclasses.replace(given, attempt=attempt))

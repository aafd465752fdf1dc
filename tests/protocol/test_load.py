"""Reading files: what comes in, what is refused, and that nothing but a labctl error ever comes out."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from labctl import located_yaml
from labctl.errors import InputError
from labctl.plan.check import check
from labctl.protocol.lab import Lab
from labctl.protocol.load import load_lab, load_protocol, read
from labctl.protocol.model import Protocol
from labctl.protocol.vt_exsy import ALL_SITES

SOUND = (Path(__file__).parent / "sound.yaml").read_text(encoding="utf-8")
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def protocol_of(text: str) -> Protocol:
    """Return the protocol of a text."""
    return read(Protocol, located_yaml.loads(text, file="text.yaml"))


def test_text_with_units_becomes_si() -> None:
    """Temperatures, times and rates arrive in kelvin, seconds and hertz."""
    p = protocol_of(SOUND).procedures[0].vt_exsy
    assert p.temperatures_K == pytest.approx((298.15, 323.15))
    assert p.mixing_times_s == (0.02, 2.0)
    assert (p.increment_s, p.spinning.rate_Hz) == (0.0008, 10_000.0)
    assert p.ramp_K_per_s == pytest.approx(2 / 60)


def test_short_forms_mean_their_blocks() -> None:
    """A rate, a tuner, a delay and a drift may be written as one text."""
    long = SOUND.replace("spinning: 10 kHz", "spinning: {rate: 10 kHz}").replace(
        "scans: 8", "scans: 8\n      tune: {by: atma}\n      settle: {shift: {shift: 0.02 ppm, per: 15 min}}"
    )
    short = SOUND.replace("scans: 8", "scans: 8\n      tune: atma\n      settle: {shift: 0.02 ppm per 15 min}")
    for text in (long, short):
        settle_line = "      settle: {within: 0.5 K, for: 30 min, give_up: 90 min}\n"
        assert settle_line in text
    assert protocol_of(long.replace(settle_line, "")) == protocol_of(short.replace(settle_line, ""))
    fixed = protocol_of(SOUND.replace("recycle_delay: {times_T1: 1.5, of: slowest, max: 30 s}", "recycle_delay: 50 s"))
    assert fixed.procedures[0].vt_exsy.recycle_delay.fixed_s == 50.0


def test_the_line_may_go_unchecked() -> None:
    """``shift: none`` leaves the sample's own line out of settling."""
    text = SOUND.replace("give_up: 90 min}", "give_up: 90 min, shift: none}")
    assert protocol_of(text).procedures[0].vt_exsy.settle.shift is None


@pytest.mark.parametrize(
    ("written", "site", "index", "expected"),
    [
        ("5 s", "A", 1, 5.0),
        ("[5 s, 3 s]", "A", 1, 3.0),
        ("{A: 5 s, B: 9 s}", "slowest", 0, 9.0),
        ("{A: [5 s, 12 s], B: 9 s}", "slowest", 1, 12.0),
        ("{A: 5 s}", "B", 0, None),
    ],
)
def test_expected_t1_by_site_and_temperature(written: str, site: str, index: int, expected: float | None) -> None:
    """T1 may be expected once, per temperature, per site, or both."""
    t1 = protocol_of(SOUND.replace("expect: 5 s", f"expect: {written}")).procedures[0].vt_exsy.t1
    assert t1 is not None
    assert t1.expected_s(site, index) == expected
    assert (ALL_SITES in (t1.expect_s or {})) == (not written.startswith("{"))


def test_models_are_frozen() -> None:
    """What was read is never changed."""
    protocol = protocol_of(SOUND)
    with pytest.raises(ValueError, match="frozen"):
        protocol.campaign = "other"


def test_shipped_files_load(protocols: Path) -> None:
    """Every protocol and lab that ships with labctl is read and draws no error."""
    lab = load_lab(protocols / "labs" / "simulated.yaml")
    files = sorted(protocols.glob("*.yaml"))
    assert files
    for path in files:
        loaded = load_protocol(path)
        assert not [f for f in check(loaded.model, lab.model, places=loaded.located) if f.severity == "error"]


@pytest.fixture(scope="module")
def lab(protocols: Path) -> Lab:
    """The simulated lab that ships with labctl."""
    return load_lab(protocols / "labs" / "simulated.yaml").model


def lines() -> st.SearchStrategy[str]:
    """Lines of the sound protocol, broken in every small way."""
    good = SOUND.splitlines()
    scalars = st.sampled_from(
        ["", "~", "[]", "{}", "- ", "1e999 s", "NaN", ".inf K", "0x1F", "!!set {}", "&a *a", "'", "\t"]
    )
    return st.one_of(st.sampled_from(good), scalars, st.text(max_size=20), st.sampled_from(good).map(str.strip))


@FUZZ
@given(raw=st.binary(max_size=300))
@example(raw=b"\x00")
@example(raw=b"\xef\xbb\xbf")
@example(raw=b"version: 1\nsample: " + b"[" * 5000)
@example(raw=b"- " * 5000)
@example(raw=b"version: " + b"9" * 5000)
def test_any_bytes_give_a_labctl_error(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever stands in a file, reading it as protocol or lab raises nothing but an input error."""
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(raw)
    for load in (load_protocol, load_lab):
        with pytest.raises(InputError):
            load(path)


@FUZZ
@given(text=st.lists(lines(), max_size=30).map("\n".join))
def test_shuffled_lines_give_a_labctl_error_or_a_protocol(text: str) -> None:
    """Lines of a sound protocol in any order, with rubbish between, never give a traceback."""
    with contextlib.suppress(InputError):
        protocol_of(text)


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """The sound protocol's data with one value replaced by anything."""
    data = located_yaml.loads(SOUND, file="text.yaml").data
    node: Any = data
    while True:
        key: Any = (
            draw(st.sampled_from(sorted(node))) if isinstance(node, dict) else draw(st.sampled_from(range(len(node))))
        )
        if not isinstance(node[key], (dict, list)) or not node[key] or draw(st.booleans()):
            break
        node = node[key]
    leaf = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12))
    node[key] = draw(
        st.recursive(
            leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        )
    )
    return data


@FUZZ
@given(data=spoiled())
def test_any_value_anywhere_gives_findings_or_a_sound_check(data: Any, lab: Lab) -> None:
    """One value replaced by anything is either refused with places, or a protocol that can be checked."""
    try:
        protocol = read(Protocol, located_yaml.Located(data=data, file="text.yaml", places={(): (1, 1)}))
    except InputError as problem:
        found = problem.findings
    else:
        check(protocol, lab)
        return
    assert found


def test_checking_loads_no_heavy_library(protocols: Path) -> None:
    """Reading, checking and planning the paper's protocol loads neither pint nor numpy nor scipy."""
    code = f"""
import sys
from pathlib import Path
from labctl.protocol.load import load_lab, load_protocol
from labctl.plan.check import check
from labctl.plan.expand import expand
lab = load_lab(Path({str(protocols / "labs" / "simulated.yaml")!r}))
loaded = load_protocol(Path({str(protocols / "paper" / "exsy_coated.yaml")!r}))
assert not [f for f in check(loaded.model, lab.model, places=loaded.located) if f.severity == "error"]
expand(loaded.model, lab.model)
print(*sorted({{"pint", "numpy", "scipy", "rich"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""

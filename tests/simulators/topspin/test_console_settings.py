"""Settings of the simulated console are checked, its parameter files read back, its lists parsed, its server serves."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl_sim_topspin import server
from labctl_sim_topspin._jcamp import Parameter, document, parameters_of, record
from labctl_sim_topspin._lists import values_s
from labctl_sim_topspin._parameters import acqu, kind_of
from labctl_sim_topspin._settings import read_settings
from tests.simulators.topspin.lab import SAMPLE


@pytest.mark.parametrize(
    ("settings", "key", "says"),
    [
        ({"simulator": {"layuot": "4.2"}}, "simulator.layuot", "is not a key"),
        ({"simulator": {"layout": "4.1"}}, "simulator.layout", "is not a choice"),
        ({"simulator": {"operator": True}}, "simulator.operator", "is not a choice"),
        ({"simulator": {"spinning": "10 K"}}, "simulator.spinning", "is not a unit of this kind"),
        ({"simulator": {"spinning": []}}, "simulator.spinning", "is not a number"),
        ({"simulator": {"friction": {"cubic": 1}}}, "simulator.friction.cubic", "is not a key"),
        ({"simulator": {"friction": 3}}, "simulator.friction", "is not a list of keys"),
        ({"simulator": {"code_after_halt": "x"}}, "simulator.code_after_halt", "is not a whole number"),
        ({"data_dir": "../elsewhere"}, "data_dir", "outside the simulated lab's folder"),
        ({"job_dir": 3}, "job_dir", "is not a name"),
        ({"templates": {"exsy": "4"}}, "templates.exsy", "is not a whole number"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, settings: dict[str, Any], key: str, says: str) -> None:
    """The finding names the key and what is wrong with it."""
    with pytest.raises(InputError) as caught:
        read_settings(settings, station="nmr", state_dir=tmp_path)
    finding = caught.value.findings[0]
    assert finding.key_path == key
    assert says in finding.what


def test_settings_take_units_and_defaults(tmp_path: Path) -> None:
    """Quantities are text with units or numbers in the unit of the name; what is left out has its default."""
    own = {"operator_answers_after": "5 min", "spinning": "8 kHz", "thermal": {"sample": "2 min", "wander_K": 0.1}}
    settings = read_settings({"simulator": own}, station="nmr", state_dir=tmp_path)
    assert (settings.operator_answers_after_s, settings.spinning_Hz) == (300.0, 8000.0)
    assert (settings.thermal.sample_s, settings.thermal.wander_K) == (120.0, 0.1)
    assert (settings.layout, settings.data_dir) == ("4.0.8", tmp_path / "data")
    assert settings.experiment("noesyph") == "exsy"
    assert settings.experiment("cosygpqf") is None


scalars = st.one_of(
    st.integers(-(2**31), 2**31 - 1),
    st.floats(-1e12, 1e12, allow_nan=False).map(lambda value: float(f"{value:.15g}")),
    st.booleans(),
    st.text(
        st.characters(codec="ascii", exclude_characters="<>\n\r\x0b\x0c\x1c\x1d\x1e\x85", min_codepoint=32), max_size=30
    ),
)
arrays = st.one_of(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=64),
    st.lists(
        st.text(st.characters(codec="ascii", min_codepoint=33, exclude_characters="<>"), max_size=9),
        min_size=1,
        max_size=32,
    ),
)


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Za-z0-9_]{0,8}", fullmatch=True), scalars | arrays, min_size=1))
def test_parameter_files_read_back_as_they_were(parameters: dict[str, Parameter]) -> None:
    """What the console writes it reads again, value by value; no line is empty."""
    records = [record(key, parameters[key]) for key in sorted(parameters)]
    text = document(records, title="x", owner="y", comments=("now", "here"), serial=3)
    found = parameters_of(text)
    assert found.keys() == parameters.keys()
    for key, value in parameters.items():
        assert found[key] == value or (isinstance(value, float) and found[key] == int(value))
    assert "\n\n" not in text


def test_every_parameter_has_a_c_type() -> None:
    """Each known parameter can be fetched by its AU name, arrays only with an index inside them."""
    for key, value in acqu().items():
        name = f"{key} 0" if isinstance(value, list) else key
        assert kind_of(name) is not None, key
        assert kind_of(f"{key} 999") is None
    assert [kind_of(name) for name in ("D 8", "TE", "NS", "PULPROG", "MASR", "GRPDLY", "nonsense", "D")] == [
        "double", "double", "int", "text", "int", "float", None, None]  # fmt: skip


def test_lists_are_read_with_their_suffixes() -> None:
    """Seconds or microseconds where nothing is said, n u m s where it is, blanks and blank lines passed over."""
    assert values_s("1.0\n20.000m\n10s \n3u\n\n\n", bare="s") == pytest.approx((1.0, 0.02, 10.0, 3e-6))
    assert values_s("100u\n5m\n4.9", bare="u") == pytest.approx((1e-4, 5e-3, 4.9e-6))
    with pytest.raises(ValueError, match="line 2: '-1'"):
        values_s("1\n-1\n", bare="s")


def test_the_server_says_where_it_is_and_takes_typed_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One JSON line tells the folders; a command file is carried out or refused; the lab is kept afterwards."""
    monkeypatch.setattr(server, "_TICK_s", 0.001)
    (tmp_path / "sample.yaml").write_text(SAMPLE, encoding="utf-8")
    keyboard = tmp_path / "lab" / server.KEYBOARD
    keyboard.mkdir(parents=True)
    (keyboard / "1.cmd").write_text("teset 310\n", encoding="utf-8")
    (keyboard / "2.cmd").write_text("xau nothing\n", encoding="utf-8")
    for _ in range(2):
        out, left = io.StringIO(), iter([False, False])
        server.serve(
            station="nmr",
            state_dir=tmp_path / "lab",
            sample=tmp_path / "sample.yaml",
            settings={},
            seed=1,
            speed=1000.0,
            stopped=lambda left=left: next(left, True),  # type: ignore[misc]  # bound now
            out=out,
        )
        ready = json.loads(out.getvalue())
        assert Path(ready["data_dir"]).is_dir()
        assert Path(ready["au_dir"]).is_dir()
    assert "done" in (keyboard / "1.done").read_text(encoding="utf-8")
    assert "AU program nothing not found" in (keyboard / "2.refused").read_text(encoding="utf-8")
    assert not list(keyboard.glob("*.cmd"))

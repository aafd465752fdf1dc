"""MacNet's JSON as bytes: however a stream is cut, the same replies come out; names and channels keep their rules."""

from __future__ import annotations

import contextlib
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl_maccor import _codec as codec
from labctl_maccor._codec import Channel, Framer, Garbled, Refused

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
_OBJECTS = st.lists(st.dictionaries(st.text(), _JSON), min_size=1, max_size=4)


@settings(max_examples=50, deadline=None)
@given(_OBJECTS, st.sampled_from([b"\r\n", b"", b"\n", b" \r\n\r\n"]), st.booleans(), st.data())
def test_a_stream_gives_its_objects_however_it_is_cut(
    objects: list[dict[str, object]], between: bytes, indented: bool, data: st.DataObject
) -> None:
    """Split anywhere (CR LF on a border too), joined, indented: the objects come out whole and in order."""
    texts = [json.dumps(one, indent=2 if indented else None, ensure_ascii=False).encode("utf-8") for one in objects]
    stream = b"".join(text + between for text in texts)
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=12))})
    framer, found = Framer(), []
    for low, high in pairwise(cuts):
        framer.feed(stream[low:high])
        while (one := framer.next()) is not None:
            found.append(one)
    assert found == texts
    assert framer.next() is None


def test_a_stream_that_is_no_object_is_refused() -> None:
    """What does not begin with a brace, or never ends, is garbled rather than waited for."""
    framer = Framer()
    framer.feed(b"\r\nHTTP/1.1 400")
    with pytest.raises(Garbled):
        framer.next()
    endless = Framer(limit=100)
    endless.feed(b'{"a": ' + 94 * b"[")
    assert endless.next() is None
    with pytest.raises(Garbled):
        endless.feed(b"[")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(noise: bytes) -> None:
    """Whatever comes is a result, an error of the tester, or garbled; never anything else."""
    asked = codec.request(4, 7, identity=2000, channel=Channel(3))
    with contextlib.suppress(Garbled, Refused):
        codec.channel_status(codec.result_of(asked, noise))


@settings(max_examples=50)
@given(_JSON)
def test_no_result_breaks_the_reading(result: object) -> None:
    """Whatever a reply holds is a status or garbled; never anything else."""
    asked = codec.request(4, 7, identity=2000, channel=Channel(3))
    reply = json.dumps({"jsonrpc": "2.0", "result": result, "id": 2000}).encode("utf-8")
    with contextlib.suppress(Garbled, Refused):
        codec.channel_status(codec.result_of(asked, reply))


@given(st.integers(1, 128))
def test_channels_count_from_one_to_people_and_from_zero_on_the_wire(number: int) -> None:
    """The wire, the suffix of data files, and the number people read belong together."""
    sent = json.loads(codec.request(4, 7, identity=1, channel=Channel(number)))
    assert sent["params"]["Chan"] == number - 1
    assert int(Channel(number).suffix.removeprefix(".")) == number
    assert f"channel {number}" in codec.describe(codec.request(4, 7, identity=1, channel=Channel(number)))


@given(st.text(max_size=60), st.integers(0, 2**32 - 1), st.integers(1, 99))
def test_test_names_fit_and_end_in_the_token(cell: str, key: int, attempt: int) -> None:
    """At most 25 safe characters, ending in the token, recognised as ours."""
    token = f"{key:08x}-{attempt}"
    name = codec.test_name(cell, token)
    assert len(name) <= 25
    assert name.endswith(token)
    assert codec.is_ours(name)
    assert codec.is_file_name(name)


@pytest.mark.parametrize(
    "name", ["", "cell 7", "cell-0a1b2c3d", "a_name_of_more_than_25_chars-0a1b2c3d-1", "x-0A1B2C3D-1"]
)
def test_other_names_are_not_ours(name: str) -> None:
    """Names that `test_name` does not make are somebody else's."""
    assert not codec.is_ours(name)


@pytest.mark.parametrize(
    ("reply", "belongs"),
    [
        ({"id": 2000, "result": {"FClass": 4, "FNum": 7, "Chan": 2}}, True),
        ({"id": 2000, "result": {"Stat": 2}}, True),
        ({"id": 2000, "error": {"code": -32602}}, True),
        ({"id": 1999, "result": {"FClass": 4, "FNum": 7, "Chan": 2}}, False),
        ({"id": 2000, "result": {"FClass": 4, "FNum": 7, "Chan": 3}}, False),
        ({"id": 2000, "result": {"FClass": 4, "FNum": 6, "Chan": 2}}, False),
        ({"id": 1987, "result": {"FClass": 4, "FNum": 7, "Chan": 2}}, True),
        ({"id": 1987, "result": {"Stat": 2}}, False),
        ({"id": 1987, "error": {"code": -32602}}, False),
        ({"id": None, "error": {"code": -32700}}, True),
    ],
)
def test_a_reply_belongs_to_its_request(reply: dict[str, object], belongs: bool) -> None:
    """By id, and by function and channel where told; by these alone from a server with one id for all."""
    asked = codec.request(4, 7, identity=2000, channel=Channel(3))
    assert codec.answers(asked, json.dumps(reply).encode()) is belongs


def test_a_reply_without_any_id_is_no_reply() -> None:
    """An object that names no id comes from no server of MacNet: waiting for a better one would not help."""
    with pytest.raises(Garbled, match=r"no reply of MacNet.*no id"):
        codec.answers(codec.request(4, 6, identity=2000, channel=Channel(3)), b'{\n    "err": 1\n}')


def test_a_request_in_a_message_hides_its_keys() -> None:
    """What messages say of a login is its function alone."""
    asked = codec.request(8, 1, identity=1, UserID="labctl", Password="s3cret-word")
    assert codec.describe(asked) == "MacNet (8,1)"

"""What the console leaves on disk is a Bruker dataset: nmrglue reads it in every layout, signs and padding right."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import nmrglue as ng
import numpy as np
import pytest

from tests.simulators.topspin.lab import Lab, SHIFTS_ppm, ppm_axis

LAYOUTS = ("4.0.8", "3.6", "4.2")


def _read(folder: Path) -> tuple[dict[str, Any], Any]:
    """Read with nmrglue as it comes (4.2 keeps no file `pulseprogram`, which nmrglue would warn of)."""
    dic, data = ng.bruker.read(str(folder), read_pulseprogram=(folder / "pulseprogram").exists())
    return dic, data


@pytest.fixture(scope="module", params=LAYOUTS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """One lab per layout, with a dataset of each kind in it."""
    made = Lab(tmp_path_factory.mktemp("lab"), layout=request.param)
    (made.link.lists_dir / "vd" / "few").write_text("100m\n1\n4s \n\n", encoding="utf-8")
    (made.link.lists_dir / "vp" / "few").write_text("1\n4.9\n9.8u\n", encoding="utf-8")
    small = 'STOREPAR("TD", 900) STOREPAR("NS", 4) STOREPAR("D 1", 8.0)'
    made.run(made.dataset(11, 1, small.replace("900", "1024")) + "\nZG")
    made.run(made.dataset(21, 3, small, 'STOREPARN(1, "TD", 3) STOREPAR("VDLIST", "few")') + "\nZG")
    made.run(made.dataset(31, 2, small, 'STOREPARN(1, "TD", 3) STOREPAR("VPLIST", "few")') + "\nZG")
    made.acquire_exsy(41)
    return made


@pytest.mark.parametrize(("expno", "shape"), [(11, (512,)), (21, (3, 450)), (31, (3, 450)), (41, (48, 512))])
def test_nmrglue_reads_the_shape(lab: Lab, expno: int, shape: tuple[int, ...]) -> None:
    """Cropped to TD/2 every dataset has the shape its parameters say, and its padding is zero."""
    dic, data = _read(lab.expno(expno))
    half = dic["acqus"]["TD"] // 2
    assert data[..., :half].shape == shape
    assert not np.any(data[..., half:])
    rows = dic["acqu2s"]["TD"] if "acqu2s" in dic else 1
    assert rows == (shape[0] if len(shape) == 2 else 1)


def test_rows_begin_on_1024_bytes(lab: Lab) -> None:
    """A ser is rows of whole 1024-byte blocks; a fid is not padded."""
    width = 4 if lab.simulator_settings["layout"] == "3.6" else 8
    assert (lab.expno(11) / "fid").stat().st_size == 1024 * width
    assert (lab.expno(21) / "ser").stat().st_size == 3 * -(-900 * width // 1024) * 1024


def test_status_tells_how_to_read_the_raw_data(lab: Lab) -> None:
    """NEO layouts write float64 with NC 0, the older one int32 with a negative NC; the true counts are the same."""
    status = _read(lab.expno(11))[0]["acqus"]
    data = _read(lab.expno(11))[1]
    if lab.simulator_settings["layout"] == "3.6":
        assert status["DTYPA"] == 0
        assert status["NC"] < 0
        assert 2**27 <= np.abs(data.view(float)).max() < 2**30
    else:
        assert (status["DTYPA"], status["NC"]) == (2, 0)
    start = np.abs(data[status["GRPDLY"]]) * 2.0 ** status["NC"]
    expected = 4e5 * 4 * (1 - np.exp(-8.0 / 2.0))  # counts per unit, scans, recovery between scans
    assert start == pytest.approx(expected, rel=0.05)


def test_signal_begins_after_the_filter(lab: Lab) -> None:
    """The first GRPDLY points hold no signal, and GRPDLY is whole."""
    dic, data = _read(lab.expno(41))
    delay = dic["acqus"]["GRPDLY"]
    assert delay == 68
    assert np.abs(data[0, :delay]).max() < 0.05 * np.abs(data[0, delay])


def test_the_diagonal_lies_on_the_diagonal(lab: Lab) -> None:
    """Transformed by the book, each line of the 2D stands at its own shift in both directions."""
    dic, data = _read(lab.expno(41))
    fids = data[:, dic["acqus"]["GRPDLY"] :]
    k = np.arange(fids.shape[0] // 2)
    z = fids[0::2].real + 1j * fids[1::2].real
    spectrum_f2 = np.fft.fftshift(np.fft.fft(fids, axis=1), axes=1)[:, ::-1]
    hyper = (spectrum_f2[0::2].real + 1j * spectrum_f2[1::2].real) * ((-1.0) ** k)[:, None]
    assert z.shape[0] == k.size
    spectrum = np.fft.fftshift(np.fft.fft(hyper, 256, axis=0), axes=0)[::-1]
    larmor = dic["acqus"]["BF1"]
    f2 = ppm_axis(spectrum.shape[1], dic["acqus"]["SW_h"], larmor)
    f1 = ppm_axis(spectrum.shape[0], dic["acqu2s"]["SW_h"], larmor)
    for shift in SHIFTS_ppm.values():
        column = np.argmin(np.abs(f2 - shift))
        window = np.abs(spectrum[:, column - 1 : column + 2]).sum(axis=1)
        assert f1[np.argmax(window)] == pytest.approx(shift, abs=1.5)


@pytest.mark.parametrize("fnmode", [4, 6])
def test_states_and_echo_antiecho_are_told_apart(tmp_path: Path, fnmode: int) -> None:
    """States needs no sign change per increment; echo-antiecho rows are sum and difference of cosine and sine."""
    tppi = _read(Lab(tmp_path / "5").acquire_exsy(rows=32, fnmode=5))[1]
    other = _read(Lab(tmp_path / "x").acquire_exsy(rows=32, fnmode=fnmode))[1]
    sign = np.repeat((-1.0) ** np.arange(16), 2)[:, None]
    cosine, sine = (sign * tppi)[0::2], (sign * tppi)[1::2]
    rows = (cosine, sine) if fnmode == 4 else (cosine + 1j * sine, cosine - 1j * sine)
    noise = 4e5 * 0.001 * np.sqrt(2) * 12
    for found, expected in zip((other[0::2], other[1::2]), rows, strict=True):
        assert np.abs(found - expected).max() < noise


def test_f1_increment_can_be_read_back(lab: Lab) -> None:
    """IN 0, INF 1 and the width of F1 agree, and D 0 with 4 P1/pi gives the first effective t1."""
    dic, data = _read(lab.expno(41))
    status = dic["acqus"]
    assert status["IN"][0] == pytest.approx(400e-6)
    assert status["INF"][1] == pytest.approx(400.0)
    assert dic["acqu2s"]["SW_h"] == pytest.approx(2500.0)
    t1_s = status["D"][0] + 4 * status["P"][1] * 1e-6 / np.pi
    first, second = data[0, 68], data[1, 68]
    lines = [np.exp(2j * np.pi * ppm * status["BF1"] * t1_s) for ppm in SHIFTS_ppm.values()]
    expected = np.array(lines) @ np.array([0.5, 0.3, 0.2])
    assert (second / first).real == pytest.approx(expected.imag / expected.real, abs=0.01)


def test_half_dwell_start_is_in0_over_two(tmp_path: Path) -> None:
    """With the half-dwell setting D 0 + 4 P1/pi is half an increment."""
    status = _read(Lab(tmp_path, first_increment="half dwell").acquire_exsy(rows=8))[0]["acqus"]
    assert status["D"][0] + 4 * status["P"][1] * 1e-6 / np.pi == pytest.approx(status["IN"][0] / 2)


def test_files_of_each_layout(lab: Lab) -> None:
    """Lists and pulse program stand where each version keeps them."""
    layout = lab.simulator_settings["layout"]
    for expno, kind in ((21, "vd"), (31, "vp")):
        folder = lab.expno(expno)
        inside = folder / "lists" / kind / "few" if layout == "4.2" else folder / f"{kind}list"
        assert inside.read_text(encoding="utf-8") == (lab.link.lists_dir / kind / "few").read_text(encoding="utf-8")
    folder = lab.expno(41)
    assert (folder / "pulseprogram").exists() is (layout != "4.2")
    assert (folder / "pulseprogram.precomp").exists() is (layout == "4.2")
    assert (folder / "lists" / "pp" / "noesyph").exists() is (layout == "4.2")
    for name in ("acqu", "acqu2", "acqus", "acqu2s", "audita.txt", "pdata/1/proc", "pdata/1/proc2", "pdata/1/procs"):
        assert (folder / name).is_file()
    assert (folder / "pdata" / "1" / "title").read_text(encoding="utf-8") == "t 41\n"


def test_parameter_files_keep_the_dialect(lab: Lab) -> None:
    """No empty line, keys sorted by bytes, no line of values beyond 72 columns, the version in the title."""
    layout = lab.simulator_settings["layout"]
    for path in sorted(lab.expno(41).rglob("acqu*")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        keys = re.findall(r"^##\$([^=]+)=", text, re.MULTILINE)
        assert keys == sorted(keys)
        assert all(line.strip() for line in lines)
        assert all(len(line) <= 72 for line in lines if not line.startswith(("##", "$$")))
        assert layout in lines[0]
        assert lines[-1] == "##END="


def test_status_differs_by_version(lab: Lab) -> None:
    """DATE is the end on NEO consoles; DATE_START and TE_RAW came with 4.2, UUID and ExpStatus with NEO."""
    layout = lab.simulator_settings["layout"]
    dic, _ = _read(lab.expno(41))
    status = dic["acqus"]
    assert ("UUID" in status, "ExpStatus" in status) == (layout != "3.6", layout != "3.6")
    assert ("DATE_START" in status, "TE_RAW" in status) == (layout == "4.2", layout == "4.2")
    assert status["TE"] == pytest.approx(298.15, abs=0.05)
    assert (status["PARMODE"], status["AQ_mod"], dic["acqu2s"]["FnMODE"]) == (1, 3, 5)
    assert status["NUC1"] == "6Li"
    audit = (lab.expno(41) / "audita.txt").read_text(encoding="utf-8")
    started, ended = _stamps(audit, layout)
    if layout == "3.6":
        assert started < status["DATE"] < ended
    else:
        assert status["DATE"] == pytest.approx(ended, abs=1.0)
    if layout == "4.2":
        assert status["DATE_START"] == pytest.approx(started, abs=1.0)


def test_the_audit_trail_speaks_the_version(lab: Lab) -> None:
    """Wording, clock and data hash of the closing entry are those of the version; the hash is that of the data."""
    layout = lab.simulator_settings["layout"]
    folder = lab.expno(41)
    audit = (folder / "audita.txt").read_text(encoding="utf-8")
    assert ("completed at" in audit) is (layout != "3.6")
    assert ("acquisition in progress" in audit) is (layout == "4.2")
    assert ("<BladeEpu>" in audit) is (layout != "3.6")
    assert "terminated" not in audit
    shape = re.search(r"(double )?data hash MD5: (\S+) \* (\d+)\n\s+([0-9A-F ]+)>", audit)
    assert shape is not None
    assert (bool(shape[1]), shape[2], int(shape[3])) == (layout != "3.6", "1K", 48)
    assert shape[4].replace(" ", "").lower() == hashlib.md5((folder / "ser").read_bytes()).hexdigest()


def _stamps(audit: str, layout: str) -> tuple[float, float]:
    from datetime import datetime

    def seconds(pattern: str) -> float:
        found = re.findall(pattern, audit)[-1]
        return datetime.fromisoformat(found.replace(" ", "T", 1).replace(" ", "")).timestamp()

    stamp = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d{4})"
    ended = rf"\(\s*\d+,<{stamp}>" if layout == "3.6" else rf"completed at {stamp}"
    return seconds(rf"started at {stamp}"), seconds(ended)

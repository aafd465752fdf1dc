"""A real run from doctor to second copy: real clock, real sockets, a cycler that happens to live fast."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from labctl.cli.app import run_app
from labctl.dataset.store import damaged_files, read_manifests
from labctl_sim_maccor.server import serve

SECRET = "hunter2secret"
SPEED = 60_000.0  # 94 h in some seconds

LAB = """\
version: 1
lab: cellar
stations:
  maccor:
    driver: maccor
    settings:
      {{host: 127.0.0.1, port: {json_port}, channel: 1, start_settle: 300 ms,
        procedures_dir: {procedures_dir}, export_dir: {export_dir}}}
    limits: {{voltage_min: 0 V, voltage_max: 5 V, current_max: 5 mA}}
    commissioning:
      - {{stage: resistor, date: 2026-01-12, initials: AB}}
      - {{stage: guards_tripped, date: 2026-01-12, initials: AB}}
      - {{stage: killed_while_running, date: 2026-01-13, initials: AB}}
second_copy: {archive}
notify:
  targets: [{{url: env:LABCTL_NOTIFY_URL}}]
  heartbeat: {{url: "file:{beat}", every: 30 s}}
"""


@pytest.fixture
def received() -> Iterator[tuple[int, list[Any]]]:
    """Port of a web server, and what it was sent."""
    came: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def do_GET(self) -> None:
            self._answer(self.path)

        def _answer(self, what: Any) -> None:
            came.append(what)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_address[1], came
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tester(tmp_path: Path, protocols: Path) -> Iterator[dict[str, Any]]:
    """A cycler on loopback: its ports and folders."""
    ready, stop = threading.Event(), threading.Event()

    class Out(io.StringIO):
        def flush(self) -> None:
            ready.set()

    out = Out()
    told = {
        "station": "maccor",
        "state_dir": tmp_path / "tester",
        "sample": protocols / "samples" / "in_li_lpsc_li2s.yaml",
        "settings": {"simulator": {"channels": 2, "service": "1 ms", "starting": "10 ms"}},
        "seed": 1,
        "speed": SPEED,
        "stopped": stop.is_set,
        "out": out,
    }
    server = threading.Thread(target=serve, kwargs=told)
    server.start()
    assert ready.wait(30.0)
    yield json.loads(out.getvalue().splitlines()[0])
    stop.set()
    server.join(30.0)


@pytest.mark.slow
def test_a_cell_is_cycled_for_real(
    tmp_path: Path,
    protocols: Path,
    tester: dict[str, Any],
    received: tuple[int, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looked at, run, told, copied and verified; the heartbeat came, and no secret is in the run folder."""
    port, came = received
    monkeypatch.setenv("LABCTL_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LABCTL_NOTIFY_URL", f"json://user:{SECRET}@127.0.0.1:{port}/")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "beat").write_text(f"http://127.0.0.1:{port}/beat\n", encoding="utf-8")
    (tmp_path / "archive").mkdir()
    lab = tmp_path / "lab.yaml"
    text = LAB.format(**tester, archive=tmp_path / "archive", beat=tmp_path / "beat")
    lab.write_text(text, encoding="utf-8")
    protocol, run_dir = str(protocols / "paper" / "cycling_capacity_series.yaml"), tmp_path / "run"
    assert run_app(["doctor", protocol, "--lab", str(lab)]) == 0
    assert run_app(["run", protocol, "--lab", str(lab), "--dir", str(run_dir)]) == 0
    assert run_app(["verify", str(run_dir)]) == 0
    assert "/beat" in came
    titles = [one["title"] for one in came if isinstance(one, dict)]
    assert titles[0].endswith("has begun")
    assert titles[-1].endswith("done")
    copied = read_manifests(tmp_path / "archive" / "run")
    assert copied == read_manifests(run_dir) != ()
    assert [damaged_files(tmp_path / "archive" / "run", dataset) for dataset in copied] == [()] * len(copied)
    for path in run_dir.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()

"""The campaign of three stations for tests that kill it: run, resumed, and held to what nobody killed left."""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import importlib
import io
import json
import math
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from ruamel.yaml import YAML

import labctl_oven._station
import labctl_sim_oven._lab
import labctl_sim_topspin._plant
import labctl_sim_topspin._programs
from labctl import located_yaml, units
from labctl.analysis import judge as judging
from labctl.cli import finishing
from labctl.cli.app import run_app
from labctl.clock import SystemClock
from labctl.dataset.model import Dataset, Verdict
from labctl.located_yaml import Located
from labctl.run import noticeboard
from labctl.run.events import Intended, Planned
from labctl.run.history import certificate
from labctl.run.journal import Journal
from tests.whole.crash_points import Turnstile, Unsynced, counted

PROTOCOLS = Path(__file__).resolve().parents[2] / "protocols"

_TIMES = {"started_s", "ended_s", "begun_s", "path", "paths", "provenance", "head"}
_DECIDES = ("saturation_recovery", "nutation")


def _shorter(protocol: dict[str, Any]) -> None:
    """Leave one temperature, one mixing time and one cycle."""
    exsy, ladder, cell = (next(iter(procedure.values())) for procedure in protocol["procedures"])
    exsy |= {"temperatures": ["30 degC"], "mixing_times": ["20 ms"]}
    exsy["settle"]["for"] = "1 min"
    exsy["p90"]["points"] = 6
    ladder |= {"temperatures": ["25 degC"], "hold": "1 min"}
    ladder["sweep"]["points_per_decade"] = 2
    cell |= {"charge_to": ["6 mAh/g"], "rests": {"first": "1 min", "between": "1 min"}}
    del cell["then"]


def _quicker(lab: dict[str, Any]) -> None:
    """Look seldom; and let rotor, oven and cell come to rest within a minute.

    Not nearly, but to the last bit: how long one waited before an acquisition leaves no trace in it then, and raw data
    after an outage are the same bytes.
    """
    nmr, autolab, maccor = (lab["stations"][name] for name in ("nmr500", "autolab", "maccor"))
    nmr["settings"]["ramp_poll"] = "60 s"
    nmr["simulator"]["thermal"] = {"loop": "1 s", "sample": "1.5 s", "sensor_noise": "0 K"}
    autolab["simulator"]["oven"] = {
        "gains": {"gain": "6 percent/K", "integral": "5 s", "derivative": "0 s"},
        "thermal": {"heater": "6 J/K", "chamber": "120 J/K", "sample": "1 J/K", "sensor": "100 ms", "noise": "0 K"},
    }
    autolab["settings"]["oven"]["heater_watch"] = {"frozen": "10 h"}  # a sensor without noise stands still
    maccor["simulator"]["service"] = "0 s"


def _edited(name: str, change: Callable[[dict[str, Any]], None], path: Path) -> Path:
    yaml = YAML(typ="safe", pure=True)
    document = yaml.load((PROTOCOLS / name).read_text(encoding="utf-8"))
    change(document)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return path


@dataclass(frozen=True, slots=True)
class Campaign:
    """The shipped campaign of three stations in a folder of its own.

    `short`: one temperature, one mixing time and one cycle, so that a test can kill it often; every kind of step, of
    write and of message is still there.
    """

    folder: Path
    short: bool = False

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    def begins(self) -> list[str]:
        """Write protocol and lab, and return the command line that runs them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        change = _shorter if self.short else lambda protocol: None
        protocol = _edited("unattended_demo.yaml", change, self.folder / "protocol.yaml")
        lab = _edited("labs/simulated.yaml", _quicker, self.folder / "lab.yaml")
        return ["run", str(protocol), "--lab", str(lab), "--simulate", "--dir", str(self.run_dir)]

    def goes_on(self, outage: str = "0 s") -> list[str]:
        """Return the command line that takes the campaign up again, or begins it anew if it was not even agreed."""
        if (self.run_dir / "run.json").is_file():
            return ["resume", str(self.run_dir), "--outage", outage]
        shutil.rmtree(self.run_dir, ignore_errors=True)
        return self.begins()


@contextlib.contextmanager
def quick(*, results: bool = True) -> Iterator[None]:
    """Spare what no kill can touch: figures, looks at the oven every second, YAML read again, waiting for the disk.

    Whether the death of a process loses rows does not depend on fsync; the loss of power is another test. Without
    `results` the report's numbers are not made, and only what later steps depend on is analysed.
    """
    with contextlib.ExitStack() as stack:

        def put(owner: Any, name: str, stand_in: Any) -> None:
            stack.enter_context(mock.patch.object(owner, name, stand_in))

        put(finishing, "_write_report", lambda *_: None)
        put(labctl_sim_oven._lab, "_STRIDE_s", 60.0)
        put(labctl_oven._station, "_LOOK_AGAIN_s", 60.0)
        put(labctl_sim_topspin._plant, "_JITTER_Hz", 0.0)  # read back at other moments, it would be another jitter
        put(noticeboard, "_EVERY_S", 1e9)  # how often it is renewed depends on the machine's speed
        put(located_yaml, "loads", lambda text, *, file: replace(copy.deepcopy(_loads(text)), file=file))
        put(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Unsynced))
        if not results:
            put(finishing, "finish", lambda run_dir: None)
            put(finishing, "print_summary", lambda *_: None)
            put(judging, "judge", _judge)
        yield


@functools.lru_cache(maxsize=64)
def _loads(text: str, load: Callable[..., Located] = located_yaml.loads) -> Located:
    return load(text, file="")


_judge_in_earnest = judging.judge


def _judge(run_dir: Path, dataset: Dataset, *more: Any) -> Verdict:
    """Judge what later steps depend on."""
    return _judge_in_earnest(run_dir, dataset, *more) if dataset.kind in _DECIDES else Verdict()


def silently(command: list[str]) -> tuple[int, str]:
    """Run a command line; returns exit code and all it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run_app(command)
    return code, said.getvalue()


def in_a_child(action: Callable[[], int], said: Path | None = None) -> int:
    """Run in a forked child and return its exit code, negative for a signal; a traceback goes to `said`."""
    child = os.fork()
    if child == 0:
        gc.disable()  # it lives for a second, and would copy every page it looks through
        code = 70
        try:
            code = action()
        except BaseException:  # noqa: BLE001 - this process ends here
            if said is not None:
                said.write_text(traceback.format_exc(), encoding="utf-8")
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# ------------------------------------------------------------------------------------------------ what is left


def left_by(run_dir: Path) -> dict[str, Any]:
    """Return what a finished campaign left: raw data, numbers, certificate, and what the instruments themselves say."""
    journal = Journal(run_dir / "journal.sqlite", clock=SystemClock(), read_only=True)
    try:
        told = certificate(journal)
    finally:
        journal.close()
    left = {
        "raw": raw_data(run_dir),
        "certificate": {name: getattr(told, name) for name in ("planned", "acquired", "repeated", "lost", "details")},
        "instruments": instruments(run_dir / "simulated-lab"),
    }
    if (run_dir / "results.json").is_file():
        results = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
        left["results"] = _timeless({name: results[name] for name in ("t1", "exsy", "eis", "cycling")})
    plain: dict[str, Any] = json.loads(json.dumps(left))
    return plain


def raw_data(run_dir: Path) -> dict[str, str]:
    """Return raw data by path: FIDs byte by byte, spectra, and rows of the cycler without its clock's time."""
    found = {
        path.relative_to(run_dir).as_posix(): path.read_bytes().hex()
        for name in ("fid", "ser")
        for path in sorted((run_dir / "nmr500").glob(f"*/{name}"))
    }
    for path in sorted((run_dir / "autolab").glob("*/*.txt")):
        lines = path.read_text(encoding="utf-8").splitlines()  # the last column is the time since the sweep began
        found[path.relative_to(run_dir).as_posix()] = "\n".join(line.rpartition(";")[0] or line for line in lines)
    for path in sorted((run_dir / "maccor").glob("*/*.txt")):
        found[path.relative_to(run_dir).as_posix()] = _without_clock(path.read_text(encoding="cp1252"))
    return found


def _without_clock(export: str) -> str:
    lines = [line.split("\t") for line in export.splitlines()]
    head = next(number for number, line in enumerate(lines) if line[0].startswith("Rec"))
    kept = [number for number, title in enumerate(lines[head]) if "DPT" not in title.upper()]
    return "\n".join("\t".join(line[number] for number in kept if number < len(line)) for line in lines[head:])


def instruments(lab: Path) -> dict[str, Any]:
    """Return how often each simulated instrument began something, by its own books."""
    states = (lab / "nmr500" / "simulator").glob("state.*.json")  # a death may leave an old one
    console = max(states, key=lambda path: int(path.name.split(".")[1]))
    acquirer = json.loads(console.read_text(encoding="utf-8").split("\n")[0])["acquirer"]
    exports = sorted(path.name for path in (lab / "maccor" / "simulator" / "Export").iterdir())
    return {"acquisitions": acquirer["number"], "tests": exports}


def unannounced(run_dir: Path) -> set[str]:
    """Return the tokens that instruments hold and of which the journal has no intent: done before they were said.

    A token is looked for in the names and in the contents of all that the instruments keep on disk.
    """
    if not (run_dir / "journal.sqlite").is_file():
        keys, intents = set(), set()
    else:
        journal = Journal(run_dir / "journal.sqlite", clock=SystemClock(), read_only=True)
        try:
            events = [row.event for row in journal.rows(("planned", "intent"))]
        finally:
            journal.close()
        keys = {step.key[:8] for event in events if isinstance(event, Planned) for step in event.steps}
        intents = {f"{event.key[:8]}-{event.attempt}" for event in events if isinstance(event, Intended)}
    token = re.compile(rb"(?<![0-9a-f])([0-9a-f]{8})-([1-9])(?![0-9])")
    held = {
        found.group(0).decode("ascii")
        for path in (run_dir / "simulated-lab").rglob("*")
        for found in token.finditer(path.name.encode() + (b"\n" + path.read_bytes() if path.is_file() else b""))
        if found.group(1).decode("ascii") in keys
    }
    return held - intents


def _timeless(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: _timeless(value) for name, value in document.items() if name not in _TIMES}
    return [_timeless(one) for one in document] if isinstance(document, list) else document


def differences(found: Any, expected: Any, where: str = "", *, rel: float = 0.0) -> list[str]:
    """Return where two documents differ; fractions may by the part `rel` of them."""
    if isinstance(found, dict) and isinstance(expected, dict):
        lines = [
            f"{where}/{name} is {'new' if name in found else 'missing'}" for name in found.keys() ^ expected.keys()
        ]
        for name in found.keys() & expected.keys():
            lines += differences(found[name], expected[name], f"{where}/{name}", rel=rel)
        return lines
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return [
            line
            for number, (one, other) in enumerate(zip(found, expected, strict=True))
            for line in differences(one, other, f"{where}/{number}", rel=rel)
        ]
    if isinstance(found, float) and isinstance(expected, float) and math.isclose(found, expected, rel_tol=rel):
        return []
    if isinstance(found, str) and isinstance(expected, str) and "\n" in found + expected:
        return differences(found.split("\n"), expected.split("\n"), where)
    return [] if found == expected else [f"{where}: {str(found)[:90]} instead of {str(expected)[:90]}"]


# ---------------------------------------------------------------------------------------------- killed, resumed


@dataclass(frozen=True, slots=True)
class End:
    """How a campaign ended: what it left (empty: it did not end), and what was said."""

    left: dict[str, Any]
    said: str


@dataclass(frozen=True, slots=True)
class Unkilled:
    """The short campaign that nobody killed: what it left, and of which kind each point on its way was."""

    left: dict[str, Any]
    kinds: list[str]


def unkilled(folder: Path, *, short: bool = True) -> Unkilled:
    """Let a child run the campaign to its end, import and compile all it needed here, and return how it was.

    Nothing is run in this process: polars and the like start threads, and a fork would leave their locks behind.
    """
    campaign, told = Campaign(folder, short=short), folder / "told.json"
    compiled = labctl_sim_topspin._programs._compiled

    def action() -> int:
        kinds: list[str] = []
        programs: list[tuple[str, str]] = []

        def compiling(text: str, file: str) -> object:
            programs.append((text, file))
            return compiled(text, file)

        with (
            quick(),
            mock.patch.object(labctl_sim_topspin._programs, "_compiled", compiling),
            counted(Turnstile(at_a_stop=lambda _, kind: kinds.append(kind))),
        ):
            code, said = silently(campaign.begins())
        (folder / "said.txt").write_text(said, encoding="utf-8")
        document = {
            "left": left_by(campaign.run_dir),
            "kinds": kinds,
            "modules": list(sys.modules),
            "programs": programs,
        }
        told.write_text(json.dumps(document), encoding="utf-8")
        return code

    assert in_a_child(action, folder / "said.txt") == 0, (folder / "said.txt").read_text(encoding="utf-8")
    document = json.loads(told.read_text(encoding="utf-8"))
    for name in document["modules"]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for path in campaign.run_dir.rglob("*.yaml"):
        _loads(path.read_text(encoding="utf-8"))
    for text, file in document["programs"]:
        compiled(text, file)
    units._registry()
    return Unkilled(left=document["left"], kinds=document["kinds"])


@dataclass(frozen=True, slots=True)
class Death:
    """A point at which the campaign was killed."""

    number: int
    kind: str


def deaths(campaign: Campaign, stops: Callable[[int, str], bool], changed: Change | None = None) -> Iterator[Death]:
    """Yield every point of a campaign at which `stops`, with the disk as a death there leaves it.

    The campaign itself is held meanwhile, and goes on after each of its deaths on the disk it has left.
    """
    heard, tell = os.pipe()
    held, let_go = os.pipe()

    def stop(number: int, kind: str) -> None:
        os.write(tell, f"{number} {kind}\n".encode())
        os.read(held, 1)

    def action() -> int:
        broken = changed() if changed is not None else contextlib.nullcontext()
        with quick(), broken, counted(Turnstile(stops, stop)):
            return silently(campaign.begins())[0]

    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os._exit(action())
        os._exit(70)
    os.close(tell)
    os.close(held)
    live = campaign.folder / "live"
    try:
        with os.fdopen(heard, encoding="utf-8") as lines:
            for line in lines:
                number, _, kind = line.strip().partition(" ")
                begun = campaign.run_dir.exists()
                if begun:
                    campaign.run_dir.rename(live)
                    subprocess.run(["cp", "-a", str(live), str(campaign.run_dir)], check=True)
                yield Death(int(number), kind)
                shutil.rmtree(campaign.run_dir, ignore_errors=True)
                if begun:
                    live.rename(campaign.run_dir)
                os.write(let_go, b".")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        child = 0
    finally:
        os.close(let_go)
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def resumed(campaign: Campaign, *, results: bool = True, outage: str = "0 s", changed: Change | None = None) -> End:
    """Take a campaign up again in a child that knows nothing of the one before, and verify what it left.

    Parameters
    ----------
    changed : callable or None
        A context in which the child works: a rule of the engine switched off.
    """
    said, left = campaign.folder / "said.txt", campaign.folder / "left.json"
    left.unlink(missing_ok=True)
    said.unlink(missing_ok=True)

    def action() -> int:
        with quick(results=results), changed() if changed is not None else contextlib.nullcontext():
            code, text = silently(campaign.goes_on(outage))
            if code == 0:
                code, more = silently(["verify", str(campaign.run_dir)])
                text += more
        said.write_text(f"exit code {code}\n{text}", encoding="utf-8")
        if code == 0:
            left.write_text(json.dumps(left_by(campaign.run_dir)), encoding="utf-8")
        return code

    code = in_a_child(action, said)
    text = said.read_text(encoding="utf-8") if said.exists() else f"exit code {code}"
    return End(left=json.loads(left.read_text(encoding="utf-8")) if left.exists() else {}, said=text)


Change = Callable[[], contextlib.AbstractContextManager[None]]


_AGAIN = re.compile(
    r"autolab/\S+/sweep\d+: attempt \d+ after attempt \d+ was"
    r" (partial: interrupted, by the instrument's records|open: it was begun and left nothing)"
)


def problems(end: End, expected: dict[str, Any], *, rel: float = 0.0) -> list[str]:
    """Return in what a campaign that was killed and resumed is not what it would have been without that.

    Its numbers may be others by the part `rel` of them, where the rotor's jitter was left on: it is read at other
    moments then, and its friction warms the sample.

    One thing may be done again: an impedance sweep, which lives in labctl's own process and dies with it. It is
    measured anew as another attempt, and the certificate says so and why.
    """
    if not end.left:
        return [f"it did not end: {end.said[-1500:]}"]
    end, expected = copy.deepcopy(end), copy.deepcopy(expected)
    told = end.left["certificate"]
    again = [found for line in told["details"] if (found := _AGAIN.match(line))]
    if again and told["repeated"] == len(told["details"]) == len(again):
        told |= {"repeated": 0, "details": []}
        for left in (end.left, expected):
            left["raw"] = {name: data for name, data in left["raw"].items() if not name.startswith("autolab/")}
            left.get("results", {}).pop("eis", None)
    return [line for name in end.left for line in differences(end.left[name], expected[name], name, rel=rel)]

"""stdio of AU programs, and files that stay exact when the console is killed and taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import InputError
from labctl_sim_topspin._au_machine import Machine
from labctl_sim_topspin._au_undo import UndoLog
from tests.simulators.topspin.au_console import Console, program, run, says, start, through_json

WRITER = """FILE *f; char line[40]; int n;
f = fopen("log.txt", "a"); fprintf(f, "%d first\\n", 1); fputs("second\\n", f); fclose(f);
"""


def test_files_are_written_and_read_as_in_c(tmp_path: Path) -> None:
    """fopen, fprintf, fputs, fgets with its room, feof and fclose behave as C's."""
    body = (
        WRITER
        + """f = fopen("log.txt", "r"); if (f == NULL) { ABORT }
    while (fgets(line, 6, f) != NULL) { XCMD(line) }
    if (feof(f)) { XCMD("end") }
    fclose(f);
    if (!fopen("missing", "r")) { XCMD("missing") }
    if (fopen("no/such/folder", "w") == NULL) { XCMD("no folder") }"""
    )
    assert says(body, console=Console(tmp_path)) == [
        "1 fir", "st\n", "secon", "d\n", "end", "missing", "no folder"]  # fmt: skip
    assert (tmp_path / "log.txt").read_bytes() == b"1 first\nsecond\n"


def test_w_empties_and_a_continues(tmp_path: Path) -> None:
    """Mode w starts a file afresh, mode a goes on behind what is there."""
    (tmp_path / "log.txt").write_bytes(b"old\n")
    says(WRITER, console=Console(tmp_path))
    assert (tmp_path / "log.txt").read_bytes() == b"old\n1 first\nsecond\n"
    says('FILE *f; f = fopen("log.txt", "w"); fputs("new\\n", f);', console=Console(tmp_path))
    assert (tmp_path / "log.txt").read_bytes() == b"new\n"


def test_a_last_line_without_its_end_sets_feof_as_it_is_read(tmp_path: Path) -> None:
    """Fgets gives the unfinished line and has met the end of the file."""
    (tmp_path / "x").write_bytes(b"one\ntwo")
    body = """FILE *f; char t[20]; f = fopen("x", "r");
    fgets(t, 20, f); if (feof(f)) { XCMD("early") } fgets(t, 20, f); XCMD(t) if (feof(f)) { XCMD("end") }"""
    assert says(body, console=Console(tmp_path)) == ["two", "end"]


def test_rename_never_replaces_and_leaves_open_files_alone(tmp_path: Path) -> None:
    """Rename and remove answer as on a Windows console."""
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    body = """char o[60]; FILE *f; int onto, open_one, open_two, good, gone, out, again;
    onto = rename("a", "b");
    f = fopen("a", "r"); open_one = rename("a", "c"); open_two = remove("a"); fclose(f);
    good = rename("a", "c"); gone = rename("a", "d"); out = remove("b"); again = remove("b");
    sprintf(o, "%d %d %d %d %d %d %d", onto, open_one, open_two, good, gone, out, again); XCMD(o)"""
    assert says(body, console=Console(tmp_path)) == ["-1 -1 -1 0 -1 0 -1"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"c": b"a"}


def test_text_waits_until_it_is_flushed(tmp_path: Path) -> None:
    """Others see what was flushed; killing the program loses the rest, a snapshot keeps it."""
    source = program(
        'FILE *f; f = fopen("x", "w"); fputs("a", f); fflush(f); fputs("b", f);\n'
        'sleep(5); fputs("c", f); sleep(5); fclose(f);'
    )
    console = Console(tmp_path)
    machine = start(source, console)
    machine.run()
    assert (tmp_path / "x").read_bytes() == b"a"
    again = through_json(machine)
    machine.kill()
    assert (tmp_path / "x").read_bytes() == b"a"
    run(again)
    assert (tmp_path / "x").read_bytes() == b"abc"


def test_the_end_of_the_program_closes_its_files(tmp_path: Path) -> None:
    """What was left open is written at QUIT."""
    says('FILE *f; f = fopen("x", "w"); fputs("all", f);', console=Console(tmp_path))
    assert (tmp_path / "x").read_bytes() == b"all"


def test_long_output_is_written_without_flush(tmp_path: Path) -> None:
    """C's buffer is finite."""
    says(
        'int i; FILE *f; f = fopen("x", "w"); for (i = 0; i < 900; i++) fputs("0123456789", f);',
        console=Console(tmp_path),
    )
    assert (tmp_path / "x").stat().st_size == 9000


BUSY = program(
    """int turn, n; char path[40], line[40]; FILE *log, *in;
log = fopen("log.txt", "a");
for (turn = 1; turn <= 4; turn++) {
    sprintf(path, "%04d.tmp", turn);
    f_write(path, turn);
    sprintf(line, "%04d.done", turn);
    n = rename(path, line);
    fprintf(log, "turn %d rename %d\\n", turn, n);
    fflush(log);
    if (turn > 2) { sprintf(path, "%04d.done", turn - 2); remove(path); }
    append(turn);
    in = fopen("log.txt", "r"); fgets(line, 40, in);
    sleep(60);
    if (fgets(line, 40, in)) { append(100); }
    fclose(in);
    XCMD("tick")
    sleep(30);
}
fclose(log);""",
    """int f_write(const char *path, int n) {
    FILE *f; f = fopen(path, "w"); fprintf(f, "seq=%d\\nend\\n", n); fclose(f); return 0; }
int append(int n) { FILE *f; f = fopen("side.txt", "a"); fprintf(f, "%d\\n", n); fclose(f); return 0; }""",
)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def finished_folder(folder: Path) -> dict[str, bytes]:
    """What an uninterrupted run of BUSY leaves."""
    folder.mkdir()
    run(start(BUSY, Console(folder)))
    return contents(folder)


@pytest.mark.parametrize("pauses", range(9))
@pytest.mark.parametrize("lost_runs", [1, 2])
def test_a_killed_console_goes_back_to_its_snapshot(tmp_path: Path, pauses: int, lost_runs: int) -> None:
    """What the dead process did to files after the saved snapshot is taken back and done again."""
    expected = finished_folder(tmp_path / "whole")
    folder = tmp_path / "killed"
    folder.mkdir()
    console = Console(folder)
    undo_log = tmp_path / "undo.jsonl"
    machine = start(BUSY, console, undo_log=undo_log)
    saved = json.dumps(machine.snapshot())
    time_s = console.time_s
    for _ in range(pauses):
        advance(machine, console)
        saved, time_s = json.dumps(machine.snapshot()), console.time_s
    for _ in range(lost_runs):
        advance(machine, console)  # and then the process dies: nothing of this was saved
    console.time_s = time_s
    run(Machine.restore(machine.program, json.loads(saved), console, undo_log=undo_log))
    assert contents(folder) == expected


def advance(machine: Machine, console: Console) -> None:
    """Let time pass to the next wake-up, and run."""
    if machine.wake_s is not None:
        console.time_s = machine.wake_s
    machine.run()


def test_the_undo_log_forgets_what_two_snapshots_have_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log stays short, and going back further than it reaches is refused."""
    monkeypatch.setattr("labctl_sim_topspin._au_undo._PRUNE_BYTES", 0)
    log = UndoLog(tmp_path / "undo")
    for number in range(6):
        log.note("delete", f"file{number}")
        log.at_snapshot()
    assert len((tmp_path / "undo").read_text(encoding="utf-8").splitlines()) == 2
    with pytest.raises(InputError, match="older"):
        UndoLog(tmp_path / "undo").back_to(2, lambda name: tmp_path / name)


def test_half_a_line_of_the_undo_log_was_never_acted_on(tmp_path: Path) -> None:
    """A note cut off by the kill is ignored: its change comes after the note."""
    log = UndoLog(tmp_path / "undo")
    log.note("delete", "made")
    (tmp_path / "made").write_bytes(b"")
    with (tmp_path / "undo").open("a", encoding="utf-8") as stream:
        stream.write('{"n": 1, "undo": "del')
    UndoLog(tmp_path / "undo").back_to(0, lambda name: tmp_path / name)
    assert not (tmp_path / "made").exists()


def test_files_open_for_writing_are_cut_to_their_size_of_the_snapshot(tmp_path: Path) -> None:
    """Even without an undo log, what was written after the snapshot is not written twice."""
    source = program(
        'FILE *f; f = fopen("x", "a"); fputs("one", f); fflush(f);\nsleep(1); fputs("two", f); fflush(f); sleep(1);'
    )
    console = Console(tmp_path)
    machine = start(source, console)
    machine.run()
    saved = machine.snapshot()
    advance(machine, console)
    assert (tmp_path / "x").read_bytes() == b"onetwo"
    run(Machine.restore(machine.program, saved, console))
    assert (tmp_path / "x").read_bytes() == b"onetwo"


def test_files_that_shrank_meanwhile_are_noticed(tmp_path: Path) -> None:
    """Saved state and files that do not belong together are refused, not papered over."""
    machine = start(program('FILE *f; f = fopen("x", "w"); fputs("abc", f); fflush(f); sleep(1);'), Console(tmp_path))
    machine.run()
    data: dict[str, Any] = machine.snapshot()
    machine.kill()
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(InputError, match="do not belong together"):
        Machine.restore(machine.program, data, machine.host)

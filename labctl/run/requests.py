"""What a person asks of an engine in another process: one small file each way, in the run folder.

::

    operator/20260105T180000Z-<32 hex>.json     a request: written under another name, then renamed
             ....taken                          the same, taken up by the engine (the rename decides who has it)
             ....reply                          what the engine did; its asker reads it and clears it away

No server and no port: whoever may write to the run folder may ask, nobody else. What is read is validated and never
executed. Works where files can be renamed within a folder, on Windows as on Linux. The journal, not these files, is
the record of what was asked: an engine that dies with a request in hand leaves nothing half-done behind.
"""

from __future__ import annotations

import datetime as dt
import getpass
import os
import re
import socket
import uuid
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from labctl.clock import Clock
from labctl.errors import InputError

FOLDER = "operator"
MAX_BYTES = 4_000_000
_ID = r"\d{8}T\d{6}Z-[0-9a-f]{32}"
_ASKED = re.compile(rf"({_ID})\.(json|taken)")
_LOOK_S = 0.1

Line = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$", strip_whitespace=True)]
Verb = Literal["pause", "continue", "abort", "skip", "acknowledge", "amend"]


class _Passed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Request(_Passed):
    """One verb of one person.

    `protocol` is the text of an amended protocol, `base` the fingerprint of the plan it was compared with.
    """

    id: Annotated[str, StringConstraints(pattern=rf"^{_ID}$")]
    verb: Verb
    reason: Annotated[Line, StringConstraints(min_length=1)]
    by: Line
    station: Line = ""
    step_id: Line = ""
    protocol: Annotated[str, StringConstraints(max_length=1_000_000)] = ""
    base: Line = ""


class Reply(_Passed):
    """What the engine did, line by line; `done` false: it refused, and nothing happened."""

    id: str
    done: bool
    what: tuple[str, ...]


def request(
    verb: Verb, reason: str, *, station: str = "", step_id: str = "", protocol: str = "", base: str = ""
) -> Request:
    """Return a request with a name of its own, asked by this computer's user.

    Raises
    ------
    InputError
        The reason is empty, too long, or holds line breaks or control characters.
    """
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        return Request(
            id=f"{stamp}-{uuid.uuid4().hex}",
            verb=verb,
            reason=reason,
            by=asked_by(),
            station=station,
            step_id=step_id,
            protocol=protocol,
            base=base,
        )
    except ValidationError as problem:
        field = str(problem.errors()[0]["loc"][0])
        name = "--reason" if field == "reason" else field
        raise InputError(
            f"{name} cannot be taken down as it is", expected="one line of text, 1 to 500 characters"
        ) from None


def asked_by() -> str:
    """Return ``user@host`` of this process, as far as the computer tells."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for this user id
        user = "unknown"
    return re.sub(r"[\x00-\x1f\x7f]", "_", f"{user}@{socket.gethostname()}")[:200]


class Mailbox:
    """The folder of requests and replies of one campaign."""

    def __init__(self, run_dir: Path) -> None:
        self.folder = run_dir / FOLDER

    # ------------------------------------------------------------------------------------ who asks

    def ask(self, asked: Request, *, clock: Clock, wait_s: float) -> Reply | None:
        """Leave a request and wait for what the engine did.

        None: nobody took it up within `wait_s`, and it was withdrawn, so that nothing will come of it.

        Raises
        ------
        InputError
            The folder cannot be written to; or an engine took the request up and died, or is blocked, before it told.
        """
        path = self.folder / f"{asked.id}.json"
        try:
            self.folder.mkdir(exist_ok=True)
            self._write(path, asked.model_dump_json())
        except OSError as problem:
            raise InputError(
                f"{path} cannot be written ({problem.strerror or problem})",
                next_step="Ask as the user who runs the campaign, or press Ctrl-C where it runs",
            ) from None
        return self._await(asked, path, clock, wait_s)

    def _await(self, asked: Request, path: Path, clock: Clock, wait_s: float) -> Reply | None:
        deadline_s = clock.monotonic_s() + wait_s
        withdrawn = False
        while not withdrawn:
            if (reply := self._reply(asked.id)) is not None:
                return reply
            now_s = clock.monotonic_s()
            if now_s >= deadline_s:
                try:
                    path.unlink()  # fails if the engine has it
                    withdrawn = True
                except OSError:
                    if now_s >= deadline_s + wait_s:
                        raise InputError(
                            f"the engine took `{asked.verb}` up and has not told in {2 * wait_s:.0f} s what came of it",
                            next_step="Look with labctl status: the journal says whether it was carried out",
                        ) from None
            clock.wait_until(now_s + _LOOK_S)
        return None

    def _reply(self, asked_id: str) -> Reply | None:
        path = self.folder / f"{asked_id}.reply"
        try:
            reply = Reply.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None
        path.unlink(missing_ok=True)
        return reply

    # ------------------------------------------------------------------------------------ who answers

    def take(self) -> Request | Reply | None:
        """Take up the oldest request; a `Reply` is the refusal of something that is none, answered already."""
        for name in self._names("json"):
            asked_id = name.removesuffix(".json")
            taken = self.folder / f"{asked_id}.taken"
            try:
                (self.folder / name).rename(taken)
                raw = taken.read_bytes() if taken.stat().st_size <= MAX_BYTES else b""
            except OSError:
                continue  # withdrawn, or another program holds it open: the next turn will tell
            try:
                asked = Request.model_validate_json(raw)
                if asked.id == asked_id:
                    return asked
                faults = "id"
            except ValidationError as problem:
                faults = ", ".join(sorted({".".join(map(str, error["loc"])) or "JSON" for error in problem.errors()}))
            reply = Reply(id=asked_id, done=False, what=(f"this is no request of labctl; wrong: {faults}",))
            self.answer(reply)
            return reply
        return None

    def answer(self, reply: Reply) -> None:
        """Tell the asker; a full disk costs the reply, not the deed."""
        try:
            self._write(self.folder / f"{reply.id}.reply", reply.model_dump_json())
            (self.folder / f"{reply.id}.taken").unlink(missing_ok=True)
        except OSError:
            return

    def waiting(self) -> tuple[str, ...]:
        """Return the ids of requests that nobody has taken up."""
        return tuple(name.rpartition(".")[0] for name in self._names("json"))

    def left_behind(self) -> tuple[str, ...]:
        """Return the ids of requests that an engine which is gone took up, or never saw."""
        return (*(name.rpartition(".")[0] for name in self._names("taken")), *self.waiting())

    def clear(self, asked_id: str) -> None:
        """Take a request out of the folder."""
        for kind in ("json", "taken"):
            (self.folder / f"{asked_id}.{kind}").unlink(missing_ok=True)

    def _names(self, kind: str) -> list[str]:
        try:
            with os.scandir(self.folder) as entries:
                names = [entry.name for entry in entries]
        except OSError:
            return []
        return sorted(name for name in names if (found := _ASKED.fullmatch(name)) and found[2] == kind)

    def _write(self, path: Path, text: str) -> None:
        half = path.with_name(path.name + ".half")
        half.write_text(text, encoding="utf-8")
        half.replace(path)

"""A headless Chromium over its debugging pipe: what a page asks for, complains of, and looks like."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
GIVE_UP_S = 60.0
_AT_3_AND_4 = """
import os, sys
def high(fd):
    while fd < 5:
        fd = os.dup(fd)
    return fd
commands, answers = high(int(sys.argv[1])), high(int(sys.argv[2]))
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium() -> str | None:
    """Return the browser of this machine, if it has one (``$LABCTL_CHROMIUM`` names another)."""
    named = os.environ.get("LABCTL_CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One page and everything the browser said of it: `events` holds each message as the browser sent it."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._left = b""
        self._calls = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Send one command and return its result; events that come before it are kept."""
        self._calls += 1
        message: dict[str, Any] = {"id": self._calls, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._calls:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, path: Path, *, width: int = 1200, height: int = 900) -> None:
        """Load a file at a window size; return when everything it needs is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        seen = len(self.events)
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events[seen:]):
            self._next()
        self.evaluate("Promise.all([...document.images].map(image => image.decode())).then(() => true)")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, awaited."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise RuntimeError(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def colours(self, scheme: str) -> None:
        """Prefer ``light`` or ``dark``."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def requests(self) -> list[str]:
        """Addresses that were asked for, data of the page itself left out."""
        urls = [one["params"]["request"]["url"] for one in self._of("Network.requestWillBeSent")]
        return [url for url in urls if not url.startswith("data:")]

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, and exceptions."""
        said = [json.dumps(one["params"]) for one in self._of("Runtime.exceptionThrown")]
        said += [
            json.dumps(one["params"])
            for one in self._of("Runtime.consoleAPICalled")
            if one["params"]["type"] in {"error", "warning", "assert"}
        ]
        entries = [one["params"]["entry"] for one in self._of("Log.entryAdded")]
        return said + [entry["text"] for entry in entries if entry["level"] in {"error", "warning"}]

    def picture(self, path: Path) -> Path:
        """Write the whole page as a PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def pdf(self) -> bytes:
        """Return the page as it would be printed."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])

    def _of(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("method") == method]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            part = os.read(self._from, 1 << 20)
            if not part:
                raise RuntimeError("the browser is gone")
            self._left += part
        first, _, self._left = self._left.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        if "id" not in message:
            self.events.append(message)
        return message


@contextmanager
def opened(browser: str) -> Iterator[Page]:
    """Start a browser that knows no network, give its page, and end it; one that hangs is killed after a minute."""
    command_end, to_browser = os.pipe()
    from_browser, answer_end = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        line = [
            sys.executable,
            "-c",
            _AT_3_AND_4,
            str(command_end),
            str(answer_end),
            browser,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
        ]
        process = subprocess.Popen(
            line, pass_fds=(command_end, answer_end), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(command_end)
        os.close(answer_end)
        watchdog = threading.Timer(GIVE_UP_S, process.kill)
        watchdog.start()
        try:
            yield Page(to_browser, from_browser)
        finally:
            watchdog.cancel()
            os.close(to_browser)
            os.close(from_browser)
            process.kill()
            process.wait()

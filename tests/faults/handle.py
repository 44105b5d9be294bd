"""Owns one daemon of a lab: its own process, started, asked over HTTP, signalled and ended. Never in here: what it controls."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.adapters.conftest import ROOT, until_sync

START_S = 30.0
PAGE = r"the page is at (http[^\s\"]+)"


class Handle:
    """A daemon with its own folder and config. Its state outlives kills; `start` takes it up again."""

    def __init__(self, folder: Path, config: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "config.toml"
        self.config.write_text(config, "utf-8")
        self.environment: dict[str, str] = {}
        self.prefix: tuple[str, ...] = ()
        """Put before the command: `strace ...`, `ip netns exec ...`."""
        self.process: subprocess.Popen[bytes] | None = None
        self.expected = False
        """Whether it is meant to be running now."""
        self.starts = 0
        self._peak = 0.0
        self._pages = 0
        """So many pages its log told of before this run."""

    @property
    def pid(self) -> int:
        """The daemon's process id, also behind a `prefix`."""
        assert self.process is not None
        return _leaf(self.process.pid)

    @property
    def port(self) -> int:
        """Where its page is: as its log says, since what it writes down may be of an earlier run where the disk fails; that comes first, though."""
        pages = re.findall(PAGE, self.log())[self._pages :]
        url = pages[-1] if pages else (self.state / "url").read_text().strip()
        return int(url.rstrip("/").rpartition(":")[2])

    @property
    def token(self) -> str:
        token = self.state / "token"
        return token.read_text().strip() if token.exists() else ""

    def start(self, *options: str, wait: bool = True) -> "Handle":
        """Start it, by default until its page is up."""
        self._pages = len(re.findall(PAGE, self.log()))
        with contextlib.suppress(OSError):
            (self.state / "url").unlink()
        command = [
            *self.prefix,
            sys.executable,
            "-m",
            "appliance",
            "run",
            "--config",
            str(self.config),
            *options,
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **self.environment}
            )
        self.expected = True
        self.starts += 1
        if wait:
            self.serves()
        return self

    def serves(self, timeout_s: float = START_S) -> float:
        """Await its page."""
        url = self.state / "url"
        took = until_sync(lambda: self.ended or (url.exists() and url.read_text().endswith("\n")), timeout_s)
        assert not self.ended, self.log()[-2000:]
        return took

    def start_without_disk(self) -> "Handle":
        """Start it where it can write down neither where its page is nor how to be asked; only its log says."""
        self.start(wait=False)
        until_sync(lambda: self.ended or len(re.findall(PAGE, self.log())) > self._pages, START_S)
        assert not self.ended, self.log()[-2000:]
        return self

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """End it without a word, as a loss of power would."""
        self._remember_peak()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
            os.kill(self.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        self.expected = False

    def stop(self, timeout_s: float = 10.0) -> int:
        """End it in order; return its exit code."""
        self._remember_peak()
        assert self.process is not None
        os.kill(self.pid, signal.SIGTERM)
        code = self.process.wait(timeout_s)
        self.expected = False
        return code

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def log(self) -> str:
        """Return all that it said so far."""
        path = self.folder / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Ask over HTTP; return what is answered, also where it is a refusal."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            text = error.read()
        return json.loads(text) if text else None

    def health(self) -> dict[str, Any]:
        return self.ask("/healthz")

    def part(self, name: str) -> dict[str, Any]:
        """Return how one part is: its name, state and detail; empty where there is none."""
        return next((part for part in self.health()["parts"] if part["name"].startswith(name)), {})

    def appliance(self, name: str) -> dict[str, Any]:
        return self.ask(f"/v1/appliances/{name}")

    def doing(self, name: str) -> str | None:
        """Return what it believes that an appliance does."""
        return self.appliance(name)["doing"]

    def metric(self, name: str, **labels: str) -> float:
        """Return a counter or gauge of /metrics, summed over what `labels` leave open."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = re.findall(rf"^appliance_{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
        return sum(float(value) for given, value in lines if all(one in given for one in wanted))

    def rss_mib(self) -> float:
        """Return what it holds in memory now."""
        return _status(self.pid, "VmRSS")

    def anonymous_mib(self) -> float:
        """Return what of it is no file: its own, which nothing but itself can give back."""
        return _status(self.pid, "RssAnon")

    def peak_mib(self) -> float:
        """Return the most that any run of it has held."""
        self._remember_peak()
        return self._peak

    def reset_peak(self) -> None:
        """Let the peak count from now on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        self._peak = 0.0

    def _remember_peak(self) -> None:
        with contextlib.suppress(OSError):
            if not self.ended:
                self._peak = max(self._peak, _status(self.pid, "VmHWM"))


def _status(pid: int, name: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)[0]) / 1024


def _leaf(pid: int) -> int:
    """Return the last of a chain of only children: what a wrapper started."""
    try:
        name = Path(f"/proc/{pid}/cmdline").read_bytes()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return pid
    wraps = b"appliance" not in name.split(b"\0")[:4]
    return _leaf(int(children[0])) if wraps and children else pid

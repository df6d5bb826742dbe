"""The example, started by its one command: an update in one service is seen by
the other at once, the database is asked as often as it must be and no more,
and Ctrl-C leaves no process and no folder behind.
"""

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300
#: Of prctl: the orphans of what this process starts become its children.
PR_SET_CHILD_SUBREAPER = 36


class Example:
    """One run of examples/run, with what its services say."""

    def __init__(self):
        names = "fastapi", "axum"
        self.ports = dict(zip(names, free_ports(len(names))))
        env = {k: v for k, v in os.environ.items() if not k.startswith("UNSTALE_")}
        env |= {f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        self.process = subprocess.Popen(
            [ROOT / "examples" / "run"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # As in a terminal: whoever started this in the background ignores it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.lines = []
        self._told = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        if not self._told.wait(PATIENCE) or self.process.poll() is not None:
            self.end()
            raise RuntimeError("the example did not start:\n" + "".join(self.lines))
        self.folder = Path(re.search(r"logs and sockets: (\S+)", "".join(self.lines))[1])

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("Ctrl-C ends"):
                self._told.set()
        self._told.set()

    def request(self, service, path, name=None, headers=()):
        """The status, the headers and the JSON; a PUT when there is a name."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[service]}{path}", headers=dict(headers))
        if name is not None:
            request.method, request.data = "PUT", json.dumps({"name": name}).encode()
            request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, None

    def row(self, service, path, name=None):
        """The JSON of a request that must succeed."""
        status, _, row = self.request(service, path, name)
        assert status == 200, "".join(self.lines)
        return row

    def reads(self, what):
        """How often the services have asked PostgreSQL for this.

        A service says so before it asks, but its line takes its way through
        pipes: what it said is all here when what it is asked for next is.
        """
        marks = {name: self._mark(name) for name in self.ports}
        deadline = time.monotonic() + PATIENCE
        while not all(any(mark in line for line in self.lines) for mark in marks.values()):
            assert time.monotonic() < deadline, "".join(self.lines)
            time.sleep(0.01)
        return sum(f"asked PostgreSQL for {what} (" in line for line in self.lines)

    def _mark(self, service):
        """Has the service ask for a user whom nobody asked for."""
        self._marked = getattr(self, "_marked", 1_000_000) + 1
        assert self.request(service, f"/users/{self._marked}")[0] == 404
        return f"asked PostgreSQL for user {self._marked} ("

    def end(self):
        """Ctrl-C, which goes to the whole group of the terminal; the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return self.ended()

    def ended(self):
        """Waits for its end; the exit code."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code


def free_ports(count):
    """TCP ports that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def children():
    """The living children of this process, by name; the dead are reaped."""
    pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    living = [pid for pid in pids if os.waitpid(int(pid), os.WNOHANG) == (0, 0)]
    return {int(pid): comm(pid) for pid in living}


def comm(pid):
    """The name of a process."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


@pytest.fixture
def example():
    """A new one for each test; what it leaves behind fails the test."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    running = Example()
    try:
        yield running
    finally:
        running.end()
        # The last to end are those who carry the lines.
        deadline = time.monotonic() + 5
        while (left := children()) and time.monotonic() < deadline:
            time.sleep(0.01)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert not left, "".join(running.lines)
    assert not running.folder.exists()


def test_an_update_in_one_service_is_seen_by_the_other_at_once(example):
    both_share_one_entry(example)
    an_update_is_seen_at_once(example)
    who_is_not_there_is_cached_until_they_are(example)
    however_many_ask_one_reads(example)
    the_page_is_conditional(example)
    assert example.end() == 0, "".join(example.lines)


def both_share_one_entry(example):
    """What one service loaded the other gives."""
    ada = {"id": 7, "name": "Ada", "version": 1}
    assert example.row("fastapi", "/users/7") == ada
    assert example.row("axum", "/users/7") == ada
    assert example.reads("user 7") == 1


def an_update_is_seen_at_once(example):
    """In both directions, with one read for each version."""
    for version, (at, other) in enumerate([("fastapi", "axum"), ("axum", "fastapi")] * 3, start=2):
        before = example.reads("user 7")
        new = {"id": 7, "name": f"Ada {version} by {at}", "version": version}
        assert example.row(at, "/users/7", new["name"]) == new
        assert example.row(other, "/users/7") == new
        assert example.row(at, "/users/7") == new
        assert example.reads("user 7") == before + 1


def who_is_not_there_is_cached_until_they_are(example):
    """One read for all who ask in vain."""
    for service in ("fastapi", "axum", "fastapi"):
        assert example.request(service, "/users/99")[0] == 404
    assert example.reads("user 99") == 1
    example.row("axum", "/users/99", "Leslie")
    assert example.row("fastapi", "/users/99")["name"] == "Leslie"


def however_many_ask_one_reads(example):
    """Of both services, at the same time."""
    with ThreadPoolExecutor(16) as pool:
        rows = list(pool.map(lambda n: example.row(("fastapi", "axum")[n % 2], "/users/8"), range(64)))
    assert {row["name"] for row in rows} == {"Edsger"}
    assert example.reads("user 8") == 1


def the_page_is_conditional(example):
    """The axum service's list: 304 to who holds it, until somebody changes it."""
    _, headers, users = example.request("axum", "/users")
    held = {"if-none-match": headers["etag"]}
    before = example.reads("all users")
    assert example.request("axum", "/users", headers=held)[0] == 304
    assert example.reads("all users") == before

    example.row("fastapi", "/users/9", "Liskov")
    status, headers, changed = example.request("axum", "/users", headers=held)
    assert status == 200 and headers["etag"] != held["if-none-match"]
    assert [user["name"] for user in changed if user["id"] == 9] == ["Liskov"]
    assert [user for user in changed if user["id"] != 9] == [user for user in users if user["id"] != 9]


def test_when_one_ends_the_rest_does(example):
    script = example.process.pid
    pids = Path(f"/proc/{script}/task/{script}/children").read_text().split()
    [service] = [pid for pid in pids if comm(pid) == "axum-service"]
    os.kill(int(service), signal.SIGKILL)
    assert example.ended() == 1
    assert "axum has ended" in "".join(example.lines)

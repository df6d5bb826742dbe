"""The real programs that cases run on: sidecars, NATS, Redis. Each can be
paused, killed, ended and started again on the same port with the same store.
"""

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "python"))

from sidecar import binary  # noqa: E402

#: Seconds within which what must happen happens, on a busy machine.
PATIENCE = 20

_ports = itertools.count(random.randrange(12_000, 24_000))
_ports_lock = threading.Lock()


def free_port():
    """A port that nobody uses; below those that the kernel gives away, so that
    it is still free when its program is started again."""
    with _ports_lock:
        for port in _ports:
            with socket.socket() as tried:
                try:
                    tried.bind(("127.0.0.1", port))
                except OSError:
                    continue
            return port


def wait_until(what, ask):
    """Asks until the answer is true; raises with its last word otherwise."""
    deadline = time.monotonic() + PATIENCE
    while True:
        done, said = ask()
        if done:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"still not {what} after {PATIENCE} s: {said}")
        time.sleep(0.02)


class Process:
    """A program with a directory of its own."""

    def __init__(self, name):
        self.name = name
        # Not below the repository: the path of a Unix socket must be short.
        self.dir = Path(tempfile.mkdtemp(prefix="unstale-c-"))
        self.process = None

    def command(self):
        """What is run."""
        raise NotImplementedError

    def start(self):
        """Starts it, again if need be."""
        # Settings of whoever runs the tests are not those of the tests.
        env = {k: v for k, v in os.environ.items() if not k.startswith("UNSTALE_")}
        with (self.dir / "log").open("ab") as log:
            command = [str(word) for word in self.command()]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def pause(self):
        """Stops it as a hanging machine would; every thread of it has stopped."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self):
        """Lets it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """Ends it as a crash would."""
        self.process.kill()
        self.process.wait()

    def terminate(self):
        """Asks it to end. It may take its time."""
        self.process.terminate()

    def log(self):
        """What it has said."""
        path = self.dir / "log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def end(self):
        """Ends it for good."""
        if self.process:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


def _listens(port):
    with socket.socket() as tried:
        tried.settimeout(1)
        return tried.connect_ex(("127.0.0.1", port)) == 0


class Server(Process):
    """A server beside the sidecars, on a port that stays."""

    def __init__(self, name):
        super().__init__(name)
        self.port = free_port()

    def start(self):
        super().start()
        wait_until(f"{self.name} listening", lambda: (_listens(self.port), self.log()))


def tool(name):
    """A tool of tests/tools/install; a missing one is a failure."""
    path = ROOT / "target" / "tools" / "bin" / name
    if not path.is_file():
        raise RuntimeError(f"{path} is missing; run tests/tools/install")
    return path


class Nats(Server):
    """A NATS server with JetStream."""

    def command(self):
        store = self.dir / "store"
        return [tool("nats-server"), "-a", "127.0.0.1", "-p", self.port, "-js", "-sd", store]


class Redis(Server):
    """A Redis (Valkey) server."""

    def command(self):
        flags = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.dir]
        return [tool("valkey-server"), "--port", self.port, *flags]


class Pod(Process):
    """A sidecar on ports and a Unix socket that stay."""

    def __init__(self, name, flags, config=""):
        super().__init__(name)
        self.tcp = f"127.0.0.1:{free_port()}"
        self.admin = f"127.0.0.1:{free_port()}"
        self.uds = self.dir / "grpc.sock"
        self.flags = list(flags)
        if config:
            path = self.dir / "unstale.toml"
            path.write_text(config)
            self.flags += ["--config", path]

    def command(self):
        listen = ["--listen", self.tcp, "--admin", self.admin, "--uds", self.uds]
        return [binary(), "serve", "--pod", self.name, *listen, *self.flags]

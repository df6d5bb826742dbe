"""A real sidecar for tests: memory only, on free ports, gone with the test.

    with Sidecar() as sidecar:
        cache = Cache(sidecar.endpoint)

The program is `unstale` on the PATH, or what UNSTALE_BIN names.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from .cache import Cache
from .errors import Error

#: Seconds that a start or a stop may take.
_PATIENCE = 30.0


class Sidecar:
    """One running `unstale serve`."""

    def __init__(self, *arguments: str, program: str | os.PathLike[str] | None = None) -> None:
        """arguments: more flags of `unstale serve`."""
        # Not a test's directory: the path of a Unix socket must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="unstale-"))
        self._log = self._folder / "log"
        self._program = str(program or os.environ.get("UNSTALE_BIN") or _on_path())
        grpc, admin = _free_ports(2)
        #: Where it listens on TCP.
        self.tcp = f"http://127.0.0.1:{grpc}"
        #: Where it listens on a Unix socket.
        self.endpoint = f"unix:{self._folder / 'grpc.sock'}"
        places = ["--listen", f"127.0.0.1:{grpc}", "--admin", f"127.0.0.1:{admin}"]
        self._command = [self._program, "serve", *places, "--uds", self.endpoint[5:], *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def pid(self) -> int:
        """Its process."""
        if self._process is None:
            raise RuntimeError("the sidecar is stopped")
        return self._process.pid

    def start(self) -> None:
        """Starts it, at the same place, and returns when it serves."""
        # The settings of whoever runs the tests are not those of the sidecar.
        env = {name: value for name, value in os.environ.items() if not name.startswith("UNSTALE_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=env)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        cache = Cache(self.endpoint, timeout=1, strict=True)
        deadline = time.monotonic() + _PATIENCE
        while self._process is not None and self._process.poll() is None:
            try:
                if cache.status().session_state == "FRESH":
                    return
            except Error:
                pass
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        said = self._log.read_text(errors="replace")
        raise RuntimeError(f"{' '.join(self._command)} does not serve:\n{said}")

    def stop(self) -> int | None:
        """Asks it to drain, and insists; gives its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int | None:
        """Ends it as a crash does."""
        return self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        try:
            return process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def pause(self) -> None:
        """It stops answering, and its sockets stay open."""
        os.kill(self.pid, signal.SIGSTOP)
        # Its threads stop one by one; this returns when all have.
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        """It answers again."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stops it and removes what it left."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Sidecar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


def _on_path() -> str:
    found = shutil.which("unstale")
    if found is None:
        raise RuntimeError("there is no `unstale` on the PATH; set UNSTALE_BIN to the program")
    return found


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()

"""Starts the real binary for a test, and ends it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20


def binary():
    """The sidecar under test; a missing one is a failure, never a skip."""
    path = Path(os.environ.get("UNSTALE_BIN", ROOT / "target" / "debug" / "unstale"))
    if not path.is_file():
        raise RuntimeError(f"{path} is missing; run `cargo build` first or set UNSTALE_BIN")
    return path


def free_ports(count):
    """TCP ports that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Sidecar:
    """One running `unstale serve` on free ports and a Unix socket of its own."""

    def __init__(self):
        program = binary()
        # Not pytest's directory: the path of a Unix socket must be short.
        self.dir = Path(tempfile.mkdtemp(prefix="unstale-"))
        self.uds = self.dir / "grpc.sock"
        self.log = self.dir / "log"
        grpc_port, admin_port = free_ports(2)
        self.tcp, self.admin = f"127.0.0.1:{grpc_port}", f"127.0.0.1:{admin_port}"
        command = [program, "serve", "--listen", self.tcp, "--admin", self.admin, "--uds", self.uds]
        # Settings of whoever runs the tests are not those of the tests.
        env = {k: v for k, v in os.environ.items() if not k.startswith("UNSTALE_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=env)

    def channel(self, transport):
        """A stock channel; the Unix socket needs the authority option."""
        if transport == "tcp":
            return grpc.insecure_channel(self.tcp)
        options = [("grpc.default_authority", "localhost")]
        return grpc.insecure_channel(f"unix:{self.uds}", options=options)

    def wait_until_fresh(self):
        """Returns when the sidecar serves and its session is fresh."""
        from unstale.v1 import admin_service_pb2 as admin
        from unstale.v1 import admin_service_pb2_grpc as admin_grpc

        deadline = time.monotonic() + PATIENCE
        with self.channel("tcp") as channel:
            stub = admin_grpc.AdminServiceStub(channel)
            while time.monotonic() < deadline and self.process.poll() is None:
                try:
                    status = stub.Status(admin.StatusRequest(), wait_for_ready=True, timeout=1)
                except grpc.RpcError:
                    continue
                if status.session_state == admin.SESSION_STATE_FRESH:
                    return
        ended = f"ended with {self.process.poll()}" if self.process.poll() is not None else "is not fresh"
        raise RuntimeError(f"the sidecar {ended}:\n{self.log.read_text()}")

    def stop(self):
        """Asks it to drain, and insists; returns the exit code."""
        self.process.terminate()
        try:
            code = self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
        return code

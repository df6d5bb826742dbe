"""Where clients connect: a case's pods, and the places where no sidecar is."""

import socket
import tempfile
from pathlib import Path

from scripted import Scripted


class Endpoints:
    """The endpoints of one case; those that are no pod's are made when asked
    for."""

    def __init__(self, fleet):
        self._fleet = fleet
        self._dir = tempfile.TemporaryDirectory(prefix="unstale-e-")
        self._sockets = []
        self._scripted = None

    def pod(self, number, transport):
        """A sidecar's, over tcp or uds."""
        pod = self._fleet.pod(number)
        return f"unix:{pod.uds}" if transport == "uds" else f"http://{pod.tcp}"

    def named(self, name):
        """One of vocabulary.ENDPOINTS."""
        path = Path(self._dir.name) / name
        if name == "stale_socket" and not path.exists():
            with socket.socket(socket.AF_UNIX) as once:
                once.bind(str(path))
        if name == "silent":
            return f"http://127.0.0.1:{self._silent()}"
        if name == "scripted":
            return f"http://127.0.0.1:{self.scripted.port}"
        if name == "unreadable":
            return "ftp://127.0.0.1:1"
        return f"unix:{path}"

    @property
    def scripted(self):
        """The sidecar of another version."""
        self._scripted = self._scripted or Scripted()
        return self._scripted

    def _silent(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self._sockets.append(listener)
        return listener.getsockname()[1]

    def end(self):
        """Closes all of them."""
        if self._scripted:
            self._scripted.end()
        for each in self._sockets:
            each.close()
        self._dir.cleanup()

"""Fleets of sidecars: the two that cases without faults share, and those of
cases with faults, which are nobody else's.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from processes import Nats, Pod, Redis, wait_until

#: Seconds for which one beat keeps a session fresh, where a case does not say:
#: short, so that what waits for its end does not wait long.
SESSION_TTL = 2


class Fleet:
    """Sidecars with what is behind them."""

    def __init__(self, pods=1, nats=False, redis=False, session_ttl=SESSION_TTL, flags=(), config=""):
        self.parts = {}
        words = ["--session-ttl", f"{int(session_ttl * 1000)}ms", *map(str, flags)]
        self._channels = {}
        try:
            if nats:
                server = self._add("nats", Nats("nats"))
                words += ["--nats", f"nats://127.0.0.1:{server.port}", "--fleet", "test"]
            if redis:
                server = self._add("redis", Redis("redis"))
                words += ["--remote", f"redis://127.0.0.1:{server.port}"]
            for number in range(1, pods + 1):
                self._add(f"pod {number}", Pod(f"pod-{number}", words, config))
            for number in range(1, pods + 1):
                self.wait(number, session="fresh", log="up", remote="up", sessions=pods)
        except BaseException:
            self.end()
            raise

    def _add(self, name, part):
        self.parts[name] = part
        part.start()
        return part

    def pod(self, number):
        """One of its sidecars, from 1."""
        return self.parts[f"pod {number}"]

    def fault(self, verb, who):
        """Does to a part what a case says."""
        getattr(self.parts[who], verb)()

    def status(self, number):
        """What a sidecar says of itself, or the error."""
        from unstale.v1 import admin_service_pb2 as pb
        from unstale.v1 import admin_service_pb2_grpc as stubs

        if number not in self._channels:
            # A lost connection is tried again at once, not after a backoff.
            options = [("grpc.max_reconnect_backoff_ms", 50), ("grpc.initial_reconnect_backoff_ms", 50)]
            self._channels[number] = grpc.insecure_channel(self.pod(number).tcp, options=options)
        stub = stubs.AdminServiceStub(self._channels[number])
        return stub.Status(pb.StatusRequest(), timeout=2), len(stub.Peers(pb.PeersRequest(), timeout=2).peers)

    def wait(self, pod, session=None, log=None, remote=None, sessions=None):
        """Waits until a sidecar says this of itself."""
        from unstale.v1 import admin_service_pb2 as pb

        def ask():
            try:
                status, peers = self.status(pod)
            except grpc.RpcError as error:
                return False, f"{error.code()}: {error.details()}\n{self.pod(pod).log()}"
            state = pb.SessionState.Name(status.session_state).removeprefix("SESSION_STATE_").lower()
            is_up = {"log": not status.log_error, "remote": not status.remote_error}
            wanted = {"log": log, "remote": remote}
            good = session in (None, state) and sessions in (None, peers)
            good = good and all(w is None or is_up[part] == (w == "up") for part, w in wanted.items())
            return good, f"{state}, {peers} sessions, {status.log_error} {status.remote_error}"

        wait_until(f"{session} {log} {remote} {sessions} in pod {pod}", ask)

    def end(self):
        """Ends all of it."""
        for channel in self._channels.values():
            channel.close()
        for part in reversed(self.parts.values()):
            part.end()


class Fleets:
    """Gives a case its fleet."""

    SHARED = {"one": {"pods": 1}, "two": {"pods": 2, "nats": True}}

    def __init__(self):
        self._starts = ThreadPoolExecutor(len(self.SHARED))
        self._shared = {}
        self._lock = threading.Lock()

    def of(self, wanted):
        """The fleet, and whether the case must end it."""
        if isinstance(wanted, dict):
            return Fleet(**wanted), True
        with self._lock:
            if wanted not in self._shared:
                self._shared[wanted] = self._starts.submit(Fleet, **self.SHARED[wanted])
        return self._shared[wanted].result(), False

    def end(self):
        """Ends those that were shared."""
        for future in self._shared.values():
            if not future.exception():
                future.result().end()

"""Runs one case through one adapter.

The runner owns the sidecars and the faults; the adapter only makes calls. A
step fails when its answer is not as expected, when it is an error that nobody
expected, and when the adapter cannot make the call.
"""

import secrets
import time

from endpoints import Endpoints
from errors import wrong_in
from matching import differences
from values import found_at, resolved
from vocabulary import CALLS

#: Seconds within which what must happen `eventually` happens.
PATIENCE = 20
#: What a step that expects nothing must come to, so that nothing is arranged
#: on sand.
WITHOUT_WORDS = {"set": "stored", "fill": "stored", "compare_and_set": "stored"}


class Failed(Exception):
    """The case failed; the message says where and why."""


class Unsupported(Failed):
    """The SDK has no such call or option."""


class Run:
    """One case on its way through one adapter."""

    def __init__(self, case, adapter, other, fleet):
        self.case, self.fleet = case, fleet
        self._adapters = {"sdk": adapter, "other": other}
        #: No other case's: keys, tags and prefixes are this case's own.
        self.namespace = f"c-{secrets.token_hex(6)}"
        self._names = {"ns": self.namespace}
        self._clients, self._begun, self._gates = {}, {}, set()
        self._endpoints = Endpoints(fleet)

    def run(self):
        """Runs every step, or raises Failed."""
        try:
            for number, step in enumerate(self.case.steps, 1):
                try:
                    self._step(step)
                except Exception as error:
                    kind = Unsupported if isinstance(error, Unsupported) else Failed
                    where = f"{self.case.id}\n  step {number}, {step.does} {_short(step.args)}"
                    raise kind(f"{where}\n  {type(error).__name__}: {error}") from error
        finally:
            self._clean_up()

    def _step(self, step):
        if step.does in CALLS:
            self._call(step)
        elif step.does == "join":
            for begun, answer in self._joined(step.args):
                self._judge(begun, step.beside, answer)
        elif step.does == "until":
            self.fleet.wait(step.args.get("pod", 1), **{k: v for k, v in step.args.items() if k != "pod"})
        elif step.does == "script":
            self._endpoints.scripted.script(**resolved(step.args, self._names))
        else:
            self.fleet.fault(step.does, step.args)

    def _call(self, step):
        if "background" in step.beside:
            times = step.beside.get("times", 1)
            begun = [(step, *self._begin(step)) for _ in range(times)]
            self._begun[step.beside["background"]] = begun
            return
        deadline = time.monotonic() + PATIENCE
        while True:
            adapter, future = self._begin(step)
            try:
                return self._judge(step, step.beside, adapter.answer(future, step.does))
            except Unsupported:
                raise
            except Failed:
                if "eventually" not in step.beside or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def _begin(self, step):
        adapter = self._adapters[step.beside.get("by", "sdk")]
        client = self._client(adapter, step)
        if isinstance(client, dict):  # It could not be opened.
            return adapter, _done(client)
        return adapter, adapter.begin(step.does, self._arguments(step), client)

    def _joined(self, name):
        for step, adapter, future in self._begun.pop(name):
            yield step, adapter.answer(future, step.does)

    def _arguments(self, step):
        args = resolved(step.args or {}, self._names)
        # Loaders and gates live in the adapter, which all cases share.
        if step.does == "get_or_load":
            loader = dict(args["loader"])
            for name in {"name", "gate"} & set(loader):
                loader[name] = self._own(loader[name])
            args["loader"] = loader
        for name in {"loader", "gate", "stream"} & set(args):
            if isinstance(args[name], str):
                args[name] = self._own(args[name])
        return args

    def _own(self, name):
        self._gates.add(f"{self.namespace}/{name}")
        return f"{self.namespace}/{name}"

    def _client(self, adapter, step):
        """The name of the client that makes the call; it is opened first."""
        pod, name = step.beside.get("pod", 1), step.beside.get("client", "main")
        known = adapter, pod, name
        if known not in self._clients:
            options = {"namespace": self.namespace, "strict": True}
            options |= resolved(self.case.clients.get(name, {}), self._names)
            transport = options.pop("transport", "tcp")
            endpoint = options.pop("endpoint", None)
            where = self._endpoints.named(endpoint) if endpoint else self._endpoints.pod(pod, transport)
            client = f"{self.namespace}/{pod}/{name}"
            answer = adapter.call("open", {"endpoint": where, **options}, client)
            if "result" not in answer:
                return answer
            self._clients[known] = client
        return self._clients[known]

    def _judge(self, step, beside, answer):
        if "unsupported" in answer:
            raise Unsupported(f"unsupported: {answer['unsupported']}")
        if "error" in beside:
            return self._judge_error(step, beside, answer)
        if "error" in answer:
            raise Failed(f"failed: {answer['error']}")
        result = answer["result"]
        expected = beside.get("expect")
        if expected is None and step.does in WITHOUT_WORDS:
            expected = {"kind": WITHOUT_WORDS[step.does]}
        if expected is not None:
            self._all_of(differences(resolved(expected, self._names), result))
        for name, path in beside.get("save", {}).items():
            self._names[name] = found_at(result, path)
            if self._names[name] is None:
                raise Failed(f"answer.{path} is null; what follows needs it")

    def _judge_error(self, step, beside, answer):
        if "error" not in answer:
            raise Failed(f"came to {_short(answer['result'])}; expected the error {beside['error']}")
        adapter = self._adapters[step.beside.get("by", "sdk")]
        expected = resolved(beside["error"], self._names)
        shows_codes = adapter.hello.get("codes", False)
        self._all_of(wrong_in(answer["error"], expected, shows_codes), answer["error"])

    def _all_of(self, wrong, whole=None):
        if wrong:
            raise Failed("; ".join(wrong) + (f"; the whole: {whole}" if whole else ""))

    def _clean_up(self):
        """Lets go of what the adapters hold for this case; waits for nothing
        that a broken sidecar may keep."""
        for adapter in set(self._adapters.values()):
            if adapter.is_alive:
                adapter.begin("forget", {"prefix": f"{self.namespace}/"})
        self._endpoints.end()


def _done(answer):
    from concurrent.futures import Future

    future = Future()
    future.set_result(answer)
    return future


def _short(value):
    text = repr(value)
    return text if len(text) < 200 else text[:200] + "…"

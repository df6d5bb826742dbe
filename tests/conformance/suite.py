"""Everything that runs cases: adapters by name, the fleets they share, and a
pool, because most of a case with faults is waiting.
"""

import os
import shlex
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from adapter import Adapter, AdapterFailed
from case_files import HERE, all_cases, case, read_yaml
from errors import table
from fleets import Fleets
from processes import ROOT
from runner import Failed, Run

#: Cases under way at once.
AT_ONCE = 6
#: Times that an adapter may hang. Each costs everybody's patience.
HANGS = 3
#: The adapter that makes the calls `by: other`, and that SDKs are measured by.
OTHER = "grpcio"


def commands():
    """Every adapter's command, by the name of its SDK."""
    return {name: row["command"] for name, row in read_yaml(HERE / "adapters.yaml").items()}


def known_failures(name):
    """Case → why it fails, for those that are known to."""
    path = HERE / "known" / f"{name}.yaml"
    return read_yaml(path) or {} if path.exists() else {}


def error_cases():
    """One case per row of the error table: a sidecar says it, an SDK tells it."""
    return [_error_case(row) for row in table().values() if row["code"] != "OK"]


def _error_case(row):
    error = {name: row[name] for name in ("reason", "code")}
    error["retry_after"] = 0.25 if row["retryable"] else None
    told = {"client": "newer", "error": row["reason"]}
    if row["retryable"]:
        told["error"] = {**row, "retry_after": {"$between": [0.24, 0.26]}}
    steps = [{"script": {"rpc": rpc, "error": error}} for rpc in ("Get", "Invalidate")]
    steps += [{"get": {"key": "k"}, **told}, {"invalidate": {"keys": ["k"]}, **told}]
    name = f"{row['reason']} is told for what it is"
    return case("errors", {"case": name, "clients": {"newer": {"endpoint": "scripted"}}, "steps": steps})


def batch_error_case():
    """What a sidecar says of parts of a batch is told of each."""
    rows = [row for row in table().values() if row["code"] != "OK"]
    said = {"retryAfter": "0.250s"}
    answers = [
        {"key": row["reason"], "error": {"reason": row["reason"], **(said if row["retryable"] else {})}} for row in rows
    ]
    told = [
        {"key": row["reason"], "kind": "error", "reason": row["reason"], "retry_after": _told_retry(row)} for row in rows
    ]
    steps = [
        {"script": {"rpc": "BatchSet", "answer": {"results": answers}}},
        {
            "set_many": {"items": [{"key": row["reason"], "text": "v"} for row in rows]},
            "client": "newer",
            "expect": {"results": told},
        },
    ]
    name = "of a batch each reason is told for what it is"
    return case("errors", {"case": name, "clients": {"newer": {"endpoint": "scripted"}}, "steps": steps})


def _told_retry(row):
    return {"$between": [0.24, 0.26]} if row["retryable"] else {"$absent": True}


def cases():
    """Every case there is."""
    return [*all_cases(), *error_cases(), batch_error_case()]


class Suite:
    """Runs cases; made once."""

    def __init__(self, more=None):
        self.commands = {**commands(), **(more or {})}
        self._adapters, self._lock = {}, threading.Lock()
        #: Why an adapter is not started again, and how often each hung.
        self._useless, self._hangs = {}, Counter()
        self._fleets = Fleets()
        self._pool = ThreadPoolExecutor(AT_ONCE)

    def begin(self, name, case):
        """Begins a case through the named adapter; the future is what went
        wrong, or None."""
        return self._pool.submit(self._run, name, case)

    def _run(self, name, case):
        fleet, own = self._fleets.of(case.fleet)
        try:
            Run(case, self.adapter(name), self.adapter(f"other {OTHER}"), fleet).run()
        except (Failed, AdapterFailed) as error:
            return error
        finally:
            if own:
                fleet.end()
        return None

    def lacks(self, name, case):
        """What the case needs and the adapter's SDK does not have."""
        return case.needs - self.adapter(name).has

    def adapter(self, name):
        """A running adapter; a new one when the last has ended, unless that is
        of no use: then why."""
        with self._lock:
            if name in self._useless:
                raise AdapterFailed(self._useless[name])
            known = self._adapters.get(name)
            if known is None or not known.is_alive:
                if known:
                    self._bury(name, known)
                known = self._adapters[name] = self._start(name)
            return known

    def _bury(self, name, adapter):
        del self._adapters[name]
        adapter.kill()
        self._hangs[name] += adapter.hung
        if self._hangs[name] == HANGS:
            self._give_up(name, f"{adapter.why}; that was {HANGS} times")

    def _start(self, name):
        command = self.commands[name.removeprefix("other ")]
        try:
            return Adapter(name, _split(command), _environment())
        except AdapterFailed as error:
            self._give_up(name, str(error))

    def _give_up(self, name, why):
        self._useless[name] = why
        raise AdapterFailed(why)

    def end(self):
        """Ends all of it; the names of adapters that did not end by themselves."""
        self._pool.shutdown(cancel_futures=True)
        codes = {name: adapter.stop() for name, adapter in self._adapters.items()}
        self._fleets.end()
        return {name: code for name, code in codes.items() if code != 0}


def _split(command):
    words = shlex.split(command)
    # A Python adapter runs in the Python that runs the cases.
    words[0] = sys.executable if words[0] == "python" else words[0]
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    # Not str.format: other braces are the command's own.
    return [word.replace("{root}", str(ROOT)).replace("{target}", str(target)) for word in words]


def _environment():
    return {k: v for k, v in os.environ.items() if not k.startswith("UNSTALE_")}

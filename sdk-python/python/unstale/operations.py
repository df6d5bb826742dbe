"""The operations of a cache but those that load, once for threads and event loops.

Fail-open: what the cache cannot do is a miss or an unstored value, counted and
now and then warned of; with `strict` it is raised. Never swallowed: a request
that breaks a rule, and an invalidation, a delete or a compare-and-set that did
not happen, because their callers rely on them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import errors
from ._native import Answer, Client, Invalidated, RawEntry, Written
from .codecs import UNHINTED, Codecs
from .entries import NOT_FOUND, Entry, Kind, Lookup, Outcome
from .errors import BatchError, DecodeError, EncodeError, Error
from .options import NativeStore, Store, separate
from .outages import Counts, Warnings
from .steps import Operation

if TYPE_CHECKING:
    from typing_extensions import Self

_BATCH_KEYS = 256
#: Below the contract's 4 MiB, keys and tags included.
_BATCH_BYTES = 3 << 20
#: Not the cache's failures: the request's, or another caller's.
_NO_OUTAGE = (errors.Invalid, errors.EndpointError, errors.UnknownLease, errors.Busy)
_KINDS: dict[str, Kind] = {"hit": "hit", "negative": "negative", "not_modified": "not_modified"}


class Operations:
    """A connection, its codecs, and what happens when something fails."""

    def __init__(self, client: Client, codecs: Codecs, strict: bool, sidecar: bool = True) -> None:
        self.client = client
        self.codecs = codecs
        self.strict = strict and sidecar
        self._sidecar = sidecar
        self.counts = Counts()
        self.warnings = Warnings()

    def with_codecs(self, codecs: Codecs) -> Self:
        """The same with other codecs."""
        return type(self)(self.client, codecs, self.strict, self._sidecar)

    # Reading.

    def lookup(self, key: str, type: Any, *how: Any) -> Operation[Lookup[Any]]:
        try:
            answer: Answer = yield self.client.get(key, *how)
        except Error as error:
            self.failed(error)
            return Lookup("miss", error=error)
        return self.looked_up(answer, type)

    def get(self, key: str, default: Any, type: Any, *how: Any) -> Operation[Any]:
        try:
            answer: Answer = yield self.client.get(key, *how)
        except Error as error:
            self.failed(error)
            return default
        return self.value(answer.entry, default, type)

    def fetch(self, key: str, default: Any, type: Any, *how: Any) -> Any:
        """`get` for threads, in one native call and not in steps."""
        try:
            fetched = self.client.fetch(key, *how)
        except Error as error:
            self.failed(error)
            return default
        return default if fetched is None else self.decoded(*fetched, default, type)

    def get_many(self, keys: Iterable[str], type: Any, *how: Any) -> Operation[dict[str, Any]]:
        if isinstance(keys, str):
            raise TypeError("get_many takes several keys, not one text")
        asked = list(dict.fromkeys(keys))
        found: dict[str, Any] = {}
        while asked:
            batch, asked = asked[:_BATCH_KEYS], asked[_BATCH_KEYS:]
            try:
                answers: list[Answer] = yield self.client.get_many(batch, *how)
            except Error as error:
                self.failed(error)
                return found
            missing = [k for k, answer in zip(batch, answers) if answer.entry is None]
            if "ANSWER_TOO_LARGE" in answers[0].degraded and len(missing) < len(batch):
                asked = missing + asked
            nothing = object()
            for key, answer in zip(batch, answers):
                value = self.value(answer.entry, nothing, type)
                if value is not nothing:
                    found[key] = value
        return found

    # Writing.

    def set(self, key: str, value: Any, type: Any, store: Store, *how: Any) -> Operation[Outcome]:
        data, native = self.encoded(value, type, store)
        try:
            written: Written = yield self.client.set(key, data, native, *how)
        except Error as error:
            self.failed(error)
            return Outcome(False, reason="FAILED", error=error)
        return self.outcome(written, type)

    def set_many(
        self, values: Mapping[str, Any], type: Any, store: Store, ack: str
    ) -> Operation[dict[str, Outcome]]:
        items = [self._item(key, value, type, store) for key, value in values.items()]
        outcomes: dict[str, Outcome] = {}
        while items:
            count = _fitting([_size(item[1]) for item in items])
            batch, items = items[:count], items[count:]
            try:
                results: list[Written | Error] = yield self.client.set_many(batch, ack)
            except Error as error:
                if not outcomes:
                    # Nothing is known of any key: the failure is all there is to say.
                    self.failed(error)
                results = [error] * len(batch)
            for item, result in zip(batch, results):
                outcomes[item[0]] = self._one_of_many(result, type)
        failures = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
        if any(self.raises(error) for error in failures):
            raise BatchError(outcomes) from failures[0]
        return outcomes

    def _item(self, key: str, value: Any, type: Any, shared: Store) -> Any:
        value, store, position, if_absent = separate(value, shared)
        return (key, *self.encoded(value, type, store), position, if_absent)

    def _one_of_many(self, result: Written | Error, type: Any) -> Outcome:
        if isinstance(result, Error):
            if not self.raises(result):
                self.failed(result)
            return Outcome(False, reason="FAILED", error=result)
        return self.outcome(result, type)

    def compare_and_set(
        self, key: str, expect: tuple[str, str], value: Any, type: Any, store: Store, ack: str
    ) -> Operation[Outcome]:
        data, native = self.encoded(value, type, store)
        written: Written = yield self.client.compare_and_set(key, expect, data, native, ack)
        return self.outcome(written, type)

    def invalidate(
        self,
        keys: Iterable[str],
        tags: Iterable[str],
        prefixes: Iterable[str],
        all: bool,
        mode: str,
        ack: str,
        id: str | None,
        reason: str,
        min_source_version: int | None,
        traceparent: str = "",
    ) -> Operation[Invalidated]:
        # One id for both tries: the second does nothing that the first did.
        what = (list(keys), list(tags), list(prefixes), all, mode, ack)
        rest = (id or uuid.uuid4().hex, reason, min_source_version, traceparent)
        try:
            first: Invalidated = yield self.client.invalidate(*what, *rest)
            return first
        except errors.Unreachable:
            second: Invalidated = yield self.client.invalidate(*what, *rest)
            return second

    # What they share.

    def encoded(
        self, value: Any, type: Any, store: Store
    ) -> tuple[bytes | str | None, NativeStore]:
        """The data, and how it is stored; none for NOT_FOUND."""
        if value is NOT_FOUND:
            return None, store.native("")
        if store.content_type is not None:
            if not isinstance(value, (bytes, str)):
                raise EncodeError("with a content type of its own, a value is bytes or str")
            return value, store.native(store.content_type)
        data, content_type = self.codecs.encode(value, type)
        return data, store.native(content_type)

    def value(self, entry: RawEntry | None, default: Any, type: Any) -> Any:
        """The entry's value; the default for none and for what cannot be read."""
        if entry is None:
            return default
        return self.decoded(entry.data, entry.content_type, default, type)

    def decoded(self, data: bytes | str | None, content_type: str, default: Any, type: Any) -> Any:
        """The value; None of a negative entry, the default for what cannot be read."""
        if data is None:
            return None
        try:
            return self.codecs.decode(data, content_type, type)
        except DecodeError as error:
            self.undecodable(error)
            return default

    def looked_up(self, answer: Answer, type: Any) -> Lookup[Any]:
        degraded = tuple(answer.degraded)
        entry = self.entry(answer.entry, type)
        kind: Kind = "miss" if entry is None else _KINDS[answer.kind]
        return Lookup(kind, entry, answer.position, degraded)

    def entry(self, raw: RawEntry | None, type: Any) -> Entry[Any] | None:
        """The entry; none for none and for what cannot be read."""
        nothing = object()
        value = self.value(raw, nothing, type)
        if raw is None or value is nothing:
            return None
        return Entry(
            value,
            raw.content_type,
            raw.version,
            raw.etag,
            raw.source_version,
            tuple(raw.tags),
            raw.tier,
            raw.fresh,
            raw.stale_reason,
            raw.age,
            raw.ttl_left,
            raw.stale_left,
        )

    def outcome(self, written: Written, type: Any) -> Outcome:
        current = self.entry(written.current, type)
        kind: Kind = "miss" if current is None else _KINDS[written.current_kind]
        return Outcome(
            written.stored,
            written.version,
            written.reason,
            written.min_source_version,
            Lookup(kind, current),
            written.position,
        )

    # Failures.

    def failed(self, error: Error, lenient: bool = False) -> None:
        """Raises what must be raised, and counts the rest. Lenient: the value
        is there, and that it was too large to be cached is no reason to lose it."""
        if lenient and self._unstored(error):
            return
        if self.raises(error):
            raise error
        if not self._sidecar:
            return
        self.counts.failed_open += 1
        kind = type(error).__name__
        self.warnings.say(kind, f"the cache is not used: {kind}: {error.message}")

    def raises(self, error: Error) -> bool:
        """Whether the caller cannot go on without what failed."""
        return self.strict or isinstance(error, _NO_OUTAGE)

    def _unstored(self, error: Error) -> bool:
        """Whether no more is to be done about a loaded value that was not stored."""
        if isinstance(error, errors.UnknownLease) and not self.strict:
            # The sidecar was restarted while the loader ran.
            self.counts.failed_open += 1
            self.warnings.say("lease", f"a loaded value was not cached: {error.message}")
            return True
        if not isinstance(error, errors.Invalid):
            return False
        if error.reason == "VALUE_TOO_LARGE":
            self.warnings.say("large", f"a value was not cached: {error.reason}")
            return True
        if not self.strict:
            fields = ", ".join(field for field, _ in error.violations)
            self.unencodable(EncodeError(f"{error.reason} {fields}".strip()))
        return not self.strict

    def undecodable(self, error: DecodeError) -> None:
        """Raises when strict, and counts."""
        if self.strict:
            raise error
        self.counts.undecodable += 1
        self.warnings.say("decode", f"a miss: {error}")

    def unencodable(self, error: EncodeError) -> None:
        """Raises when strict, and counts."""
        if self.strict:
            raise error
        self.counts.unencodable += 1
        self.warnings.say("encode", f"a value was not cached: {error}")


def _size(data: bytes | str | None) -> int:
    """Bytes on the wire: a character has up to four."""
    if isinstance(data, str) and not data.isascii():
        return len(data.encode())
    return len(data or "")


def _fitting(sizes: list[int]) -> int:
    """How many of the first items make a batch; at least one."""
    count = total = 0
    for size in sizes[:_BATCH_KEYS]:
        total += size + 4096
        if count and total > _BATCH_BYTES:
            break
        count += 1
    return count

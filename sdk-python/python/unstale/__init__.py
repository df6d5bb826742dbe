"""unstale: a cache that keeps a whole fleet coherent, through the sidecar beside you.

    from unstale import Cache

    cache = Cache()

    @cache.cached(ttl="5m", key="user:{user_id}", tags=["users"])
    def user(user_id: int) -> dict[str, str]: ...

`Cache` is for threads, `AsyncCache` for asyncio. When the sidecar is away the
functions run uncached, and a warning says so now and then (`strict=True`
raises); what did not get invalidated always raises.
"""

from ._native import Change, Explained, ExplainedFamily, ExplainedLease, ExplainedReferences
from ._native import ExplainedRemote
from ._native import Explanation, Floor
from ._native import Invalidated, Peer, Reference, Released, Status, WatchEvent
from .aio import AsyncCache
from .cache import Cache
from .codecs import Codec
from .cached import CachedCoroutine, CachedFunction
from .durations import Duration
from .entries import NOT_FOUND, Entry, Item, Loaded, Lookup, Outcome
from .errors import (
    AnswerError,
    BatchError,
    Busy,
    DeadlineExceeded,
    DecodeError,
    EncodeError,
    EndpointError,
    Error,
    Invalid,
    LoadTimedOut,
    OutcomeUnknown,
    Overloaded,
    TemplateError,
    Unavailable,
    UnknownLease,
    Unreachable,
    Unsupported,
)
from .leases import AsyncLease, AsyncLeases, Lease, Leases
from .retained import AsyncRetained, Retained

__all__ = [
    "NOT_FOUND",
    "AnswerError",
    "AsyncCache",
    "AsyncLease",
    "AsyncLeases",
    "AsyncRetained",
    "BatchError",
    "Busy",
    "Cache",
    "CachedCoroutine",
    "CachedFunction",
    "Change",
    "Codec",
    "DeadlineExceeded",
    "DecodeError",
    "Duration",
    "EncodeError",
    "EndpointError",
    "Entry",
    "Error",
    "Explained",
    "ExplainedFamily",
    "ExplainedLease",
    "ExplainedReferences",
    "ExplainedRemote",
    "Explanation",
    "Floor",
    "Invalid",
    "Invalidated",
    "Item",
    "Lease",
    "Leases",
    "LoadTimedOut",
    "Loaded",
    "Lookup",
    "Outcome",
    "OutcomeUnknown",
    "Overloaded",
    "Peer",
    "Reference",
    "Released",
    "Retained",
    "Status",
    "TemplateError",
    "Unavailable",
    "UnknownLease",
    "Unreachable",
    "Unsupported",
    "WatchEvent",
]

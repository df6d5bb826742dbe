"""Errors of grpcio, as PROTOCOL.md names them."""

import grpc
import rpc_details_pb2 as details

#: Code → kind, of what the sidecar said.
KINDS = {
    "INVALID_ARGUMENT": "invalid",
    "OUT_OF_RANGE": "invalid",
    "UNAVAILABLE": "unavailable",
    "RESOURCE_EXHAUSTED": "overloaded",
    "DEADLINE_EXCEEDED": "deadline_exceeded",
    "UNIMPLEMENTED": "unsupported",
}
#: Reasons that say more than their code.
REASONS = {"FLEET_UNKNOWN": "outcome_unknown", "REMOTE_UNKNOWN": "outcome_unknown", "UNKNOWN_LEASE": "unknown_lease"}
#: Kinds that are no outage: the request's fault, or another caller's.
OURS = {"invalid", "unknown_lease", "busy", "endpoint", "loader", "load_timed_out", "encode", "decode"}


class Refused(Exception):
    """An error of the protocol."""

    def __init__(self, kind, message="", reason=None, code=None, retry_after=None, violations=()):
        super().__init__(message or kind)
        self.fields = {
            "kind": kind,
            "message": message,
            "reason": reason,
            "code": code,
            "retry_after": retry_after,
            "violations": list(violations),
        }

    @property
    def is_outage(self):
        """Whether the cache is what failed."""
        return self.fields["kind"] not in OURS


class Unsupported(Exception):
    """There is no such call or option."""


def refused(error):
    """What a grpcio error means."""
    code, packed = error.code().name, {}
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            status = details.Status.FromString(value)
            packed = {each.type_url.rsplit(".")[-1]: each.value for each in status.details}
    reason = details.ErrorInfo.FromString(packed["ErrorInfo"]).reason if "ErrorInfo" in packed else None
    retry = packed.get("RetryInfo")
    if retry is not None:
        retry = details.RetryInfo.FromString(retry).retry_delay.ToNanoseconds() / 1e9
    bad = details.BadRequest.FromString(packed.get("BadRequest", b"")).field_violations
    kind = REASONS.get(reason) or KINDS.get(code, "other")
    # The sidecar gives a reason with every error: this one is the transport's.
    if reason is None and code in ("UNAVAILABLE", "CANCELLED", "INTERNAL", "UNKNOWN"):
        kind = "unreachable"
    return Refused(kind, error.details() or "", reason, code, retry, [each.field for each in bad])


def answered(call, request, timeout):
    """The answer of a call, or Refused."""
    try:
        return call(request, timeout=timeout)
    except grpc.RpcError as error:
        raise refused(error) from None

"""The error table (errors.yaml): what each reason means to whoever gets it.

Reads it, makes errors of it for a scripted sidecar, and judges whether an error
that an SDK reports is the one that the table says.
"""

from case_files import HERE, read_yaml
from matching import differences

#: What an SDK may call an error; PROTOCOL.md tells what each means.
KINDS = {
    "invalid", "unavailable", "overloaded", "deadline_exceeded", "outcome_unknown", "unknown_lease",
    "unsupported", "other",
    # Without a word from the sidecar.
    "unreachable", "endpoint", "busy", "answer", "loader", "load_timed_out", "encode", "decode",
}  # fmt: skip


def table():
    """Reason → code, kind, whether it says when to try again."""
    rows = read_yaml(HERE / "errors.yaml")
    return {row["reason"]: row for row in rows}


def expected_error(expected):
    """What an error must be: a reason of the table, or fields of it."""
    if isinstance(expected, str):
        return dict(table()[expected])
    return expected


def wrong_in(error, expected, shows_codes):
    """In what an error of an SDK is not the expected one."""
    wanted = expected_error(expected)
    wrong = [] if error.get("kind") in KINDS else [f"{error.get('kind')!r} is no kind of error"]
    for name in ("kind", "reason", "message", "violations"):
        if name in wanted:
            wrong += differences(wanted[name], error.get(name), f"error.{name}")
    if shows_codes and "code" in wanted:
        wrong += differences(wanted["code"], error.get("code"), "error.code")
    if "retryable" in wanted and (error.get("retry_after") is not None) != wanted["retryable"]:
        wrong.append(f"error.retry_after is {error.get('retry_after')}; expected {wanted['retryable']}")
    if "retry_after" in wanted:
        wrong += differences(wanted["retry_after"], error.get("retry_after"), "error.retry_after")
    return wrong


def metadata_of(error):
    """Code, message and trailers with which a sidecar says the error."""
    import grpc
    import rpc_details_pb2 as details

    code = grpc.StatusCode[error["code"]]
    message = error.get("message", "scripted")
    status = details.Status(code=code.value[0], message=message)
    if error.get("reason"):
        info = details.ErrorInfo(reason=error["reason"], domain="unstale.dev")
        status.details.add().Pack(info)
    if error.get("retry_after") is not None:
        retry = details.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error["retry_after"] * 1e9))
        status.details.add().Pack(retry)
    # The same messages, under the names that clients look for.
    for any_ in status.details:
        any_.type_url = any_.type_url.replace("tests.rpc.", "google.rpc.")
    trailers = [("grpc-status-details-bin", status.SerializeToString())] if status.details else []
    return code, message, trailers


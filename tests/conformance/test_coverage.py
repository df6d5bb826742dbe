"""Every word of the contract and of the protocol is in some case: calls,
arguments, results, reasons. What is not is named here."""

import pytest
from suite import cases
from vocabulary import CALLS, CAPABILITIES, CLIENT, ENDPOINTS, FAULTS, ITEM, LOADER, MATCHERS

#: rpc → call.
RPCS = {
    "Get": "get", "BatchGet": "get_many", "Set": "set", "BatchSet": "set_many", "CompareAndSet": "compare_and_set",
    "Lease": "lease", "BatchLease": "lease_many", "Renew": "renew", "Fill": "fill", "Abandon": "abandon",
    "Invalidate": "invalidate", "Watch": "watch", "Status": "status", "Peers": "peers",
    "Explain": "explain", "Retain": "retain", "Release": "let_go",
}  # fmt: skip


def steps():
    return [step for case in cases() for step in case.steps]


def used(call):
    """The arguments with which cases make the call."""
    return {name for step in steps() if step.does == call for name in step.args or {}}


def words(value):
    """Every text in what is expected, with the names that it stands under."""
    if isinstance(value, dict):
        return {word for name, each in value.items() for word in words(each) | {str(name)}}
    if isinstance(value, list):
        return {word for each in value for word in words(each)}
    return {str(value)}


def expected():
    beside = [step.beside for step in steps()]
    return {word for each in beside for word in words(each.get("expect", {})) | words(each.get("error", {}))}


def messages():
    from unstale.v1 import admin_service_pb2, cache_service_pb2

    files = (cache_service_pb2, admin_service_pb2)
    return {name: each for file in files for name, each in file.DESCRIPTOR.message_types_by_name.items()}


def test_every_rpc_is_called():
    from unstale.v1 import admin_service_pb2, cache_service_pb2

    services = [s for file in (cache_service_pb2, admin_service_pb2) for s in file.DESCRIPTOR.services_by_name.values()]
    assert {method.name for service in services for method in service.methods} == set(RPCS)
    assert set(CALLS) <= {step.does for step in steps()}


@pytest.mark.parametrize("rpc", RPCS)
def test_every_option_of_the_contract_is_used(rpc):
    fields = {field.name for field in messages()[f"{rpc}Request"].fields} - {"namespace"}
    assert fields - used(RPCS[rpc]) == set()


def test_every_option_of_a_batchs_writes_is_used():
    items = [step.args["items"] for step in steps() if step.does == "set_many"]
    given = {name for each in items if isinstance(each, list) for item in each for name in item}
    assert ITEM - given == set()
    assert {field.name for field in messages()["BatchSetItem"].fields} - given == set()


@pytest.mark.parametrize("call", CALLS)
def test_every_argument_of_the_protocol_is_used(call):
    # Of values, each call is tried with some.
    assert CALLS[call] - used(call) - {"json", "not_found", "data", "text"} == set()


def test_every_result_is_expected():
    names = {"found": "hit", "missing": "miss", "started": None, "heartbeat": None}
    oneofs = [oneof for name, m in messages().items() if name.endswith(("Response", "Result")) for oneof in m.oneofs]
    results = {names.get(field.name, field.name) for oneof in oneofs for field in oneof.fields} - {None}
    assert results - expected() == set()


def test_every_reason_and_flag_is_expected():
    from unstale.v1 import cache_service_pb2, entry_pb2

    for kind in ("StaleReason", "Tier", "Freshness", "DegradedReason", "InvalidateMode"):
        _is_expected(entry_pb2.DESCRIPTOR.enum_types_by_name[kind])
    for kind in ("NotStoredReason", "VoidedReason", "NotPinnedReason"):
        _is_expected(cache_service_pb2.DESCRIPTOR.enum_types_by_name[kind])


def _is_expected(kind):
    from test_errors import snake

    prefix = snake(kind.name) + "_"
    values = {value.name.removeprefix(prefix) for value in kind.values if value.number}
    assert values - expected() == set(), kind.name


def test_every_level_and_ack_is_used():
    given = {word for step in steps() for word in words(step.args)}
    assert {"BOUNDED", "STRONG", "STALE_OK", "LOCAL", "LOG", "FLEET", "HARD", "SOFT"} - given == set()


def test_every_capability_is_needed():
    assert {need for case in cases() for need in case.needs} == CAPABILITIES


def test_every_other_word_is_used():
    clients = [options for case in cases() for options in case.clients.values()]
    assert CLIENT - {name for options in clients for name in options} == set()
    assert ENDPOINTS - {options.get("endpoint") for options in clients} == set()
    loaders = [step.args["loader"] for step in steps() if step.does == "get_or_load"]
    assert LOADER - {name for loader in loaders for name in loader} == set()
    assert set(FAULTS) - {step.does for step in steps()} == set()
    assert MATCHERS - expected() == set()

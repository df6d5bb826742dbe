"""The error table is whole: every reason that the sidecar's sources can say is
in it, with the same code and the same word on trying again, and nothing else."""

import re

import pytest
from errors import KINDS, table
from processes import ROOT

GRPC = ROOT / "sidecar" / "src" / "grpc"
#: Words of google.rpc details that are no reasons.
NO_REASONS = {"LEASE"}


def sources():
    """The Rust sources of the gRPC layer, without their tests."""
    files = [path for path in GRPC.rglob("*.rs") if path.name != "tests.rs"]
    return {path: path.read_text().split("#[cfg(test)]\nmod tests {")[0] for path in files}


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


def test_the_table_and_the_sources_know_the_same_reasons():
    said = {word for text in sources().values() for word in re.findall(r'"([A-Z][A-Z_]+)"', text)}
    assert len(said) > 20, "the sources are read"
    assert said - NO_REASONS == set(table())


def test_codes_and_retries_of_the_engines_errors_are_those_of_the_sources():
    text = sources()[GRPC / "status.rs"]
    arms = re.findall(r'Error::(\w+)[^=]*=>[^(]*\(\s*Code::(\w+),\s*"([A-Z_]+)",\s*(None|Some\(.+?\)),?\s*\)', text)
    named = text[text.index("fn named(") : text.index("/// What the caller sees")]
    assert len(arms) == len(re.findall(r"Error::\w+", named)), "every arm is read"
    for error, code, reason, retry in arms:
        row = table()[reason]
        assert reason == snake(error), "an error has its own name"
        assert (row["code"], row["retryable"]) == (snake(code), retry != "None"), reason


def test_codes_of_the_librarys_errors_are_those_of_the_sources():
    text = sources()[GRPC / "status.rs"]
    arms = re.findall(r'Code::(\w+) => "([A-Z_]+)"', text)
    assert len(arms) == 17, "every gRPC code is read"
    for code, reason in arms:
        assert table()[reason]["code"] == snake(code), reason


@pytest.mark.parametrize("reason", table())
def test_rows_are_whole(reason):
    row = table()[reason]
    assert set(row) == {"reason", "code", "kind", "retryable"}
    assert row["kind"] in KINDS

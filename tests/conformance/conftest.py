"""Begins every selected case when the tests have been collected, so that they
run beside each other; each test then waits for its own.

--adapter NAME=COMMAND adds the adapter of a language that is not here yet.
"""

import pytest
import stubs_path  # noqa: F401
from suite import Suite, cases, commands, known_failures

import stubs

stubs.generate()


def pytest_addoption(parser):
    parser.addoption("--adapter", action="append", default=[], help="NAME=COMMAND, in place of all others")


def _given(config):
    return dict(each.split("=", 1) for each in config.getoption("--adapter"))


def pytest_generate_tests(metafunc):
    if "conformance_case" not in metafunc.fixturenames:
        return
    given = _given(metafunc.config)
    pairs = [(name, case) for name in given or commands() for case in cases()]
    ids = [f"{name}: {case.id}" for name, case in pairs]
    metafunc.parametrize(("adapter_name", "conformance_case"), pairs, ids=ids)


def pytest_collection_finish(session):
    if session.config.option.collectonly:
        return
    suite = Suite(_given(session.config))
    session.config.conformance = suite
    selected = [item for item in session.items if "conformance_case" in getattr(item, "fixturenames", ())]
    # Cases with faults first: they take longest.
    selected.sort(key=lambda item: isinstance(item.callspec.params["conformance_case"].fleet, str))
    for item in selected:
        params = item.callspec.params
        item.conformance_outcome = suite.begin(params["adapter_name"], params["conformance_case"])


@pytest.fixture
def wrong(request):
    """What went wrong in the case, or None."""
    return request.node.conformance_outcome.result()


@pytest.fixture
def lacks(request, adapter_name, conformance_case):
    """The capabilities that the SDK does not have and the case needs."""
    return request.config.conformance.lacks(adapter_name, conformance_case)


@pytest.fixture
def known(adapter_name):
    """Case → why it is known to fail."""
    return known_failures(adapter_name)


def pytest_sessionfinish(session, exitstatus):
    suite = getattr(session.config, "conformance", None)
    if suite:
        left = suite.end()
        if left:
            print(f"\nadapters that did not end with 0 when their stdin was closed: {left}")
            session.exitstatus = 1

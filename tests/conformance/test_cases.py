"""Every case through every adapter. What is known to fail is listed with its
reason, and fails here as soon as it passes. So does a case that needs what the
SDK says it does not have: what is checked then is that it does not pass."""

import pytest
from suite import cases, commands, known_failures


def test_case(adapter_name, conformance_case, known, lacks, wrong):
    if lacks:
        assert conformance_case.id not in known, "it is no failure: the SDK does not have what it needs"
        if wrong is None:
            pytest.fail(f"it passes: the adapter must say that its SDK has {sorted(lacks)}")
        return
    why = known.get(conformance_case.id)
    if why is None:
        assert wrong is None, str(wrong)
    elif wrong is None:
        pytest.fail(f"it passes: take it off the list of known failures ({why})")


@pytest.mark.parametrize("name", commands())
def test_known_failures_are_cases_and_say_why(name):
    ids = {case.id for case in cases()}
    listed = known_failures(name)
    assert set(listed) <= ids, f"no such cases: {sorted(set(listed) - ids)}"
    assert all(listed.values()), "each says why"

"""An adapter that does not keep to the protocol is told for what it does, at once,
and never takes the run with it."""

import shlex
import sys

import pytest
from adapter import Adapter, AdapterFailed
from suite import HANGS, Suite

HELLO = '{"id": %d, "result": {"sdk": "x"}}'
#: Reads requests, and answers the first as it should.
GOOD_START = f"""
import sys, time, os
sys.stdin.readline()
print('{HELLO % 1}', flush=True)
"""


def started(program):
    return Adapter("new", [sys.executable, "-c", program], None)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("", "new ended with code 0"),
        ("import sys; sys.exit('no such module')", "new ended with code 1"),
        ("import os; os.kill(os.getpid(), 9)", "new ended with code -9"),
        ("input(); print('hello')", "new said 'hello"),
        ("input(); print('[1]')", "one of result, error and unsupported"),
        ("input(); print('{\"id\": 7, \"result\": {}}')", "no request that waits has this id"),
        ("input(); import sys; sys.stdout.buffer.write(b'\\xff\\n')", "new said '\ufffd"),
        ("input(); print('{\"id\": 1, \"unsupported\": \"hello\"}')", "hello must be answered"),
        ("input(); print('{\"id\": 1, \"result\": {\"sdk\": \"x\", \"has\": [\"wings\"]}}'); input()", "no capabilities"),
        ("input(); import os, time; os.close(1); time.sleep(60)", "new closed its stdout and runs on"),
    ],
)
def test_who_cannot_say_hello_is_told_what_it_did(program, told):
    with pytest.raises(AdapterFailed) as failed:
        started(program)
    assert told in str(failed.value)


def test_a_program_that_is_not_there_is_told():
    with pytest.raises(AdapterFailed, match="cannot be started.*no/such"):
        Adapter("new", ["no/such/adapter"], None)


def test_who_ends_in_the_middle_fails_every_call_that_waits():
    adapter = started(GOOD_START + "sys.stdin.readline(); sys.stdin.readline(); sys.exit(3)")
    waiting = [adapter.begin("get", {}) for _ in range(2)]
    for future in waiting:
        with pytest.raises(AdapterFailed, match="ended with code 3"):
            adapter.answer(future, "get")
    with pytest.raises(AdapterFailed, match="ended with code 3"):
        adapter.call("get", {})
    assert not adapter.is_alive and adapter.stop() == 3


def test_who_closes_its_stdin_is_told():
    # One that goes on talking, but cannot be asked any more.
    adapter = started("import os, time\n" + GOOD_START.replace("print", "os.close(0); print") + "time.sleep(600)")
    with pytest.raises(AdapterFailed, match="closed its stdin"):
        adapter.call("get", {})
    adapter.kill()


def test_who_says_nothing_is_given_up():
    adapter = started(GOOD_START + "time.sleep(600)")
    adapter.patience = 0.2
    with pytest.raises(AdapterFailed, match="not answered get within 0.2 s"):
        adapter.call("get", {})
    assert not adapter.is_alive
    assert adapter.process.wait(20) == -9


def test_one_that_cannot_say_hello_is_started_once(tmp_path):
    tried = tmp_path / "tried"
    suite = Suite({"new": f"""python -c 'open("{tried}", "a").write("x"); input(); print("hello")'"""})
    for _ in range(30):
        with pytest.raises(AdapterFailed, match="new said 'hello"):
            suite.adapter("new")
    assert tried.read_text() == "x"
    assert suite.end() == {}


def test_one_that_crashes_is_started_again_and_one_that_hangs_is_given_up():
    suite = Suite({"new": shlex.join(["python", "-c", GOOD_START + "sys.stdin.readline(); time.sleep(600 * CRASHES)"])})
    crashing = suite.commands["new"].replace("600 * CRASHES", "0")
    hanging = suite.commands["new"].replace("600 * CRASHES", "600")
    for command, calls, told in [(crashing, 5, "ended with code 0"), (hanging, HANGS, "nor anything else")]:
        suite.commands["new"] = command
        for _ in range(calls):
            adapter = suite.adapter("new")
            adapter.patience = 0.2 if command is hanging else 20
            with pytest.raises(AdapterFailed, match=told if command is crashing else "not answered"):
                adapter.call("get", {})
    for _ in range(2):
        with pytest.raises(AdapterFailed, match="nor anything else; that was 3 times"):
            suite.adapter("new")

"""The runner itself: a wrong answer fails, and so does a case file that says
something else than it seems to."""

import copy

import case_files
import pytest
from case_files import BadCase, case
from errors import table, wrong_in
from matching import differences
from runner import Failed, Run
from suite import cases

ANSWER = {"kind": "hit", "text": "v", "tags": ["a", "b"], "age": 1.5, "reason": None, "n": 0}


@pytest.mark.parametrize(
    "expected",
    [
        {"kind": "miss"}, {"texts": "v"}, {"text": ""}, {"tags": ["a"]}, {"tags": ["b", "a"]}, {"tags": []},
        {"n": False}, {"n": "0"}, {"reason": ""}, {"age": {"$between": [2, 3]}}, {"gone": {"$between": [0, 9]}},
        {"text": {"$absent": True}}, {"reason": {"$present": True}}, {"gone": {"$present": True}},
        {"gone": {"$not": "x"}}, {"text": {"$not": "v"}}, {"text": {"$one_of": ["w", "x"]}},
        {"tags": {"$has": ["c"]}}, {"text": {"a": 1}},
        {"$one_of": [{"kind": "miss"}, {"text": "w"}]},
    ],
    ids=repr,
)  # fmt: skip
def test_what_differs_is_told(expected):
    assert differences(expected, ANSWER)


def test_what_is_as_expected_is_not():
    expected = {"tags": {"$has": ["b"]}, "age": {"$between": [1, 2]}, "reason": {"$absent": True}}
    assert differences(expected, ANSWER) == []
    assert differences({"tags": ["a", "b"], "kind": {"$not": "miss"}}, ANSWER) == []


def test_a_matcher_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError):
        differences({"text": {"$like": "v"}}, ANSWER)


GOOD = {"case": "c", "steps": [{"get": {"key": "k"}, "expect": {"kind": "miss"}}]}


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(stepz=[]),
        lambda c: c.update(needs=["wings"]),
        lambda c: c.update(needs=[]),
        lambda c: c.update(fleet="three"),
        lambda c: c.update(fleet={"pod": 1}),
        lambda c: c.update(clients={"a": {"strikt": True}}),
        lambda c: c["steps"][0].update(expects={}),
        lambda c: c["steps"][0]["get"].update(kee="k"),
        lambda c: c["steps"][0].pop("expect"),
        lambda c: c["steps"][0].update(error="X"),
        lambda c: c["steps"][0].update(set={"key": "k", "text": "v"}),
        lambda c: c["steps"][0].update(client="nobody"),
        lambda c: c["steps"].append({"kill": "pod 1"}),
        lambda c: c["steps"].append({"get": {"key": "k"}, "background": "b"}),
        lambda c: c["steps"].append({"get": {"key": "k"}, "times": 2}),
    ],
)
def test_a_case_that_says_what_it_must_not_is_an_error(change):
    case("s", copy.deepcopy(GOOD))
    bad = copy.deepcopy(GOOD)
    change(bad)
    with pytest.raises(BadCase):
        case("s", bad)


def test_a_key_that_stands_twice_is_an_error(tmp_path):
    (tmp_path / "s.yaml").write_text("- case: c\n  case: d\n  steps: []\n")
    with pytest.raises(BadCase):
        case_files.all_cases(tmp_path)


@pytest.mark.parametrize("reason", table())
def test_an_error_that_is_told_as_another_is_wrong(reason):
    row = table()[reason]
    good = {"kind": row["kind"], "reason": reason, "code": row["code"], "retry_after": 1 if row["retryable"] else None}
    assert wrong_in(good, reason, shows_codes=True) == []
    changes = {"kind": "answer", "reason": "X", "code": "X", "retry_after": None if row["retryable"] else 1}
    for name, value in changes.items():
        assert wrong_in({**good, name: value}, reason, shows_codes=True), name


def test_there_are_as_many_cases_as_are_promised():
    assert len(cases()) >= 120


@pytest.mark.parametrize("told", [{"position": None}, {}])
def test_what_is_to_be_saved_must_be_told(told):
    saving = case("s", {**GOOD, "steps": [{**GOOD["steps"][0], "save": {"p": "position"}}]})
    run, step = Run(saving, None, None, None), saving.steps[0]
    run._judge(step, step.beside, {"result": {"kind": "miss", "position": "1-5"}})
    with pytest.raises((Failed, KeyError)):
        run._judge(step, step.beside, {"result": {"kind": "miss", **told}})

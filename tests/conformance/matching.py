"""Whether an answer is what a case expects.

An expectation is a subset: an object names the fields it cares for, a list is
compared element by element, anything else for equality. What cannot be said in
full is a matcher: an object whose only key begins with `$`.
"""

from vocabulary import MATCHERS

#: In place of a field that the answer does not have.
ABSENT = object()


def differences(expected, actual, path="answer"):
    """Everything in which the answer is not as expected, in words."""
    if isinstance(expected, dict) and is_matcher(expected):
        ((name, operand),) = expected.items()
        return _matched(name, operand, actual, path)
    if actual is ABSENT:
        return [f"{path} is absent; expected {_short(expected)}"]
    if isinstance(expected, dict):
        return _fields(expected, actual, path)
    if isinstance(expected, list):
        return _elements(expected, actual, path)
    # In Python, true == 1.
    same = expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
    return [] if same else [f"{path} is {_short(actual)}; expected {_short(expected)}"]


def is_matcher(value):
    """Whether the object is a matcher; one with an unknown name raises."""
    names = [name for name in value if isinstance(name, str) and name.startswith("$")]
    if not names:
        return False
    if len(value) != 1 or names[0] not in MATCHERS:
        raise ValueError(f"{_short(value)} is no matcher; they are {sorted(MATCHERS)}")
    return True


def _fields(expected, actual, path):
    if not isinstance(actual, dict):
        return [f"{path} is {_short(actual)}; expected an object"]
    wrong = []
    for name, value in expected.items():
        wrong += differences(value, actual.get(name, ABSENT), f"{path}.{name}")
    return wrong


def _elements(expected, actual, path):
    if not isinstance(actual, list) or len(actual) != len(expected):
        return [f"{path} is {_short(actual)}; expected {len(expected)} elements: {_short(expected)}"]
    wrong = []
    for i, (one, other) in enumerate(zip(expected, actual)):
        wrong += differences(one, other, f"{path}[{i}]")
    return wrong


def _matched(name, operand, actual, path):
    there = actual is not ABSENT and actual is not None
    shown = "absent" if actual is ABSENT else _short(actual)
    good = {
        "$present": lambda: there and actual not in ("", [], {}),
        "$absent": lambda: not there,
        "$between": lambda: _is_number(actual) and operand[0] <= actual <= operand[1],
        "$not": lambda: there and bool(differences(operand, actual, path)),
        "$one_of": lambda: any(not differences(each, actual, path) for each in operand),
        "$has": lambda: isinstance(actual, list) and all(_is_in(each, actual) for each in operand),
    }[name]()
    return [] if good else [f"{path} is {shown}; expected {name} {_short(operand)}"]


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_in(expected, actual):
    return any(not differences(expected, each) for each in actual)


def _short(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}… ({len(text)} characters)"

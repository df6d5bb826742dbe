"""What stands for something else in a case: saved names, and values too long
or too many to be written out.

`$name` is what an earlier step saved; `$ns` is the case's own namespace. An
object whose only key is one of BUILDERS is built.
"""


def _repeat(of, times):
    return of * times


def _numbered(count, pattern):
    return [_with_number(pattern, str(i)) for i in range(count)]


def _with_number(pattern, number):
    if isinstance(pattern, str):
        return pattern.replace("#", number)
    if isinstance(pattern, dict):
        return {name: _with_number(value, number) for name, value in pattern.items()}
    return pattern


def _beyond(position, by):
    """A position that many records later. To SDKs positions are opaque; a case
    needs one that does not exist."""
    epoch, _, sequence = position.partition("-")
    return f"{epoch}-{int(sequence) + by}"


def _elsewhere(position):
    """A position of another epoch."""
    epoch, _, sequence = position.partition("-")
    return f"{int(epoch, 16) ^ 0xFF:0{len(epoch)}x}-{sequence}"


BUILDERS = {
    "repeat": _repeat,
    "numbered": _numbered,
    "beyond": _beyond,
    "elsewhere": _elsewhere,
}


def resolved(value, names):
    """The value with everything that stands for something else replaced."""
    if isinstance(value, str) and value.startswith("$"):
        if value[1:] not in names:
            raise KeyError(f"{value} was not saved by an earlier step")
        return names[value[1:]]
    if isinstance(value, list):
        return [resolved(each, names) for each in value]
    if isinstance(value, dict):
        if len(value) == 1:
            ((name, operands),) = value.items()
            if name in BUILDERS and isinstance(operands, list):
                return BUILDERS[name](*resolved(operands, names))
        return {name: resolved(each, names) for name, each in value.items()}
    return value


def found_at(answer, path):
    """What stands in the answer at a path like `results.0.version`."""
    for part in str(path).split("."):
        answer = answer[int(part)] if isinstance(answer, list) else answer[part]
    return answer

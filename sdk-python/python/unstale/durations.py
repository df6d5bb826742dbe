"""Durations as people write them: seconds, a timedelta, or text like "1h30m"."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Union

#: Seconds, a timedelta, or text: a number and ms, s, m, h or d, repeated.
Duration = Union[int, float, timedelta, str]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds(duration: Duration) -> float:
    """The duration in seconds; ValueError or TypeError with what is wrong."""
    if isinstance(duration, str):
        return _parsed(duration)
    if isinstance(duration, timedelta):
        value = duration.total_seconds()
    elif isinstance(duration, bool) or not isinstance(duration, (int, float)):
        raise TypeError(f"a duration is seconds, a timedelta or text, not {duration!r}")
    else:
        value = float(duration)
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"a duration is not negative and not endless, {duration!r} is")
    return value


def optional_seconds(duration: Duration | None) -> float | None:
    """`seconds`, where there may be none."""
    return None if duration is None else seconds(duration)


def _parsed(text: str) -> float:
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        raise ValueError(f'{text!r} is no duration; write it like "250ms", "5m" or "1h30m"')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)

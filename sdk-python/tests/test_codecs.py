"""Codecs: what comes back is what went in, or a clear no."""

import asyncio
import dataclasses
import enum
import json
import typing
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, Union
from uuid import UUID

import pydantic
import pytest

from unstale import AsyncCache, Busy, Cache, DecodeError, EncodeError, codecs, shapes
from unstale.codecs import UNHINTED, Codecs


class Rot13:
    """A codec that only its owner knows."""

    content_type = "text/rot13"

    def encode(self, value, hinted):
        return value["word"].translate({97: 110})

    def decode(self, data):
        return {"word": data.translate({110: 97})}


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: float


class Row(TypedDict):
    id: int
    when: datetime


@dataclasses.dataclass
class Address:
    street: str
    lines: tuple[str, ...] = ()


@dataclasses.dataclass
class Person:
    name: str
    address: Optional[Address]
    born: date
    tags: set[str]
    by_id: dict[int, Address]
    extra: Any = None


class Model(pydantic.BaseModel):
    id: UUID
    when: datetime
    inner: list["Model"] = []


class Url:
    """Of nothing that plain data carries."""


UserId = NewType("UserId", int)
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
PERSON = Person("Ada", Address("Rue", ("a", "b")), date(1815, 12, 10), {"x"}, {7: Address("s")}, {"k": [1]})
MODEL = Model(id=UUID(int=3), when=NOW, inner=[Model(id=UUID(int=4), when=NOW)])
ROUND_TRIPS = [
    (PERSON, Person),
    ([PERSON], list[Person]),
    ({"a": PERSON}, dict[str, Person]),
    (MODEL, Model),
    ([MODEL, None], list[Optional[Model]]),
    (NOW, datetime),
    (NOW.date(), date),
    (time(1, 2), time),
    (timedelta(seconds=1.5), timedelta),
    (Decimal("1.10"), Decimal),
    (UUID(int=1), UUID),
    (Colour.RED, Colour),
    (Point(1, 2.5), Point),
    ({"id": 1, "when": NOW}, Row),
    ((1, "a"), tuple[int, str]),
    ((1, 2), tuple[int, ...]),
    ({1, 2}, set[int]),
    (frozenset({"a"}), frozenset[str]),
    ({1: 2.0}, dict[int, float]),
    ({True: 1}, dict[bool, int]),
    ([b"\x00"], list[bytes]),
    (None, Optional[Person]),
    ("a", Union[int, str]),
    (3, int | None),
    (UserId(3), UserId),
    ([3], Sequence[Annotated[int, "x"]]),
    ("on", Literal["on", "off"]),
    ({"a": 1}, dict),
    ([1, "x"], list[Any]),
]


@pytest.fixture(params=["orjson", "json", "msgpack"])
def codec(request, monkeypatch):
    """Each codec in turn; JSON with and without orjson."""
    if request.param == "json":
        monkeypatch.setattr(codecs, "orjson", None)
    return Codecs("msgpack" if request.param == "msgpack" else "json")


@pytest.mark.parametrize("value, hint", ROUND_TRIPS, ids=lambda v: str(v)[:40])
def test_a_hinted_value_comes_back_as_it_was(codec, value, hint):
    data, content_type = codec.encode(value, hint)
    back = codec.decode(data, content_type, hint)
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize("value", [None, True, 7, -1.5, "é", "", [1, [2]], {"a": {"b": None}}, b"\xff", b""])
def test_plain_data_needs_no_hint(codec, value):
    back = codec.decode(*codec.encode(value, UNHINTED), UNHINTED)
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize("value", [PERSON, MODEL, NOW, Decimal(1), {1, 2}, object(), [NOW], timedelta(1), 1 << 70])
def test_what_would_come_back_as_something_else_is_refused(codec, value):
    with pytest.raises(EncodeError):
        codec.encode(value, UNHINTED)


def test_what_has_no_codec_is_refused_even_with_a_hint(codec):
    with pytest.raises(EncodeError, match="Url cannot be encoded"):
        codec.encode({"a": Url()}, dict)
    with pytest.raises(TypeError, match="Url cannot be built"):
        shapes.builder(list[Url])


def test_both_json_encoders_agree(monkeypatch):
    values = [PERSON, MODEL, float("nan"), [float("inf")], {1: NOW, "b": (Colour.RED, UUID(int=1))}, "\u2028é\x00", {"a": Decimal("1.0")}]
    fast = [json.loads(codecs.Json().encode([v], True)) for v in values]
    monkeypatch.setattr(codecs, "orjson", None)
    assert [json.loads(codecs.Json().encode([v], True)) for v in values] == fast
    for bad in ({1: 2}, {"a": {None: 1}}):
        with pytest.raises(EncodeError):
            Codecs().encode(bad, UNHINTED)
    monkeypatch.undo()
    with pytest.raises(EncodeError):
        Codecs().encode({1: 2}, UNHINTED)


@pytest.mark.parametrize(
    "value, hint",
    [("1", int), (1, str), (True, int), (1.5, int), ([1], dict), ({"a": 1}, list[int]), (["x"], list[int]),
     ({"name": "Ada"}, Person), (None, Person), ("soon", datetime), ("blue", Colour), ([1], Point),
     ({"id": 1}, Row), ([1, 2, 3], tuple[int, int]), ("x", Optional[int]), ("maybe", Literal["on"]),
     ({"id": 1}, Model), ("!", list[bytes]), (5, bytes), ({"a": 1}, dict[int, int])],
)  # fmt: skip
def test_what_is_of_another_type_is_not_decoded(codec, value, hint):
    data, content_type = codec.encode(value, UNHINTED)
    with pytest.raises(DecodeError):
        codec.decode(data, content_type, hint)


def test_newer_fields_are_left_out_and_defaults_fill_what_is_missing(codec):
    data, content_type = codec.encode({"street": "Rue", "number": 7}, UNHINTED)
    assert codec.decode(data, content_type, Address) == Address("Rue")


def test_a_type_may_hold_itself_wherever_it_is_defined(codec):
    @dataclasses.dataclass
    class Node:
        left: "Node | None" = None
        others: "list[Node]" = dataclasses.field(default_factory=list)

    tree = Node(Node(), [Node(), Node(Node())])
    assert codec.decode(*codec.encode(tree, Node), Node) == tree
    assert codec.decode(*codec.encode([tree], list[Node]), list[Node]) == [tree]


def test_a_reader_goes_by_the_content_type_not_by_its_own_codec(cache):
    packed = Cache(cache._made["endpoint"], namespace=cache._made["namespace"], codec="msgpack")
    packed.set("m", {"a": b"\x00"})
    cache.set("j", {"a": 1})
    assert cache.get("m") == {"a": b"\x00"} and packed.get("j") == {"a": 1}
    assert [packed.lookup(k).entry.content_type for k in "mj"] == ["application/msgpack", "application/json"]
    cache.set("t", "text"), cache.set("b", b"bytes")
    assert [cache.lookup(k).entry.content_type for k in "tb"] == ["text/plain; charset=utf-8", "application/octet-stream"]
    cache.set("p", PERSON, type=Person)
    assert cache.get("p", type=Person) == PERSON
    assert cache.get("p")["name"] == "Ada"


def test_what_another_codec_wrote_is_a_miss_and_is_mended(unstale_sidecar, unstale_namespace, caplog):
    place = dict(endpoint=unstale_sidecar.endpoint, namespace=unstale_namespace)
    writer, reader = Cache(**place, codec=Rot13()), Cache(**place)
    writer.set("k", {"word": "a"})
    assert writer.get("k") == Cache(**place, codecs=[Rot13()]).get("k") == {"word": "a"}
    assert reader.get("k", "default") == "default"
    assert not reader.lookup("k")
    assert reader.get_many(["k"]) == {}
    assert reader.counts.undecodable == 3
    with pytest.raises(DecodeError, match="no codec reads 'text/rot13'"):
        Cache(**place, strict=True).get("k")
    assert reader.get_or_set("k", lambda: {"word": "b"}) == {"word": "b"}
    assert reader.counts.undecodable == 4  # once, however often it was asked for
    assert reader.get("k") == {"word": "b"}
    warnings = [r.getMessage() for r in caplog.records if r.name == "unstale"]
    assert len(warnings) == 1 and "text/rot13" in warnings[0]


def test_what_cannot_be_encoded_is_given_and_not_cached(unstale_sidecar, unstale_namespace, caplog):
    cache = Cache(unstale_sidecar.endpoint, namespace=unstale_namespace)
    for _ in range(2):
        assert cache.get_or_set("k", lambda: PERSON) == PERSON
    assert not cache.lookup("k") and cache.counts.unencodable == 2
    assert "type hint" in caplog.text and "Ada" not in caplog.text
    strict = Cache(unstale_sidecar.endpoint, namespace=unstale_namespace, strict=True)
    with pytest.raises(EncodeError):
        strict.get_or_set("k", lambda: PERSON)
    # Neither keeps the lease.
    assert strict.get_or_set("k", lambda: "v", wait=5) == "v"


def test_a_value_that_is_too_large_is_given_and_not_cached(unstale_sidecar, unstale_namespace, caplog):
    cache = Cache(unstale_sidecar.endpoint, namespace=unstale_namespace, strict=True)
    large = "x" * (2 << 20)
    assert cache.get_or_set("k", lambda: large) == large
    assert "VALUE_TOO_LARGE" in caplog.text
    assert cache.get_or_set("k", lambda: "v", wait=5) == "v"


def test_text_of_a_shell_is_text_and_a_writer_without_codec_can_be_read(cache):
    cache._operations.client.set("k", "Ada", (None, None, None, None, [], None, "", [])).wait()
    assert cache.get("k") == cache.get("k", type=str) == "Ada"


def test_no_module_of_the_package_can_unpickle():
    import pathlib

    for source in pathlib.Path(codecs.__file__).parent.glob("*.py"):
        assert "import pickle" not in source.read_text(), source
    assert typing.get_type_hints(Person)["by_id"] == dict[int, Address]




@dataclasses.dataclass
class SubAddress(Address):
    floor: int = 0


@dataclasses.dataclass
class Wider:
    street: str
    lines: tuple[str, ...]
    city: str


class Stronger(Model):
    y: int = 0


class Shade(enum.Enum):
    BOTH = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    "value, hint",
    [
        ({"t": NOW}, dict[str, Any]),
        ({"t": Decimal(1)}, dict[str, Any]),
        ({"t": {1}}, dict[str, Any]),
        ({"t": (1,)}, dict[str, Any]),
        ([UUID(int=1)], list),
        (SubAddress("s", floor=5), Address),
        ([SubAddress("s")], list[Address]),
        (Stronger(id=UUID(int=1), when=NOW, y=3), Model),
        (UUID(int=1), Union[str, UUID]),
        (True, int),
        (None, str),
        (Shade.BOTH, Shade),
        ("red", Colour),
        ((1, 2), Sequence[int]),
        ({"id": 1, "when": NOW, "more": 1}, Row),
        (timedelta(days=400000, microseconds=1), timedelta),
        ([Level.LOW], UNHINTED),
        ({"a": UUID(int=1)}, UNHINTED),
    ],
    ids=str,
)
def test_what_would_not_come_back_is_refused_at_once(codec, value, hint):
    with pytest.raises(EncodeError):
        codec.encode(value, hint)


def test_keys_that_json_turns_into_text_are_refused():
    with pytest.raises(EncodeError):
        Codecs().encode({1: "a"}, dict)


@pytest.mark.parametrize(
    "value, hint",
    [
        (Wider("s", ("a",), "c"), Union[Address, Wider]),
        (Stronger(id=UUID(int=1), when=NOW, y=3), Union[Model, Stronger]),
        (1, Union[float, int]),
        (["abcd"], list[Union[bytes, str]]),
        ("abcd", Union[bytes, str]),
    ],
    ids=str,
)
def test_a_union_takes_what_fits_best(codec, value, hint):
    back = codec.decode(*codec.encode(value, hint), hint)
    assert back == value and type(back) is type(value)


def test_text_is_not_bytes(codec):
    for hint in [bytes, Optional[bytes]]:
        with pytest.raises(DecodeError):
            codec.decode(*codec.encode("abcd", UNHINTED), hint)


@pytest.mark.parametrize("value", ["x" * (2 << 20), PERSON], ids=["too large", "no form"])
def test_callers_of_a_value_that_cannot_be_stored_do_not_wait_in_line(
    unstale_sidecar, unstale_namespace, value
):
    place = {"endpoint": unstale_sidecar.endpoint, "namespace": unstale_namespace}
    cache, other = Cache(**place), Cache(**place)
    assert cache.get_or_set("k", lambda: value) == value
    with other.lease("k", wait=5, term="2m") as held:
        # Another process loads, and takes its time.
        assert held.granted
        for wait in [0, 20]:
            assert cache.get_or_set("k", lambda: value, wait=wait) == value
        # Those of another process do not know.
        with pytest.raises(Busy):
            Cache(**place).get_or_set("k", lambda: value, wait=0)


async def test_callers_who_cannot_decode_a_hit_share_one_load(unstale_sidecar, unstale_namespace):
    place = {"endpoint": unstale_sidecar.endpoint, "namespace": unstale_namespace}
    await AsyncCache(**place, codec=Rot13()).set("k", {"word": "a"})
    cache, loads = AsyncCache(**place), []

    async def load():
        loads.append(1)
        # Who found out waits for this load when the loop runs again.
        while cache.counts.undecodable < 8:
            await asyncio.sleep(0)
        return {"word": "b"}

    got = await asyncio.gather(*(cache.get_or_set("k", load) for _ in range(8)))
    assert (got, len(loads)) == ([{"word": "b"}] * 8, 1)
    assert await cache.get("k") == {"word": "b"}

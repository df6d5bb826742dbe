"""Reads the case files. Whatever is not a word of the vocabulary is an error,
so that no case is weaker than it looks.
"""

from dataclasses import dataclass, field
from pathlib import Path

import vocabulary as words
import yaml

HERE = Path(__file__).resolve().parent
CASES = HERE / "cases"


class BadCase(Exception):
    """A case file says what it must not."""


@dataclass
class Step:
    """One step: what it does, with what, and everything beside."""

    does: str
    args: object
    beside: dict


@dataclass
class Case:
    """One case."""

    subject: str
    name: str
    fleet: object
    clients: dict
    steps: list
    about: str = field(default="")
    #: Capabilities without which an SDK cannot pass.
    needs: frozenset = frozenset()

    @property
    def id(self):
        """Its name everywhere: subject and sentence."""
        return f"{self.subject}: {self.name}"


class _Loader(yaml.SafeLoader):
    """YAML in which a key may stand once."""


def _mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise BadCase(f"{node.start_mark}: twice: {sorted(map(str, twice))}")
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path):
    """A YAML file, its mappings without repeated keys."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)


def all_cases(folder=CASES):
    """Every case of every file."""
    cases = []
    for path in sorted(folder.glob("*.yaml")):
        cases += [case(path.stem, given) for given in read_yaml(path)]
    names = [each.id for each in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise BadCase(f"cases of one name: {sorted(twice)}")
    return cases


def case(subject, given):
    """One case, checked."""
    where = f"{subject}: {given.get('case')}"
    _only(given, words.CASE, where)
    fleet = given.get("fleet", "one")
    if isinstance(fleet, dict):
        _only(fleet, words.FLEET, where)
    elif fleet not in words.SHARED:
        raise BadCase(f"{where}: {fleet!r} is no fleet")
    clients = given.get("clients", {})
    for options in clients.values():
        _only(options, words.CLIENT, where)
        if options.get("endpoint", "nobody") not in words.ENDPOINTS:
            raise BadCase(f"{where}: {options['endpoint']!r} is no endpoint")
    needs = frozenset(given.get("needs", ()))
    if not needs <= words.CAPABILITIES or "needs" in given and not needs:
        raise BadCase(f"{where}: needs {given['needs']}; known: {sorted(words.CAPABILITIES)}")
    steps = [_step(each, where) for each in given["steps"]]
    _judges(steps, where)
    for step in steps:
        if isinstance(fleet, str) and step.does in ("pause", "kill", "terminate", "start", "resume"):
            raise BadCase(f"{where}: a case with faults needs a fleet of its own")
        name = step.beside.get("client", "main")
        if name != "main" and name not in clients:
            raise BadCase(f"{where}: there is no client {name!r}")
    return Case(subject, given["case"], fleet, clients, steps, given.get("about", ""), needs)


def _step(given, where):
    does = [word for word in given if word in words.CALLS or word in words.FAULTS]
    if len(does) != 1:
        raise BadCase(f"{where}: a step does one thing: {given}")
    (does,) = does
    args = given[does]
    beside = {word: value for word, value in given.items() if word != does}
    _only(beside, words.BESIDE, where)
    _arguments(does, args, where)
    if "expect" in beside and "error" in beside:
        raise BadCase(f"{where}: expect and error exclude each other: {given}")
    if "times" in beside and "background" not in beside:
        raise BadCase(f"{where}: times goes with background: {given}")
    if "background" in beside and {"expect", "error", "eventually", "save"} & set(beside):
        raise BadCase(f"{where}: what is expected of a background step stands at its join: {given}")
    return Step(does, args, beside)


def _arguments(does, args, where):
    if does in words.CALLS:
        _only(args or {}, words.CALLS[does], f"{where}: {does}")
        for item in (args or {}).get("items", []) if does == "set_many" else []:
            if isinstance(item, dict):
                _only(item, words.ITEM, f"{where}: {does}")
        if does == "get_or_load":
            _only(args["loader"], words.LOADER, f"{where}: loader")
    elif isinstance(words.FAULTS[does], set):
        _only(args, words.FAULTS[does], f"{where}: {does}")


def _judges(steps, where):
    """A case that expects nothing cannot fail."""
    if not any({"expect", "error"} & set(step.beside) for step in steps):
        raise BadCase(f"{where}: it expects nothing")
    begun = [step.beside["background"] for step in steps if "background" in step.beside]
    joined = [step.args for step in steps if step.does == "join"]
    if sorted(begun) != sorted(joined):
        raise BadCase(f"{where}: begun {begun}, joined {joined}")


def _only(given, known, where):
    if not isinstance(given, dict):
        raise BadCase(f"{where}: {given!r} is no mapping")
    unknown = set(given) - set(known)
    if unknown:
        raise BadCase(f"{where}: unknown: {sorted(map(str, unknown))}; known: {sorted(known)}")

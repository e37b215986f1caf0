"""The accounting systems that there are: every ``<key>.py`` in this folder, except those that begin with ``_``.

Nothing is listed anywhere: a file is an adapter when it holds one :class:`worker.contract.Adapter` whose key is the
file's name. It is imported when it is first asked for, so that a worker starts without any of them, and a broken one
breaks no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from importlib import import_module
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from worker.errors import UnknownAdapterError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from worker.contract import Adapter
    from worker.settings_schema import AdapterSettings

_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Adapters(Mapping[str, "Adapter"]):
    """A read-only map from key to adapter over the files of one folder; an adapter is made when it is looked up."""

    def __init__(self, folder: Path, package: str) -> None:
        self._folder, self._package = folder, package
        self._made: dict[str, Adapter] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def __contains__(self, key: object) -> bool:
        return key in self._made or key in self._keys()

    def __getitem__(self, key: str) -> Adapter:
        if key not in self._made:
            if key not in self._keys():
                raise KeyError(key)
            self._made[key] = self._only_adapter_of(key)()
        return self._made[key]

    def _keys(self) -> tuple[str, ...]:
        found = [path.stem for path in self._folder.iterdir() if self._may_be_adapter(path)]
        doubled = sorted({key for key in found if found.count(key) > 1})
        if doubled:
            raise TypeError(f"There are two adapters of the name {doubled[0]} in {self._folder}.")
        return tuple(sorted(found))

    @staticmethod
    def _may_be_adapter(path: Path) -> bool:
        is_module = path.suffix == ".py" or (path / "__init__.py").is_file()
        return is_module and _KEY.fullmatch(path.stem) is not None

    def _only_adapter_of(self, key: str) -> type[Adapter]:
        from worker.contract import Adapter

        module = import_module(f"{self._package}.{key}")
        here = [
            thing
            for thing in vars(module).values()
            if isinstance(thing, type) and issubclass(thing, Adapter) and thing.__module__ == module.__name__
        ]
        if [adapter.key for adapter in here] != [key]:
            raise TypeError(f"{module.__name__} must define exactly one adapter, and its key must be {key!r}.")
        return here[0]


ADAPTERS = Adapters(Path(__file__).parent, __name__)


def keys() -> tuple[str, ...]:
    """The keys of all adapters. Imports none of them."""
    return tuple(ADAPTERS)


def load(key: str) -> Adapter:
    """The adapter with this key. Raises UnknownAdapterError."""
    if key not in ADAPTERS:
        raise UnknownAdapterError(f"There is no adapter {key!r}; there are {', '.join(keys())}.")
    return ADAPTERS[key]


def read_settings(key: str, settings: Mapping[str, Any]) -> AdapterSettings:
    """The settings of an integration of this type, as the database holds them.

    Raises pydantic's ValidationError when they do not fit, which the database's own check should have prevented.
    """
    from worker.settings_schema import DISCRIMINATOR

    return load(key).settings_model.model_validate({**settings, DISCRIMINATOR: key})


@cache
def settings_union() -> TypeAdapter[AdapterSettings]:
    """The settings of every type there is, as one union discriminated by ``integration_type`` (requirement C9)."""
    from pydantic import Discriminator, Tag, TypeAdapter

    from worker.settings_schema import DISCRIMINATOR

    def type_of(settings: Any) -> Any:
        return settings.get(DISCRIMINATOR) if isinstance(settings, Mapping) else settings.integration_type

    tagged = [Annotated[adapter.settings_model, Tag(key)] for key, adapter in ADAPTERS.items()]
    union: Any = Annotated[reduce(or_, tagged), Discriminator(type_of)]
    return TypeAdapter(union)


def announcements() -> list[dict[str, Any]]:
    """What ``bilag migrate`` tells the database of each adapter, as JSON values."""
    return [_announcement(adapter) for adapter in ADAPTERS.values()]


def _announcement(adapter: Adapter) -> dict[str, Any]:
    from worker.settings_schema import json_schema

    can = adapter.capabilities
    return {
        "integrationType": adapter.key,
        "displayName": adapter.display_name,
        "settingsSchema": json_schema(adapter.settings_model),
        "vouchersPerBatch": can.vouchers_per_batch,
        "linesPerBatch": can.lines_per_batch,
        "parallelCalls": can.parallel_calls,
        "finds": can.finds,
        "confirmsLater": can.confirms_later,
        "needsCredential": can.needs_credential,
        "foreignCurrency": can.foreign_currency,
        "ownCurrencyWhen": dict(can.own_currency_when),
        "makesFile": can.makes_file,
        "absenceAfterSeconds": None if can.absence_after is None else can.absence_after.total_seconds(),
        "hosts": list(can.hosts),
        "identitySettings": list(can.identity_settings),
    }

"""Adapters are found by their files, made when they are asked for, and described for the database."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from worker import adapters
from worker.adapters import Adapters
from worker.errors import UnknownAdapterError

ADAPTER = """
from worker.contract import Adapter, Capabilities
class One(Adapter):
    key = "{key}"
    display_name = "One"
    capabilities = Capabilities(vouchers_per_batch=1, lines_per_batch=2)
    async def post(self, batch, call): return []
    async def find(self, batch, call): return []
    async def check(self, call): raise NotImplementedError
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty package ``some_adapters``."""
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "some_adapters"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in [name for name in sys.modules if name.startswith("some_adapters")]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    return package


def found(folder: Path) -> Adapters:
    return Adapters(folder, "some_adapters")


def test_an_adapter_is_a_file_and_its_name_is_its_key(folder: Path) -> None:
    (folder / "tripletex.py").write_text(ADAPTER.format(key="tripletex"))
    (folder / "_tripletex_wire.py").write_text("raise RuntimeError('a part of an adapter, not one')")
    (folder / "README.md").touch()
    assert list(found(folder)) == ["tripletex"]
    assert found(folder)["tripletex"].display_name == "One"


def test_an_adapter_that_does_not_load_breaks_no_other(folder: Path) -> None:
    (folder / "good.py").write_text(ADAPTER.format(key="good"))
    (folder / "broken.py").write_text("import nothing_of_that_name")
    assert len(found(folder)) == 2
    assert found(folder)["good"].key == "good"
    with pytest.raises(ModuleNotFoundError):
        found(folder)["broken"]


def test_an_adapter_is_made_once(folder: Path) -> None:
    (folder / "good.py").write_text(ADAPTER.format(key="good"))
    known = found(folder)
    assert known["good"] is known["good"]


@pytest.mark.parametrize(
    "text",
    ["", ADAPTER.format(key="other"), ADAPTER.format(key="one") + ADAPTER.format(key="one").replace("One", "Two")],
)
def test_a_file_that_is_not_exactly_one_adapter_is_refused(folder: Path, text: str) -> None:
    (folder / "one.py").write_text(text)
    with pytest.raises(TypeError, match="exactly one adapter"):
        found(folder)["one"]


def test_two_of_one_name_are_refused(folder: Path) -> None:
    (folder / "one.py").write_text(ADAPTER.format(key="one"))
    (folder / "one").mkdir()
    (folder / "one" / "__init__.py").write_text(ADAPTER.format(key="one"))
    with pytest.raises(TypeError, match="two adapters"):
        list(found(folder))


def test_the_map_is_read_only(folder: Path) -> None:
    assert not hasattr(found(folder), "__setitem__")
    with pytest.raises(KeyError):
        found(folder)["one"]


def test_an_unknown_key_is_told_in_a_sentence_with_the_known_ones() -> None:
    with pytest.raises(UnknownAdapterError, match=r"no adapter 'fax'; there are .*xledger"):
        adapters.load("fax")


def test_importing_the_adapters_imports_neither_them_nor_anything_heavy() -> None:
    program = "import sys, worker.adapters as a; a.keys(); print([m for m in sys.modules if m in {0}])"
    heavy = {"httpx", "pydantic", "tenacity", "worker.adapters.xledger"}
    told = subprocess.run(
        [sys.executable, "-c", program.format(heavy)], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert told.stdout.strip() == "[]"


def test_every_adapter_announces_itself_in_json() -> None:
    announced = json.loads(json.dumps(adapters.announcements()))
    assert [one["integrationType"] for one in announced] == list(adapters.keys())
    xledger = announced[adapters.keys().index("xledger")]
    assert xledger == {
        "integrationType": "xledger",
        "displayName": "Xledger",
        "settingsSchema": xledger["settingsSchema"],
        "vouchersPerBatch": 250,
        "linesPerBatch": 500,
        "parallelCalls": 1,
        "finds": True,
        "confirmsLater": True,
        "needsCredential": True,
        "foreignCurrency": False,
        "ownCurrencyWhen": {},
        "makesFile": False,
        "absenceAfterSeconds": 60,
        "hosts": ["www.xledger.net", "demo.xledger.net"],
        "identitySettings": ["base_url", "owner_code"],
    }


def test_settings_are_read_as_those_of_their_type() -> None:
    settings = adapters.read_settings("xledger", {"settlement_account": "2910"})
    assert (settings.integration_type, settings.currency) == ("xledger", "NOK")
    with pytest.raises(ValidationError, match="pst"):
        adapters.read_settings("xledger", {"settlement_account": "2910", "pst": 1})


def test_the_settings_of_all_types_are_one_union_told_apart_by_the_type() -> None:
    union = adapters.settings_union()
    read = union.validate_python({"integration_type": "xledger", "settlement_account": "2910"})
    assert type(read) is adapters.load("xledger").settings_model
    with pytest.raises(ValidationError, match="fax"):
        union.validate_python({"integration_type": "fax", "settlement_account": "2910"})

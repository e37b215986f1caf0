"""The seam between what every system has in common and what one of them is: nothing on this side names one of those."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from tests.sql.rooms import rooms
from worker import adapters
from worker.contract import Call

ROOT = Path(__file__).parents[1]
OURS = sorted(path for path in (ROOT / "worker").rglob("*.py") if path.parent.name != "adapters")
REGISTRY = ROOT / "worker" / "adapters" / "__init__.py"
SECRET = re.compile(r"(^|_)(secret|password|passphrase|credential|token|api_?key|private_?key)$")


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def words(path: Path) -> set[str]:
    """The string literals of a file, docstrings aside."""
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_there_is_something_to_look_at() -> None:
    assert {"exports.py", "poller.py", "service.py", "batches.py"} <= {path.name for path in OURS}
    assert {"xledger", "file"} <= set(adapters.keys())
    assert "worker.adapters._file_text.Misfit" in set(imported(ROOT / "worker" / "adapters" / "file.py"))


@pytest.mark.parametrize("path", [*OURS, REGISTRY], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_outside_an_adapter_imports_one_or_says_its_name(path: Path) -> None:
    found = [
        name for name in imported(path) if re.match(r"worker\.adapters\.(?!load$|keys$|announcements$)[a-z_]", name)
    ]
    assert [name for name in found if name.split(".")[2] not in vars(adapters)] == []
    # "file" is also a word: the key of a report, and of export_status.
    assert words(path) & set(adapters.keys()) <= {"file"}


@pytest.mark.parametrize("key", adapters.keys())
def test_no_room_decides_by_the_name_of_a_type(key: str) -> None:
    for name, text in rooms().items():
        code = re.sub(r"--.*", "", text)
        # A JSON key is no name: 'file', … in export_status, n.file ->> … in what a report says.
        assert not re.search(rf"integration_type\b[^;]{{0,20}}'{key}'", code), name
        if key != "file":
            assert f"'{key}'" not in code, name


@pytest.mark.parametrize("key", adapters.keys())
def test_each_announces_a_schema_and_what_it_can_do(key: str) -> None:
    (announced,) = [one for one in adapters.announcements() if one["integrationType"] == key]
    assert "settlement_account" in announced["settingsSchema"]["required"]
    assert announced["displayName"]
    assert announced["vouchersPerBatch"] > 0
    assert announced["makesFile"] or announced["hosts"], "what is called has hosts"
    assert announced["needsCredential"] != announced["makesFile"]


def properties(announced: dict[str, dict[str, dict[str, dict[str, object]]]]) -> dict[str, dict[str, object]]:
    return announced["settingsSchema"]["properties"]


@pytest.mark.parametrize("key", adapters.keys())
def test_no_setting_of_any_system_is_a_secret(key: str) -> None:
    (announced,) = [one for one in adapters.announcements() if one["integrationType"] == key]
    assert [name for name in properties(announced) if SECRET.search(name)] == []


def test_the_pattern_would_see_a_secret() -> None:
    for name in ("token", "api_key", "apikey", "client_secret", "password", "session_token"):
        assert SECRET.search(name)
    assert not SECRET.search("token_url")


def test_a_call_carries_no_secret_but_a_way_to_fetch_it() -> None:
    assert {field.name for field in fields(Call)} == {
        "org_id", "integration_type", "settings", "http", "credential", "correlation_id",
    }  # fmt: skip


def test_no_code_asks_which_environment_it_is_in() -> None:
    """Staging and production differ by configuration alone: the name of one is only ever compared with another's."""
    names = {"production", "staging", "development"}
    for path in OURS:
        if path.name != "settings.py":  # where the default stands
            assert not words(path) & names, path
    for name, text in rooms().items():
        assert not re.search(r"'(production|staging|development)'", re.sub(r"--.*", "", text)), name

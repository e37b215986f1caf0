"""An accounting system that nobody has heard of: the example of docs/adding-an-adapter.md, out of the page itself.

Its two files go into a copy of the tree, and nothing else is touched: no job, no room, no list.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from dev.fakes import serving
from dev.postgres import Server
from tests.fix_bilag import Organisation
from tests.fix_postgres import Database, numbers

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-an-adapter.md").read_text(encoding="utf-8")
CODE = re.compile(r"^## `(?P<path>[\w/.]+)`$.*?^```python$\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with Kassabok in it."""
    copy = tmp_path_factory.mktemp("tree")
    for folder in ("worker", "sql", "migrations", "dev", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    files = {match["path"]: match["text"] for match in CODE.finditer(PAGE)}
    assert list(files) == ["worker/adapters/kassabok.py", "tests/adapters/test_kassabok.py"]
    for path, text in files.items():
        (copy / path).write_text(text, encoding="utf-8")
    return copy


def run(tree: Path, *arguments: str, **environment: str) -> str:
    """What a program of the copy says. It must succeed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BILAG_", "DATABASE_URL"))}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=tree,
        env=inherited | {"PYTHONPATH": str(tree), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_the_page_passes_the_checks_and_keeps_the_contract(tree: Path) -> None:
    run(tree, "ruff", "check", "--no-cache", "worker/adapters/kassabok.py", "tests/adapters/test_kassabok.py")
    told = run(tree, "pytest", "-q", "-p", "no:cacheprovider", "tests/adapters/test_kassabok.py")
    passed = re.search(r"(\d+) passed", told)
    assert passed is not None
    assert int(passed[1]) > 40


def kassabok(tree: Path) -> Any:
    """The stand-in, from the test's own file."""
    spec = spec_from_file_location("kassabok_of_the_page", tree / "tests/adapters/test_kassabok.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.KassabokFake()


def test_it_is_migrated_connected_and_exported_to_like_any_other(tree: Path, server: Server) -> None:
    name = f"test_{next(numbers)}"
    dsn = server.create_database(name)
    database = Database(server, dsn)
    try:
        run(tree, "worker", "migrate", "--dsn", dsn)
        with serving(kassabok(tree)) as fake:
            org = Organisation(database, "Testlaget", "Europe/Oslo")
            database.sql("select bilag.allow_host('kassabok', '127.0.0.1')")
            org.integration("kassabok", {"base_url": fake.url})
            database.sql("select bilag.set_integration_credential(%s, 'kassabok', 'key-of-kassabok')", org.id)
            org.map("Taxi", "7140", "kassabok")
            org.approve(250)
            asked = org.request(kind="kassabok")
            here = {"DATABASE_URL": dsn, "BILAG_ALLOWED_HTTP_HOSTS": "127.0.0.1", "BILAG_HTTP_PORT": "0"}
            run(tree, "worker", "worker", "--drain", **here)
            assert org.status(asked)["status"] == "succeeded"
            booked = fake.ledger.by_reference()
            references = {r for (r,) in database.sql("select reference from bilag.export_items")}
            assert (booked.keys(), fake.ledger.doubled()) == (references, {})
            assert len(booked) == 250
            assert fake.calls["write"] == 3, "a hundred at a time, as it announced"
    finally:
        database.close()
        server.drop_database(name)

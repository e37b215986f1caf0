"""What is installed is what was locked, and it finds its migrations without a checkout around it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-worker.lock")


def locked(name: str) -> dict[str, str]:
    """Package to version, as a lock file pins them."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_by_hash_and_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    entries = re.split(r"\n(?=[a-z0-9])", text)
    assert len(entries) == len(locked(lock))
    assert all("--hash=sha256:" in entry for entry in entries)


def test_production_runs_what_was_tested() -> None:
    everything, production = (locked(lock) for lock in LOCKS)
    assert production.items() <= everything.items()
    assert "pytest" not in production


def test_everything_that_is_asked_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    for wanted, lock in ((project["dependencies"], LOCKS[1]), (project["dependencies"] + extras, LOCKS[0])):
        assert {re.split(r"[\[><=]", name)[0].strip() for name in wanted} <= set(locked(lock))


def test_the_wheel_carries_every_migration_and_every_room_and_nothing_of_development(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("migrations", "sql"):
        carried = {Path(name).name for name in names if f"/share/bilag/{folder}/" in name}
        assert carried >= {path.name for path in (ROOT / folder).glob("*.sql")}
    for path in (ROOT / "worker").rglob("*.sql"):
        assert path.relative_to(ROOT).as_posix() in names
    assert not [name for name in names if name.startswith(("dev/", "tests/"))]


def test_an_installed_bilag_finds_its_migrations(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    found = subprocess.run(
        [python, "-c", "from worker.places import MIGRATIONS, SQL; print(MIGRATIONS, SQL, sep='\\n')"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    for folder, name in zip(found.stdout.split("\n"), ("migrations", "sql"), strict=False):
        assert Path(folder).is_relative_to(tmp_path)
        assert {path.name for path in Path(folder).glob("*.sql")} == {path.name for path in (ROOT / name).glob("*.sql")}

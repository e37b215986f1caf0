"""What docker-compose.yml, the Dockerfile and CI name exists in the project: they are tried too rarely to notice."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from dev.stack import ACCOUNTING_PORT, WORKER_PORT

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
CI = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
STAGES = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("bilag-")]
VARIABLE = r"(?:BILAG_[A-Z_]+|DATABASE_URL(?:_FILE)?)"


def environment(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}


def documented() -> dict[str, str]:
    """The variables of .env.example, those left at their default among them."""
    return dict(re.findall(rf"^#?({VARIABLE})=(.*)$", EXAMPLE, re.MULTILINE))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def requires_python() -> tuple[int, ...]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return tuple(int(part) for part in project["requires-python"].removeprefix(">=").split("."))


def test_postgres_is_no_image_that_crashes_when_execute_is_denied() -> None:
    tag = SERVICES["postgres"]["image"].removeprefix("supabase/postgres:")
    assert tuple(int(part) for part in tag.split(".")) >= (17, 6, 1, 121)


def test_every_image_of_ours_is_built_here_by_a_stage_that_exists() -> None:
    built = {service["image"]: service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert {SERVICES[name]["image"] for name in OURS} == set(built)
    assert set(built.values()) <= set(STAGES)


@pytest.mark.parametrize("service", [name for name in OURS if SERVICES[name]["image"] == "bilag-worker"])
def test_the_worker_knows_the_command(service: str) -> None:
    asked = run("-m", "worker", *SERVICES[service]["command"], "--help")
    assert asked.returncode == 0, asked.stderr


def test_the_fakes_know_their_arguments() -> None:
    python, *arguments = SERVICES["accounting"]["command"]
    assert python == "python"
    asked = run(*arguments, "--help")
    assert asked.returncode == 0, asked.stderr
    assert f"EXPOSE {ACCOUNTING_PORT}" in DOCKERFILE
    assert arguments[-2:] == ["--port", str(ACCOUNTING_PORT)]


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_one_that_the_worker_reads(service: str) -> None:
    settings = (ROOT / "worker" / "settings.py").read_text(encoding="utf-8")
    for name in environment(service):
        assert f'"{name}"' in settings


def test_every_variable_that_is_read_is_documented_and_the_other_way_round() -> None:
    sources = [*(ROOT / "worker").rglob("*.py"), *(ROOT / "dev" / "postgres").glob("*.py")]
    texts = [COMPOSE, *(path.read_text(encoding="utf-8") for path in sources)]
    read = {
        name for text in texts for name in re.findall(rf"\"({VARIABLE})\"|\$\{{({VARIABLE})", text) for name in name
    }
    assert read - {""} == set(documented())


def test_what_replaces_the_variables_of_before_is_said() -> None:
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "VAULT_SECRET_NAME"):
        assert re.search(rf"^#   {name} +is ", EXAMPLE, re.MULTILINE)


def test_every_host_that_is_named_is_a_service() -> None:
    urls = [value for name in SERVICES for value in environment(name).values() if "://" in value]
    assert urls
    assert {urlsplit(url).hostname for url in urls} <= set(SERVICES)
    assert set(environment("worker")["BILAG_ALLOWED_HTTP_HOSTS"].split(",")) <= set(SERVICES)


def test_every_port_is_on_this_machine_alone_with_a_documented_default() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    for port in published:
        named = re.fullmatch(r"127\.0\.0\.1:\$\{(\w+):-(\d+)\}:\d+", port)
        assert named is not None, port
        assert documented()[named[1]] == named[2]
    assert (
        f"127.0.0.1:${{BILAG_COMPOSE_WORKER_PORT:-{WORKER_PORT}}}:{environment('worker')['BILAG_HTTP_PORT']}"
        in published
    )


def test_whoever_runs_on_is_watched_and_whoever_runs_once_is_waited_for() -> None:
    waited_for = {
        dependency: how["condition"]
        for service in SERVICES.values()
        for dependency, how in service.get("depends_on", {}).items()
    }
    assert set(waited_for) <= set(SERVICES)
    for name, service in SERVICES.items():
        if service["restart"] == "no":
            assert waited_for[name] == "service_completed_successfully"
        else:
            in_image = service["image"] == "bilag-worker" and "HEALTHCHECK" in DOCKERFILE
            assert in_image or "test" in service["healthcheck"]
            assert waited_for.get(name, "service_healthy") == "service_healthy"


def test_postgrest_shows_the_face_and_not_the_machinery() -> None:
    assert environment("rest")["PGRST_DB_SCHEMAS"] == "bilag"


def test_the_images_copy_what_exists_and_docker_is_let_see_it() -> None:
    seen = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    copied = [
        words for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for words in line.split()[:-1]
    ]
    assert copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert any(fnmatch.fnmatch(path, pattern) for pattern in seen), path


def test_the_image_runs_as_nobody_special_on_a_python_that_will_do() -> None:
    for stage in DOCKERFILE.split("\nFROM ")[1:]:
        if "\nCMD" in stage:
            assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", stage, re.MULTILINE)
    python = re.search(r"^ARG PYTHON=([\d.]+)$", DOCKERFILE, re.MULTILINE)
    assert python is not None
    assert tuple(int(part) for part in python[1].split(".")) >= requires_python()


def test_the_image_is_asked_for_a_page_that_the_worker_serves() -> None:
    asked = re.search(r"\'(/\w+)\', timeout", DOCKERFILE)
    assert asked is not None
    assert f'"{asked[1]}"' in (ROOT / "worker" / "status_http.py").read_text(encoding="utf-8")


def test_ci_runs_the_same_command_on_every_postgres_that_is_supported() -> None:
    jobs = yaml.safe_load(CI)["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["postgres"] == [15, 16, 17]
    assert {"run": ".ci/run"} in jobs["test"]["steps"]
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_ci_deploys_after_the_smoke_test_by_what_changed_in_places_that_exist() -> None:
    jobs = yaml.safe_load(CI)["jobs"]
    deployments = [job for name, job in jobs.items() if name.startswith("deploy")]
    assert deployments
    for job in deployments:
        assert {"test", "smoke", "changes"} <= set(job["needs"])
        assert "secrets." in str(job["steps"])
    compared = re.findall(r"\$\(changed ([^)]+)\)", CI)
    assert len(compared) == len(deployments)
    for path in " ".join(compared).split():
        assert (ROOT / path).exists(), path

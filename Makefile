# Every target installs what it needs: the locked dependencies into .venv, and a Postgres by dev/postgres.

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo test lint bench chaos up down lock
.DEFAULT_GOAL := help

help:
	@echo 'make demo   export sample claims to stand-in accounting systems, and check what they booked'
	@echo 'make test   every check and every test, against a real Postgres'
	@echo 'make lint   the checks alone: ruff, mypy, import law'
	@echo 'make up     keep a local stack running; make down takes it away'
	@echo 'make bench  the benchmark table        make chaos  the long chaos run'
	@echo 'make lock   renew the lock files from pyproject.toml'

.venv/installed: requirements.lock dev/venv.sh
	@dev/venv.sh

demo: .venv/installed
	@python -m dev.demo

test: lint
	pytest --cov --cov-report=term
	@python -m dev.branches

lint: .venv/installed
	ruff check
	ruff format --check
	mypy
	lint-imports

bench: .venv/installed
	@python -m benchmarks

chaos: .venv/installed
	BILAG_CHAOS=long pytest -s tests/chaos

up down: .venv/installed
	@python -m dev $@

# The worker's image gets the same versions, without the tools of development.
lock:
	uv pip compile pyproject.toml -q --universal --generate-hashes --no-header --upgrade --all-extras -o requirements.lock
	uv pip compile pyproject.toml -q --universal --generate-hashes --no-header -c requirements.lock -o requirements-worker.lock

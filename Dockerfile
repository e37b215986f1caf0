# Two images. `worker` is what production runs: bilag alone, from its own lock. `development` has everything that
# requirements.lock names; it builds the wheel, and runs the stand-in accounting systems of docker-compose.yml.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS development
ENV PATH=/opt/development/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
RUN python -m venv /opt/development
WORKDIR /bilag
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml LICENSE ./
COPY worker worker
COPY dev dev
COPY migrations migrations
COPY sql sql
RUN pip wheel --no-build-isolation --no-deps --wheel-dir /wheel .
USER 10001:10001
EXPOSE 8770
CMD ["python", "-m", "dev.fakes", "--host", "0.0.0.0"]

FROM python:${PYTHON}-slim AS installed
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The system's pip fills an environment that has no pip of its own: production installs nothing.
RUN python -m venv --without-pip /opt/bilag
COPY requirements-worker.lock ./
RUN pip --python /opt/bilag install --require-hashes -r requirements-worker.lock
COPY --from=development /wheel /wheel
RUN pip --python /opt/bilag install --no-deps /wheel/*.whl

FROM python:${PYTHON}-slim AS worker
ENV PATH=/opt/bilag/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=installed /opt/bilag /opt/bilag
USER 10001:10001
WORKDIR /tmp
EXPOSE 9464
# /livez: a worker that waits for its database is alive, and must not be restarted for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + (os.environ.get('BILAG_HTTP_PORT') or '9464') + '/livez', timeout=3)"]
ENTRYPOINT ["bilag"]
CMD ["worker"]

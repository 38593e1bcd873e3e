# xumx serve in a container: make container, or
#
#     docker build --tag xumx_jax .
#     docker run --rm --publish 127.0.0.1:8000:8000 --env XUMX_TOKEN=... --volume xumx-data:/data \
#         --volume xumx-cache:/cache --read-only --tmpfs /tmp xumx_jax
#
# EXTRAS=web,cuda12 has JAX for Nvidia's GPUs, whose wheels bring the libraries of CUDA, so any Python
# is base enough; add --gpus all and --device gpu, which ends the program where no GPU is seen.
# Weights are not in the image: they are downloaded into /cache, once.
ARG BASE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE} AS build
ARG EXTRAS=web
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY pyproject.toml setup.py constraints.txt README.md LICENSE train.py ./
COPY xumx_jax xumx_jax
COPY configs configs
COPY pipelines pipelines
RUN python3 -m venv /opt/xumx \
    && /opt/xumx/bin/pip install --constraint constraints.txt ".[${EXTRAS}]" \
    && /opt/xumx/bin/python -m compileall -q /opt/xumx/lib

# hadolint ignore=DL3006
FROM ${BASE}
RUN useradd --uid 10001 --create-home --home-dir /home/xumx --shell /usr/sbin/nologin xumx \
    && install --directory --owner xumx --group xumx --mode 700 /data /cache
COPY --from=build /opt/xumx /opt/xumx
ENV PATH=/opt/xumx/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XUMX_CACHE=/cache
USER 10001
WORKDIR /data
VOLUME ["/data", "/cache"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "from urllib.request import urlopen as ask; ask('http://127.0.0.1:8000/healthz', timeout=4)"]
# 0.0.0.0 is the container's: what is published of it is up to who runs it. It needs XUMX_TOKEN.
ENTRYPOINT ["xumx", "serve", "--host", "0.0.0.0", "--port", "8000", "--data", "/data"]

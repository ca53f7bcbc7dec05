# The command: docker build -t mafdn . && \
#              docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" mafdn upscale /work/in -o /work/out
# The server:  docker build -t mafdn-serve --target serve . (docs/packages.md)
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE CHANGELOG.md CITATION.cff ./
COPY src src
COPY weights weights
COPY shared-data shared-data
RUN python3 -m venv /opt/mafdn && /opt/mafdn/bin/pip install --no-cache-dir ".[web,formats,heic]"

FROM ${BASE} AS command
LABEL org.opencontainers.image.title="mafdn" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/mafdn /opt/mafdn
# buildah leaves WORKDIR to the runtime.
RUN mkdir -p /work
ENV PATH=/opt/mafdn/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/tmp MAFDN_CACHE=/tmp/mafdn-cache
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["mafdn"]
CMD ["--help"]

FROM command AS serve
EXPOSE 8484
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
  ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8484/readyz', timeout=4)"]
CMD ["serve", "--host", "0.0.0.0", "--no-browser"]

# Built unless another target is named.
FROM command

# Two images from one file: `--target operator` and `--target sidecar`.
#
# Everything Python comes as wheels from the folder wheels/ (made by `make wheels`), so that a build
# needs no package index, and with another BASE no image registry either. BASE must have Python of
# the version the wheels were made for.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS wheels
COPY wheels/ /wheels/
# pip runs out of its own wheel: a base without pip will do, and none stays in the result.
ENV PIP="python3 -m pip install --quiet --no-cache-dir --no-index --find-links /wheels --root-user-action ignore --target /opt/sidelight/lib"

FROM wheels AS operator-build
RUN PYTHONPATH=$(echo /wheels/pip-*.whl) $PIP "sidelight[operator]" && \
    mkdir /opt/sidelight/bin && cd /opt/sidelight/lib/bin && \
    mv sidelight sidelight-operator /opt/sidelight/bin/ && rm -r /opt/sidelight/lib/bin && \
    sed -i '1s|.*|#!/usr/bin/env python3|' /opt/sidelight/bin/*

FROM wheels AS sidecar-build
RUN PYTHONPATH=$(echo /wheels/pip-*.whl) $PIP "sidelight[sidecar]" && \
    mkdir /opt/sidelight/bin && cd /opt/sidelight/lib/bin && \
    mv sidelight-sidecar /opt/sidelight/bin/ && rm -r /opt/sidelight/lib/bin && \
    sed -i '1s|.*|#!/usr/bin/env python3|' /opt/sidelight/bin/*

FROM ${BASE} AS base
# USER: kopf asks who it is, and the user below has no name (nor has the one a platform may choose).
ENV USER=sidelight \
    PATH=/opt/sidelight/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/sidelight/lib \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.licenses="Apache-2.0"

FROM base AS operator
COPY --from=operator-build /opt/sidelight /opt/sidelight
USER 65532:65532
ENTRYPOINT ["sidelight-operator"]

FROM base AS sidecar
# The redirect's init container writes nftables rules with it; nothing else does.
RUN command -v nft >/dev/null || { apt-get update && \
    apt-get install --yes --no-install-recommends nftables && rm -rf /var/lib/apt/lists/*; }
COPY --from=sidecar-build /opt/sidelight /opt/sidelight
USER 65532:65532
ENTRYPOINT ["sidelight-sidecar"]

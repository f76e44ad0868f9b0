# The command line with its pinned packages, for clusters and clouds: `docker build --tag intermamba .`
# apptainer.def is the same image; tests/test_containers.py compares both with the Makefile.
FROM python:3.11-slim-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/intermamba
COPY . .
RUN make install EXTRAS=cloud,slurm

FROM python:3.11-slim-bookworm
# Snakemake sends the files of a study to its jobs as git lists them.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 intermamba \
    && install --directory --owner=intermamba /study
COPY --from=build /opt/intermamba /opt/intermamba
ENV PATH=/opt/intermamba/.venv/bin:$PATH
USER 1000
WORKDIR /study
CMD ["intermamba", "--help"]

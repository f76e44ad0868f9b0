"""Every dependency's licence is one that was looked at: whoever adds a package reads its licence first."""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement

PERMISSIVE = {
    "0BSD", "Apache 2.0 License", "Apache License 2.0", "Apache Software License", "Apache-2.0", "BSD", "BSD License",
    "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "DFSG approved", "ISC", "ISC License (ISCL)",
    "LLVM-exception", "MIT", "MIT License", "MIT-0", "MIT-CMU", "PSF-2.0", "Public Domain",
    "3-Clause BSD License", "Python Software Foundation License", "Zlib", "Zope Public License", "zlib/libpng License",
}  # fmt: skip
"""Names of licences that ask for no more than a notice, as packages write them."""
FILES_ONLY = {"MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"}
"""Changes to their own files stay open; nothing is asked of who imports them."""
OF_PYTORCH = {"LicenseRef-NVIDIA-Proprietary", "NVIDIA Proprietary Software"}
"""CUDA's libraries, which PyTorch's wheels for Linux depend on."""
READ = {
    "conda-inject": "MIT", "cuda-toolkit": "NVIDIA Proprietary Software", "snakemake-interface-common": "MIT",
    "snakemake-interface-logger-plugins": "MIT", "snakemake-interface-report-plugins": "MIT",
    "snakemake-interface-scheduler-plugins": "MIT", "snakemake-interface-storage-plugins": "MIT",
}  # fmt: skip
"""Licences of packages that name none in their metadata, from their files (cuda-toolkit holds nothing)."""
LOOKED_AT = {"docutils": "public domain and BSD; of its parts an Emacs mode alone is under the GPL"}
OF_EXTRAS = {
    "asyncssh": "EPL-2.0 or GPL-2.0-or-later", "dulwich": "Apache-2.0 or GPL-2.0-or-later",
    "grandalf": "EPL-1.0 or GPL-2.0", "pygit2": "GPL-2.0, linking allowed",
}  # fmt: skip
"""Packages that DVC needs, which is an extra: nobody who installs this project gets them."""


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(*extras: str) -> Iterator[Distribution]:
    """The project's installed dependencies, and theirs."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    left: list[tuple[str, tuple[str, ...]]] = [("intermamba", extras)]
    while left:
        name, wanted = left.pop()
        if (key := (normalised(name), wanted)) in seen:
            continue
        seen.add(key)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # of another platform
            continue
        yield found
        left += [
            (asked.name, tuple(sorted(asked.extras)))
            for asked in map(Requirement, found.requires or ())
            if asked.marker is None or any(asked.marker.evaluate({"extra": extra}) for extra in (*wanted, ""))
        ]


def licences(package: Distribution) -> set[str]:
    """The single licences in what a package states; ``OR`` offers a choice, but all its parts are looked at."""
    about = package.metadata
    classified = [text.rpartition("::")[2].strip() for text in about.get_all("Classifier", []) if "License ::" in text]
    stated = about.get("License-Expression") or "; ".join(classified) or about.get("License") or ""
    stated = stated if stated not in ("", "OSI Approved") else READ.get(normalised(about["Name"]), "")
    parts = re.split(r"; | AND | OR | WITH ", stated)
    # Brackets belong to names such as "ISC License (ISCL)", or else to the expression.
    return {part if part.count("(") == part.count(")") else part.strip("()") for part in parts}


@pytest.mark.parametrize(
    ("extras", "known"), [((), LOOKED_AT), (("dev", "bench"), LOOKED_AT | OF_EXTRAS)], ids=["installed", "with extras"]
)
def test_licences_are_known(extras: tuple[str, ...], known: Mapping[str, str]) -> None:
    allowed = PERMISSIVE | FILES_ONLY | OF_PYTORCH
    packages = {normalised(package.name): licences(package) for package in needed(*extras)}
    assert len(packages) > 50
    unknown = {name: found - allowed for name, found in packages.items() if not found <= allowed and name not in known}
    assert not unknown, f"read these licences, then add them here or do without the package: {unknown}"

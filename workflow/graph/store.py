"""A pipeline whose data and results are in an object store, through Snakemake's storage plugins.

Snakemake copies a job's inputs from the store to a local folder before it runs, and its outputs to the store after it.
Stages know only paths of the working tree, so these become links to that folder. Checkpoints of trainings and the raw
files of embedded data are not in the store; they stay in the local folder.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from intermamba import files, provenance
from intermamba.config import Config
from intermamba.errors import StateError, brief
from intermamba.job import Job, values
from intermamba.paths import path as path_of

REPORTED = path_of("newer_methods").parent
"""The paper's transcribed numbers: files of every working tree in the folder of the results of a profile."""


def folders(profile: str) -> tuple[Path, Path]:
    """Folders of everything that the stages of a profile write."""
    return Path("data", profile), Path("results", profile)


def stored(profile: str, path: Path) -> bool:
    """Whether a file of a profile is in the store, if there is one."""
    return any(path.is_relative_to(folder) for folder in folders(profile)) and not path.is_relative_to(REPORTED)


def sources(profile: str, reads: Iterable[Path]) -> str:
    """A hash of those inputs of a job, files or folders, that are in the working tree, by their contents."""
    here = sorted(path for path in reads if path.exists() and not stored(profile, path))
    return hashlib.sha256("".join(map(files.sha256, here)).encode()).hexdigest()[:12]


def use(workflow: Any, profile: str) -> None:
    """Prepare the working tree for the storage of a Snakemake ``workflow``, or for none.

    Raises:
        StateError: the store does not answer, or the working tree holds results without it.
    """
    store = workflow.storage_registry.default_storage_provider
    if store is None:
        refuse_links(profile)
        return
    prefix = workflow.storage_settings.default_storage_prefix
    if workflow.storage_settings.default_storage_provider == "s3" and workflow.is_main_process:
        place = urlsplit(prefix)
        if place.scheme != "s3" or not place.netloc:
            raise StateError(
                f"--default-storage-prefix {prefix!r} must be the place of the results, s3://BUCKET/FOLDER."
            )
        reach(store.s3c.meta.client, place.netloc)
    link(profile, lambda path: store.object(f"{prefix}/{path}").local_path())


def deliver(workflow: Any, config: Config, jobs: Iterable[Job]) -> list[Job]:
    """Put into the store what an earlier run computed here, and could not put there; returns these jobs.

    A job is delivered if its record is here and not in the store, its files are those of the record, and its knobs are
    still the same.
    """
    from workflow.graph.validate import problems

    store, prefix = workflow.storage_registry.default_storage_provider, workflow.storage_settings.default_storage_prefix

    def remote(path: Path) -> Any:
        return store.object(f"{prefix}/{path}")

    delivered = []
    for job in jobs:
        if not all(path.is_file() for path in job.writes) or remote(job.record).exists():
            continue
        record = provenance.read(job.record)
        if record["config"] == values(config, job.knobs) and not any(problems(job, record, files.sha256)):
            for path in (*job.outputs.values(), job.record):  # the record last: without it the job counts as not run
                workflow.async_run(remote(path).managed_store())
            delivered.append(job)
    return delivered


def link(profile: str, local: Callable[[str], Path]) -> None:
    """Make the folders of a profile links to where its files are when they are not in the store.

    The paper's transcribed numbers go along.

    Args:
        profile: the profile.
        local: from a path of the working tree to that of its local copy.

    Raises:
        StateError: a folder of the working tree holds files, or is a link to elsewhere.
    """
    for folder in folders(profile):
        target = local(str(folder)).absolute()
        target.mkdir(parents=True, exist_ok=True)
        if folder.is_symlink() and folder.resolve() == target.resolve():
            continue
        if folder.is_symlink() or (folder.exists() and set(folder.iterdir()) - {REPORTED}):
            raise StateError(
                f"{folder} holds files of this working tree, and a run with storage keeps its own in {target}. Start "
                "it in a folder without results (`intermamba init FOLDER`), or without --default-storage-provider."
            )
        folder.mkdir(parents=True, exist_ok=True)
        for numbers in folder.iterdir():
            shutil.copytree(numbers, target / numbers.name, dirs_exist_ok=True)
            shutil.rmtree(numbers)
        folder.rmdir()
        folder.symlink_to(target)


def refuse_links(profile: str) -> None:
    """Refuse a run without storage on the links of one with it.

    Raises:
        StateError: a folder of the profile is such a link.
    """
    for folder in folders(profile):
        if folder.is_symlink():
            raise StateError(
                f"{folder} belongs to a run with storage ({folder.readlink()}). Give --workflow-profile profiles/s3 "
                "again, or remove the link and start over without it."
            )


def reach(client: Any, bucket: str) -> None:
    """Check that an S3 store answers before Snakemake asks it: it takes a store that does not for an empty one.

    A bucket that does not exist yet is not an error: it is created with the first output.

    Args:
        client: boto3's.
        bucket: name of the bucket.

    Raises:
        StateError: the store is unreachable, or refuses the credentials.
    """
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    place = f"s3://{bucket} at {client.meta.endpoint_url}"
    try:
        client.head_bucket(Bucket=bucket)
    except NoCredentialsError as error:
        raise StateError(f"{place}: no credentials. {KEYS}") from error
    except ClientError as error:
        code = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == 404:
            return
        if code in (400, 401, 403):
            raise StateError(
                f"{place}: the store refuses the credentials or the bucket (HTTP {code}). {KEYS}"
            ) from error
        raise StateError(f"{place}: the store answers with an error (HTTP {code}). Try again later.") from error
    except BotoCoreError as error:
        raise StateError(
            f"{place}: the store does not answer ({brief(error)}). Check its address and the network."
        ) from error


KEYS = (
    "Set SNAKEMAKE_STORAGE_S3_ACCESS_KEY and SNAKEMAKE_STORAGE_S3_SECRET_KEY, or the usual files of AWS, and check "
    "who may use the bucket."
)

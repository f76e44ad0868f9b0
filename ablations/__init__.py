"""The rows of the tables, the paper's and our own: one YAML file a variant, a short difference from a base model.

To add a row, add a file here and its name under ``runs`` in params.yaml. Another package adds rows with an entry point
of group ``intermamba.variants`` of its own.
"""

from pathlib import Path

from intermamba.errors import ConfigError
from intermamba.methods.variant import Variant
from intermamba.reading.documents import checked, read_yaml

FOLDER = Path(__file__).parent
OWN = Path("ablations")
"""Folder of further variants, beside the params.yaml of the working directory."""


def load() -> dict[str, Variant]:
    """Every variant of this package and of the working directory, by name; of one name, the working directory's.

    Raises:
        ConfigError: as :func:`read`.
    """
    return read(FOLDER) | read(OWN)


def read(folder: Path) -> dict[str, Variant]:
    """Every variant of ``folder``, by name.

    Raises:
        ConfigError: a file that is no valid variant, or whose ``name`` is not its own; the message names the file.
    """
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        written = read_yaml(path)
        try:
            variant: Variant = checked(Variant, written, str(path), error=ConfigError)
        except ConfigError as error:
            named = str(error).startswith(f"{path}: ")
            raise (error if named else ConfigError(f"{path}: {error}")) from error.__cause__
        variant = variant.model_copy(update={"file": str(path.absolute())})
        if variant.name != path.stem:
            raise ConfigError(f"{path}: its name is {variant.name!r}; name and file must agree.")
        found[variant.name] = variant
    return found

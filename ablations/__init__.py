"""The rows of Tables 4 and 5, and rows of our own: one YAML file a variant, a short difference from a base model.

To add a row, add a file here and its name under ``runs`` in params.yaml. Another package adds rows with an entry point
of group ``intermamba.variants`` of its own.
"""

from pathlib import Path

import yaml
from pydantic import ValidationError

from intermamba.errors import ConfigError
from intermamba.methods.variant import Variant

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
        try:
            variant = Variant.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
            variant = variant.model_copy(update={"file": str(path.absolute())})
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: not valid YAML: {error}") from error
        except ValidationError as error:
            problem = error.errors()[0]
            raise ConfigError(f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
        if variant.name != path.stem:
            raise ConfigError(f"{path}: its name is {variant.name!r}; name and file must agree.")
        found[variant.name] = variant
    return found

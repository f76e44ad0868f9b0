"""The processes that train together: who started them, how many they are, and which is this one.

Known from the environment, without torch: before a trainer exists, and to what only writes records.
"""

import os
from typing import Literal


def starter() -> Literal["srun", "torchrun", "lightning"]:
    """Who starts them: Slurm or torchrun where they did, else Lightning, on this machine."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return "torchrun"
    return "srun" if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 else "lightning"


def world() -> int:
    """How many there are; 1 before Lightning has started the others."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS" if starter() == "srun" else "WORLD_SIZE", "1"))


def first() -> bool:
    """Whether this is the first, which writes what all have made."""
    names = {"srun": ("SLURM_PROCID",), "torchrun": ("RANK",), "lightning": ("NODE_RANK", "LOCAL_RANK")}[starter()]
    return all(os.environ.get(name, "0") == "0" for name in names)

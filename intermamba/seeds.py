"""Seeds by name: every random draw of the study comes from one root seed and the name of its use."""

import hashlib


def derive(root: int, *names: object) -> int:
    """A 63-bit seed for the use ``names`` under ``root``; the same on every machine and Python.

    Examples:
        ``derive(cfg.seed, "train", "interhuman", variant, 0)`` or ``derive(seed, "step", 1200)``.
    """
    text = "/".join(map(str, (root, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1

"""Progress as tests look at it."""

from collections.abc import Callable


class Counted:
    """Remembers what a stage reports."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int, str]] = []
        """Total, units of an earlier run and name of each part."""
        self.steps: list[int] = []

    def start(self, total: int, done: int = 0, part: str = "") -> None:
        self.parts.append((total, done, part))

    def __call__(self, done: int = 1, note: Callable[[], str] | None = None) -> None:  # noqa: ARG002
        self.steps.append(done)

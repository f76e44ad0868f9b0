"""Speed and time left, without a real clock."""

import pytest

from intermamba.progress import Meter, duration


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_unit_does_not_count_for_the_speed() -> None:
    clock = Clock()
    meter = Meter(10, clock=clock)
    assert meter.speed is None
    assert meter.left is None
    clock.now = 60.0  # compiling
    meter.advance(1)
    assert meter.speed is None
    clock.now = 62.0
    meter.advance(4)
    assert meter.speed == 2.0
    assert meter.left == 2.5
    assert meter.elapsed == 62.0


def test_units_of_an_earlier_run_are_done_but_not_fast() -> None:
    clock = Clock()
    meter = Meter(100, 50, clock)
    for clock.now in (1.0, 2.0, 3.0):
        meter.advance(10)
    assert meter.done == 80
    assert meter.speed == 10.0
    assert meter.left == 2.0


def test_without_a_total_no_time_is_left() -> None:
    clock = Clock()
    meter = Meter(clock=clock)
    for clock.now in (1.0, 2.0):
        meter.advance(1)
    assert meter.speed == 1.0
    assert meter.left is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (45.0, "45 s"), (240.0, "4 min"), (12_000.0, "3 h 20 min"), (187_200.0, "2 d 4 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text

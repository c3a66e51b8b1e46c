"""When it is clear that a run will not be ready, told by what it did and not by the clock alone."""

from __future__ import annotations

from collections.abc import Iterable

from sagelocal.check.chances import Chance


def first_had(chance: Chance, seen: Iterable[tuple[float, float | None]]) -> float | None:
    """When the chance was had, of looks at seconds since the start and seconds of processors."""
    return next((elapsed for elapsed, used in seen if chance.was_had(elapsed, used)), None)


def test_a_run_that_does_nothing_any_more_has_had_its_chance() -> None:
    seen = [(second / 2, min(second / 2, 1.0)) for second in range(60)]

    assert first_had(Chance(2.0, 1.5), seen) == 4.0


def test_one_that_gets_little_of_a_busy_machine_is_waited_for() -> None:
    chance = Chance(2.0, 1.5)
    starved = [(float(second), second * 0.15) for second in range(20)]

    assert first_had(chance, starved) is None
    assert chance.was_had(60.0, 3.1)


def test_one_that_sleeps_as_the_first_did_is_waited_for_as_long() -> None:
    seen = [(float(second), 0.1) for second in range(30)]

    assert first_had(Chance(20.0, 0.1), seen) == 21.0


def test_one_that_starts_again_and_again_is_given_up_for_its_work() -> None:
    seen = [(float(second), float(second)) for second in range(30)]

    assert first_had(Chance(2.0, 1.5), seen) == 4.0


def test_the_clock_tells_where_the_engine_does_not_say_what_was_done() -> None:
    seen = [(float(second), None) for second in range(30)]

    assert first_had(Chance(2.0, None), seen) == 13.0

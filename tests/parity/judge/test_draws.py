"""What is drawn: every option in its turn, and the same draw from the same numbers."""

import pytest

from parity.judge.draws import DRAWS_PER_SHAPE, random_case


@pytest.mark.parametrize("seed", range(5))
def test_three_hundred_draws_hit_each_option_ten_times(seed):
    cases = [random_case(seed, index) for index in range(300)]
    options = {
        "layers": lambda c: c.num_layers,
        "directions": lambda c: c.bidirectional,
        "projection": lambda c: c.proj_size > 0,
        "bias": lambda c: c.bias,
        "state": lambda c: c.given_state,
        "type": lambda c: c.dtype,
        "batch axes": lambda c: len(c.batch),
        "empty batch": lambda c: 0 in c.batch,
        "steps": lambda c: min(c.steps, 2) if c.steps <= 64 else "long",
        "scale": lambda c: c.scale > 1,
        "lengths": lambda c: c.lengths,
        "resets": lambda c: c.resets,
        "reset state": lambda c: c.resets and c.reset_state,
        "lengths and resets": lambda c: c.lengths and c.resets,
    }
    values = {"layers": 4, "batch axes": 3, "steps": 4, "type": 4}
    for name, option in options.items():
        found = [option(case) for case in cases]
        counts = {value: found.count(value) for value in set(found)}
        assert len(counts) == values.get(name, 2), (name, counts)
        assert min(counts.values()) >= 10, (name, counts)


def test_a_draw_does_not_depend_on_how_many_there_are():
    assert random_case(5, 17) == random_case(5, 17)
    assert random_case(5, 17) != random_case(6, 17)
    first, last = random_case(5, 0), random_case(5, DRAWS_PER_SHAPE - 1)
    assert first.spec == last.spec
    assert first.seed != last.seed

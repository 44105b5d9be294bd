"""Steps of a teacher's features: wide where it does not look, narrow where it does, and few answers for like rows are wrong on other rows."""

import numpy as np

from appliance.learn.likeness import WRONG, steps, wrong_hits


def answer(rows):
    """A steep step in the first feature; the second counts a tenth, the third nothing."""
    score = np.clip(rows[:, 0] + 0.1 * rows[:, 1], -50, 50)
    one = 1.0 / (1.0 + np.exp(-score))
    return np.column_stack([1 - one, one])


def wandering(seed: int, count: int = 6000):
    rng = np.random.default_rng(seed)
    rows = np.cumsum(rng.normal(0, 0.05, (count, 3)), axis=0)
    return (3 * np.sin(rows)).astype(np.float32), np.repeat(np.arange(3), count // 3)


WIDTH = np.array([6.0, 6.0, 6.0])


def test_what_is_not_looked_at_gets_a_wide_step_and_what_matters_a_narrow_one() -> None:
    rows, room = wandering(0)
    found = np.array(steps(answer, rows, room, WIDTH))
    assert (found > 0).all()
    assert found[0] < found[1] < found[2]
    assert found[2] >= 10 * found[0]


def test_a_like_row_s_answer_is_seldom_wrong_on_rows_that_the_steps_were_not_taken_from() -> None:
    """Steps that were too long would let a cache answer for cases on the other side of the decision."""
    rows, room = wandering(0)
    found = np.array(steps(answer, rows, room, WIDTH))
    other, room = wandering(1)
    said = answer(other)
    hard = said.max(axis=1) <= np.quantile(said.max(axis=1), 0.2)
    hits, wrong = wrong_hits(other[hard], said[hard].argmax(axis=1), room[hard], found)
    assert hits > 0.3
    assert wrong < 2 * WRONG
    # Four times as long they would not do: the bound is what holds them.
    assert wrong_hits(other[hard], said[hard].argmax(axis=1), room[hard], 4 * found)[1] > WRONG


def test_rooms_do_not_share_a_cache() -> None:
    rows, words = np.zeros((4, 1), np.float32), np.array([0, 0, 1, 1])
    assert wrong_hits(rows, words, np.zeros(4, np.int64), np.ones(1)) == (0.75, 2 / 3)
    assert wrong_hits(rows, words, np.array([0, 0, 1, 1]), np.ones(1)) == (0.5, 0.0)

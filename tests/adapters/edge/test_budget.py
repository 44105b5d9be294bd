"""The owner's budget holds in every window of a day, and audits are not the first to starve."""

import random

from appliance.adapters.edge.budget import MOST_CASES, Budget


def test_no_more_than_the_share_of_cases_is_asked_from_the_first_on() -> None:
    budget = Budget(5.0, 10_000.0, 0.0)
    asked = 0
    for seen in range(1, 10_001):
        budget.seen(1)
        asked += budget.take(500, float(seen), case=True)
        assert asked <= seen * 0.05 + 1e-9
    assert asked == 500
    assert budget.status(1e4).refused_cases == 9500


def test_a_night_of_easy_cases_pays_for_no_flood() -> None:
    budget = Budget(100.0, 10_000.0, 0.0)
    budget.seen(1_000_000)
    assert sum(budget.take(1, 0.0, case=True) for _ in range(1000)) == MOST_CASES


def test_no_day_sees_more_bytes_than_the_owner_gave() -> None:
    draw = random.Random(3)
    budget = Budget(100.0, 1.0, 0.0)
    spent: list[tuple[float, int]] = []
    now = 0.0
    while now < 4 * 86_400:
        # Long silences between floods: the worst that a bucket can be asked for.
        now += draw.choice([0.5, 1.0, 30.0]) if draw.random() < 0.999 else draw.uniform(3600, 40_000)
        budget.seen(1)
        size = draw.randrange(200, 1500)
        if budget.take(size, now, case=draw.random() < 0.5):
            budget.spend(size, 0)
            spent.append((now, size))
    at = total = worst = 0
    for moment, size in spent:
        total += size
        while spent[at][0] < moment - 86_400:
            total -= spent[at][1]
            at += 1
        worst = max(worst, total)
    assert 0.7e6 < worst <= 1e6 + 1500


def test_hard_cases_leave_the_reserve_to_audits() -> None:
    budget = Budget(100.0, 1.0, 0.0)
    budget.seen(64)
    budget.status(86_400.0)
    taken = 0
    while budget.take(5000, 86_400.0, case=True):
        budget.spend(5000, 0)
        taken += 1
    assert 30 <= taken <= 38
    for _ in range(13):
        assert budget.take(5000, 86_400.0, case=False)
        budget.spend(5000, 0)
    assert not budget.take(5000, 86_400.0, case=False)


def test_an_answer_larger_than_expected_is_paid_for_later() -> None:
    budget = Budget(100.0, 1.0, 0.0)
    assert budget.take(500, 0.0, case=False)
    budget.spend(500, 100_000)
    assert not budget.take(1, 0.0, case=False)
    assert budget.status(0.0).bytes_left < 0
    assert budget.take(1, 86_400.0, case=False)


def test_nothing_given_is_nothing_spent() -> None:
    budget = Budget(100.0, 0.0, 0.0)
    budget.seen(100)
    assert not budget.take(1, 1e9, case=True)
    assert not budget.take(1, 1e9, case=False)
    none = Budget(0.0, 1.0, 0.0)
    none.seen(1_000_000)
    assert not none.take(1, 1e6, case=True)
    assert none.take(1, 1e6, case=False)

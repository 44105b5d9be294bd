"""A home's labels make a better version of a model, or nothing at all."""

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from appliance.bundle import Bundle, load_bundle, shipped
from appliance.core.trust.fitting import novelty_region
from appliance.refit import Material, fit_head, refit

AT = "2026-11-24T12:00:00+00:00"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    found = load_bundle(shipped("presence"))
    # As of the first versions: only what the test says may matter.
    return replace(found, card=replace(found.card, sets=None, novelty=None, refit=None), golden_labels=None)


def home(seed=0, days=8, a_day=100, shift=-1.5, lie=None, features=8, first=0, **more) -> Material:
    """Labelled rows of a room in which the model's logits lie `shift` too low; `lie` changes the labels."""
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(first, first + days), a_day)
    truth = (rng.random(len(numbers)) < 0.4).astype(np.int64)
    logit = (
        3.0 * (2 * truth - 1)
        + rng.normal(0, 2.0, len(truth))
        + rng.normal(0, 0.3, days)[numbers - first]
        + shift
    )
    somebody = 1 / (1 + np.exp(-logit))
    told = truth if lie is None else lie(truth, rng)
    lived = rng.lognormal(0, 1, (400 * days, features)).astype(np.float32)
    return Material(
        rng.normal(size=(len(truth), features)).astype(np.float32),
        np.stack([1 - somebody, somebody], axis=1),
        told,
        numbers,
        lived,
        np.repeat(np.arange(days), 400),
        **more,
    )


def refused(outcome) -> str:
    assert outcome.card is None
    return "; ".join(check.asked for check in outcome.checks if not check.holds)


def test_a_room_that_differs_is_learned_and_promised_what_held_out_days_keep(bundle) -> None:
    outcome = refit(bundle, bundle.card, home(), at=AT)
    assert outcome.card is not None, outcome.checks
    assert outcome.before is not None
    assert outcome.after is not None
    assert outcome.after.accuracy > outcome.before.accuracy + 0.01
    card = outcome.card
    assert card.refit is not None
    assert (card.refit.number, card.refit.base, card.refit.days) == (1, bundle.digest, 8)
    assert card.sets is not None
    # On days of the same room that it has never seen.
    fresh = home(seed=1)
    said = card.refit.head.apply(fresh.probabilities)
    thresholds = card.sets.at(0.1)
    assert thresholds is not None
    for label in (0, 1):
        own = fresh.labels == label
        assert np.mean(said[own, label] >= thresholds[label]) > 0.85
    assert msgspec.json.decode(msgspec.json.encode(card), type=type(card)) == card


def both(one: Material, other: Material) -> Material:
    return Material(*(np.concatenate(pair) for pair in zip(*map(msgspec.structs.astuple, (one, other)), strict=True) if np.ndim(pair[0])))  # fmt: skip


def test_a_second_refit_starts_from_the_shipped_model_again(bundle) -> None:
    first = refit(bundle, bundle.card, home(), at=AT).card
    assert first is not None
    assert first.refit is not None
    assert first.refit.last_day == 7
    worse = replace(first, refit=replace(first.refit, head=replace(first.refit.head, scale=0.3)))
    more = both(home(), home(seed=1, first=8))
    second = refit(bundle, worse, more, at=AT).card
    assert second is not None
    assert second.refit is not None
    assert second.refit.number == 2
    assert second.refit.head == fit_head(more.probabilities, more.labels, more.days)


def test_what_is_in_force_is_judged_by_days_that_it_has_not_seen(bundle) -> None:
    first = refit(bundle, bundle.card, home(), at=AT).card
    assert first is not None
    assert "since the version in force" in refused(refit(bundle, first, home(), at=AT))
    assert "since the version in force" in refused(
        refit(bundle, first, both(home(), home(1, 2, first=8)), at=AT)
    )
    # The room has changed since: what was learned of it then is worse now than what both weeks say.
    changed = refit(bundle, first, both(home(), home(1, days=20, shift=1.0, first=8)), at=AT)
    assert changed.card is not None, changed.checks
    assert changed.before is not None
    assert changed.before.rows == 2000


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (lambda truth, rng: rng.integers(0, 2, len(truth)), "called right"),
        (lambda truth, rng: 1 - truth, "scale"),
        (lambda truth, rng: np.ones_like(truth), "nobody"),
        (lambda truth, rng: np.where(rng.random(len(truth)) < 0.45, 1 - truth, truth), "called right"),
    ],
    ids=["random", "inverted", "always somebody", "nearly half of them wrong"],
)
def test_hostile_labels_move_nothing(bundle, lie, why) -> None:
    for seed in range(5):
        assert why in refused(refit(bundle, bundle.card, home(seed, lie=lie), at=AT))


def test_contradictory_labels_move_nothing(bundle) -> None:
    assert "both ways" in refused(refit(bundle, bundle.card, home(contradicted=80), at=AT))


@pytest.mark.parametrize(("days", "a_day"), [(0, 0), (1, 500), (2, 500), (8, 1)])
def test_few_labels_move_nothing(bundle, days, a_day) -> None:
    assert refused(refit(bundle, bundle.card, home(days=days, a_day=a_day), at=AT))


def test_a_label_of_one_day_alone_moves_nothing(bundle) -> None:
    one_sided = home(lie=lambda truth, rng: np.where(np.arange(len(truth)) < 100, truth, 0))
    assert "somebody" in refused(refit(bundle, bundle.card, one_sided, at=AT))


def test_a_model_that_is_right_already_stays_as_it_is(bundle) -> None:
    moved = [refit(bundle, bundle.card, home(seed, shift=0.0), at=AT) for seed in range(5)]
    for outcome in moved:
        if outcome.card is not None:
            # The temperature alone may be off, and then it is better on every held-out day.
            assert outcome.after is not None
            assert outcome.before is not None
            assert outcome.after.accuracy >= outcome.before.accuracy


def test_labels_that_would_turn_the_model_where_it_came_from_are_refused(bundle) -> None:
    far = home(shift=-9.0)
    assert refused(refit(bundle, bundle.card, far, at=AT))


def test_golden_rows_with_truths_are_held_to_them(bundle) -> None:
    truths = bundle.golden_probabilities.argmax(axis=1)
    with_truths = replace(bundle, golden_labels=truths.astype(np.int64))
    outcome = refit(with_truths, bundle.card, home(shift=-2.4), at=AT)
    (golden,) = [check for check in outcome.checks if "golden" in check.asked]
    head = fit_head(home(shift=-2.4).probabilities, home(shift=-2.4).labels, home(shift=-2.4).days)
    kept = (head.apply(bundle.golden_probabilities).argmax(axis=1) == truths).mean()
    assert golden.holds is bool(kept == 1.0)
    assert outcome.card is None or golden.holds


def test_a_head_of_few_labels_moves_little_and_of_many_finds_the_room() -> None:
    many = home(days=40, shift=-2.0)
    few = home(days=1, a_day=6, shift=-2.0)
    full = fit_head(many.probabilities, many.labels, many.days)
    slight = fit_head(few.probabilities, few.labels, few.days)
    # The logit of two classes is their difference. The noise of a row and its day makes the ideal scale 6 / (2² + 0.3²).
    assert full.scale == pytest.approx(6 / 4.09, rel=0.1)
    assert full.bias[1] == pytest.approx(2.0 * full.scale + np.log(0.4 / 0.6), abs=0.4)
    assert abs(slight.bias[1]) < full.bias[1]


def test_a_day_labelled_from_morning_to_night_weighs_no_more_than_one_labelled_by_the_hour() -> None:
    one = home(days=3, a_day=48)
    loud = np.concatenate([np.tile(np.flatnonzero(one.days == 0), 50), np.flatnonzero(one.days > 0)])
    head = fit_head(one.probabilities, one.labels, one.days)
    again = fit_head(one.probabilities[loud], one.labels[loud], one.days[loud])
    assert (again.scale, *again.bias) == pytest.approx((head.scale, *head.bias), abs=1e-4)


def test_the_region_grows_to_what_is_ordinary_here_and_never_shrinks(bundle) -> None:
    rng = np.random.default_rng(3)
    other_room = novelty_region((0.2 * rng.lognormal(0, 1, (2000, 8))).astype(np.float32))
    with_region = replace(bundle, card=replace(bundle.card, novelty=other_room))
    material = home()
    card = refit(with_region, with_region.card, material, at=AT).card
    assert card is not None
    assert card.novelty is not None
    inside = lambda region: np.mean([region.unlike(row) is None for row in material.lived])  # noqa: E731
    assert inside(card.novelty) > inside(other_room)
    wide = novelty_region((5 * rng.lognormal(0, 3, (2000, 8))).astype(np.float32))
    with_wide = replace(bundle, card=replace(bundle.card, novelty=wide))
    card = refit(with_wide, with_wide.card, material, at=AT).card
    assert card is not None
    assert card.novelty == wide


def test_from_few_days_the_more_careful_thresholds_stand(bundle) -> None:
    first = refit(bundle, bundle.card, home(days=8), at=AT).card
    assert first is not None
    assert first.sets is not None
    careful = replace(first.sets, thresholds=tuple((0.01, 0.01) for _ in first.sets.alphas))
    with_sets = replace(bundle, card=replace(bundle.card, sets=careful))
    few = refit(with_sets, with_sets.card, home(days=4), at=AT).card
    assert few is not None
    assert few.sets is not None
    assert few.sets.at(0.1) == (0.01, 0.01)

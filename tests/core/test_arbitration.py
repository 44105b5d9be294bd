"""Arbitration: each test names the defect that it catches."""

import pytest
from hypothesis import given, strategies as st

from appliance.core.arbitration import NARROWING, Authority, Ladder, Proposal, arbitrate

ACTIONS = ("off", "low", "medium", "high", "turbo")
AUTHORITIES = list(Authority)


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    size = draw(st.integers(2, 5))
    return Ladder(ACTIONS[:size], draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1)))


@st.composite
def situations(draw: st.DrawFn) -> tuple[Ladder, list[Proposal]]:
    ladder = draw(ladders())
    proposals = []
    for number in range(draw(st.integers(0, 8))):
        low = draw(st.integers(0, ladder.top))
        high = draw(st.integers(low, ladder.top))
        proposals.append(
            Proposal(low, high, draw(st.sampled_from(AUTHORITIES)), f"voice {number}", "because")
        )
    return ladder, proposals


def pin(action: int, authority: Authority = Authority.FALLBACK, source: str = "pin") -> Proposal:
    return Proposal(action, action, authority, source, "because")


@given(situations(), st.randoms())
def test_result_does_not_depend_on_the_order_of_voices(situation, random) -> None:
    ladder, proposals = situation
    shuffled = list(proposals)
    random.shuffle(shuffled)
    assert arbitrate(ladder, shuffled) == arbitrate(ladder, proposals)


def left_by(ladder: Ladder, stronger: list[Proposal]) -> set[int | None]:
    """What `stronger` voices leave open, found from outside: whatever a weakest voice can still get."""
    weakest = [pin(action) for action in range(ladder.top + 1)]
    return {arbitrate(ladder, [*stronger, wish]).action for wish in weakest}


@given(situations())
def test_a_weaker_voice_never_moves_the_result_outside_what_stronger_ones_left(situation) -> None:
    ladder, proposals = situation
    verdict = arbitrate(ladder, proposals)
    if verdict.action is None:
        return
    for authority in AUTHORITIES[:-1]:
        stronger = [wish for wish in proposals if wish.authority <= authority]
        assert verdict.action in left_by(ladder, stronger)


@given(situations())
def test_the_strongest_consistent_voices_are_obeyed(situation) -> None:
    ladder, proposals = situation
    acting = [wish for wish in proposals if wish.authority not in NARROWING]
    if not acting:
        return
    strongest = min(wish.authority for wish in proposals)
    peers = [wish for wish in proposals if wish.authority == strongest]
    low, high = max(wish.at_least for wish in peers), min(wish.at_most for wish in peers)
    action = arbitrate(ladder, proposals).action
    if low <= high:
        assert action is not None
        assert low <= action <= high
    else:
        assert action == min(max(ladder.safe, high), low)


@given(situations())
def test_no_more_than_is_asked_for_is_done(situation) -> None:
    """Of all actions left, none nearer to rest is passed over."""
    ladder, proposals = situation
    # The weakest authority is kept for the probe: among its equals it would contradict.
    proposals = [wish for wish in proposals if wish.authority is not Authority.FALLBACK]
    action = arbitrate(ladder, proposals).action
    if action is not None:
        open_actions = {found for found in left_by(ladder, proposals) if found is not None}
        assert abs(action - ladder.rest) == min(abs(found - ladder.rest) for found in open_actions)


@given(situations())
def test_narrowing_guards_alone_decide_nothing(situation) -> None:
    ladder, proposals = situation
    guards_only = [wish for wish in proposals if wish.authority in NARROWING]
    assert arbitrate(ladder, guards_only).action is None


@given(situations())
def test_every_voice_is_heard_once_and_the_decider_is_one_of_them(situation) -> None:
    ladder, proposals = situation
    verdict = arbitrate(ladder, proposals)
    assert sorted(voice.source for voice in verdict.voices) == sorted(wish.source for wish in proposals)
    if verdict.action is not None:
        assert verdict.decided_by in proposals


LADDER = Ladder(ACTIONS, 0, 0)


@pytest.mark.parametrize(
    ("proposals", "action", "decider"),
    [
        pytest.param(
            [Proposal(2, 4, Authority.RULE, "rule", ""), pin(0)],
            2,
            "rule",
            id="a rule asks for at least medium",
        ),
        pytest.param(
            [Proposal(2, 4, Authority.RULE, "rule", ""), pin(0, Authority.MANUAL, "hand"), pin(0)],
            0,
            "hand",
            id="a hand beats a rule",
        ),
        pytest.param(
            [pin(4, Authority.LIFE_SAFETY, "smoke"), pin(0, Authority.MINIMUM_OFF, "rest"), pin(0)],
            4,
            "smoke",
            id="smoke beats a rest",
        ),
        pytest.param(
            [pin(0, Authority.MINIMUM_OFF, "rest"), pin(3, Authority.MANUAL, "hand"), pin(0)],
            0,
            "rest",
            id="a rest beats a hand",
        ),
        pytest.param(
            [Proposal(1, 4, Authority.MINIMUM_ON, "run", ""), pin(0, Authority.MANUAL, "hand"), pin(0)],
            0,
            "hand",
            id="a hand beats a minimum run",
        ),
        pytest.param(
            [Proposal(1, 4, Authority.MINIMUM_ON, "run", ""), pin(0)],
            1,
            "run",
            id="a minimum run keeps it at the lowest",
        ),
        pytest.param(
            [
                Proposal(0, 1, Authority.EQUIPMENT, "hot", ""),
                Proposal(3, 4, Authority.RULE, "rule", ""),
                pin(0),
            ],
            1,
            "rule",
            id="a stronger limit draws a wish in to its edge, and the wish is still why it runs",
        ),
    ],
)
def test_decider_is_the_voice_that_settled_it(proposals, action, decider) -> None:
    verdict = arbitrate(LADDER, proposals)
    assert verdict.action == action
    assert verdict.decided_by is not None
    assert verdict.decided_by.source == decider


def test_a_limited_voice_names_who_limited_it() -> None:
    verdict = arbitrate(
        LADDER, [pin(0, Authority.MANUAL, "hand"), Proposal(3, 4, Authority.RULE, "rule", "")]
    )
    assert {voice.source: voice.limited_by for voice in verdict.voices} == {"hand": None, "rule": "hand"}


@pytest.mark.parametrize(
    ("safe", "action", "source"), [(0, "low", "quiet"), (4, "high", "air"), (1, "low", "quiet")]
)
def test_a_contradiction_is_explained_by_the_side_that_stands(safe, action, source) -> None:
    """“low, because there is dust” would be no answer."""
    proposals = [
        Proposal(3, 4, Authority.RULE, "air", "there is dust"),
        Proposal(0, 1, Authority.RULE, "quiet", "it is night"),
        pin(0, source="fallback"),
    ]
    verdict = arbitrate(Ladder(ACTIONS, 0, safe), proposals)
    assert (ACTIONS[verdict.action], verdict.decided_by.source) == (action, source)


def test_a_contradiction_that_ends_at_rest_is_not_put_down_to_nobody_asking() -> None:
    proposals = [
        Proposal(1, 1, Authority.RULE, "cold", "it is cold"),
        Proposal(0, 0, Authority.RULE, "window", "a window is open"),
        pin(0, source="fallback"),
    ]
    verdict = arbitrate(Ladder(ACTIONS[:2], 0, 0), proposals)
    assert verdict.decided_by.source == "window"


def test_a_contradiction_is_recorded_with_both_sides_and_settled_towards_safe() -> None:
    ladder = Ladder(ACTIONS, 0, 4)
    verdict = arbitrate(ladder, [pin(1, Authority.RULE, "quiet"), pin(3, Authority.RULE, "clean")])
    assert verdict.action == 3
    assert {voice.source: voice.contradicts for voice in verdict.voices} == {
        "clean": "quiet",
        "quiet": "clean",
    }

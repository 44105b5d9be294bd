"""Owns the choice among groups of features: all subsets of them over all subsets of channels, each judged on held-out days.

Never in here: features one by one, or what a chosen set is made into.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from appliance.errors import LearnError
from appliance.learn.architectures import architectures
from appliance.learn.choosing import SCOUTING, Choice, Outcome, Trial
from appliance.learn.features import GROUPS, Told
from appliance.learn.lessons import Lessons
from appliance.learn.recipe import Recipe

SCOUT, SCOUT_SIZE = "mlp", 16
"""What each set is tried with: small enough to be shipped whichever set it gets."""
SEEDS = 2


def candidates(recipe: Recipe, lessons: Lessons) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield each set's name and its places in the lessons' spec; sets of more than `features.most`, and the time alone, are none.

    Raises:
        LearnError: the recipe names a group that is none.
    """
    if unknown := set(recipe.features.groups) - set(GROUPS):
        raise LearnError(f"there is no group {min(unknown)!r}", hint=f"they are {', '.join(GROUPS)}")
    channels = sorted(lessons.spec.channels)
    for some in _subsets(channels):
        for groups in _subsets(recipe.features.groups):
            wanted = {pair for group in groups for pair in GROUPS[group]}
            places = tuple(
                at
                for at, feature in enumerate(lessons.spec.features)
                if (feature.kind, feature.span_s) in wanted and feature.channel in ("", *some)
            )
            if groups != ("time_of_day",) and 0 < len(places) <= recipe.features.most:
                yield f"{' + '.join(groups)} of {', '.join(some)}", places


def choose_set(
    recipe: Recipe, lessons: Lessons, parallel: Callable[[Sequence[Trial]], list[Outcome]], tell: Told
) -> tuple[list[Choice], Choice]:
    """Return all sets, the best first, and the one that stands: of those within `students.within` of the best value the one whose worst
    day is best, then the one of fewest features.
    """
    sets = list(candidates(recipe, lessons))
    seeds = range(recipe.seed, recipe.seed + SEEDS)
    steps = recipe.students.steps // SCOUTING
    trials = [
        Trial(lessons, SCOUT, SCOUT_SIZE, places, seed, steps=steps) for _, places in sets for seed in seeds
    ]
    tell("sets of features", 0, len(trials))
    outcomes = parallel(trials)
    tell("sets of features", len(trials), len(trials))
    architecture = architectures()[SCOUT]
    found = []
    for at, (name, places) in enumerate(sets):
        own = outcomes[at * SEEDS : (at + 1) * SEEDS]
        # The mean of what the seeds' models are worth, not what their mean is worth: one of them would be shipped.
        judged = [lessons.judge(one.probabilities, recipe.split.judged) for one in own]
        mean = judged[0].mean(judged[1:])
        names = tuple(lessons.spec.features[place].name for place in places)
        found.append(Choice(architecture.name, SCOUT_SIZE, names, mean, 0, family=name))
    found.sort(key=lambda one: -one.judged.value)
    near = [one for one in found if one.judged.value >= found[0].judged.value - recipe.students.within]
    return found, min(near, key=lambda one: (-one.judged.worst, len(one.features)))


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for count in range(1, len(names) + 1):
        yield from combinations(names, count)

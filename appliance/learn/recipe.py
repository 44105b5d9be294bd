"""Owns the recipe: a TOML file that says everything that a model depends on but the code and the data themselves.

Never in here: doing any of it. What a recipe leaves out has the default that stands here.
"""

import hashlib
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec

from appliance.core.quantities import QUANTITIES
from appliance.errors import LearnError

NAME = r"^[a-z][a-z0-9-]{0,39}$"
Share = float


class ChannelSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a channel stands in a table: the column's name, and the unit it is in (default: the quantity's own)."""

    column: str
    unit: str | None = None


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to learn from.

    Attributes:
        kind: "table" (CSV files), "uci_occupancy" (that data set, whose digests are known) or "simulated" (rooms of appliance.simulate).
        training: the files of a table, below $APPLIANCE_DATA or beside the recipe, plain or gzipped.
        tests: name -> file; `report` alone opens them.
        sha256: file -> digest of its text; others are refused.
        time: the column of time, ISO 8601 or Unix seconds.
        label: the column of the truth.
        truth: what it says -> one of the recipe's labels; without it, the label itself or its number.
        group: the column that tells rooms or homes apart; None: one room.
        channels: channel -> column and unit.
        gaps: "refuse" a row with an empty cell, or let it stand for "not heard" ("unheard").
        homes, days, interval_s: of simulated rooms: how many, how long, and how far apart the rows.
        truth_of: of simulated rooms: what is true of a row, "somebody" or "emitting".
    """

    kind: Literal["table", "uci_occupancy", "simulated"] = "table"
    training: tuple[str, ...] = ()
    tests: dict[str, str] = {}
    sha256: dict[str, str] = {}
    time: str = "time"
    label: str = "label"
    truth: dict[str, str] = {}
    group: str | None = None
    channels: dict[str, ChannelSource] = {}
    gaps: Literal["refuse", "unheard"] = "refuse"
    homes: int = 0
    days: float = 2.0
    interval_s: float = 60.0
    truth_of: Literal["somebody", "emitting"] = "somebody"


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is held out as one: a "day" or a whole "group"; at most `folds` at a time, so that long data stay feasible.

    `judged`: what candidates are compared by: "rooms" (half the mean over rooms, half the worst), or "days" (the mean over what is held out
    of the mean over rooms, ties by the worst of them).
    """

    by: Literal["day", "group"] = "day"
    folds: int = 10
    judged: Literal["rooms", "days"] = "rooms"


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which features are offered: of which channels (none named: all), and whether the time of day is one.

    `most`: so many are kept at most. `every`: features are taken of each n-th row (0: about one a minute for what was recorded).
    `groups` (appliance.learn.features.GROUPS): instead of all that could be offered, all subsets of these are compared, over all subsets of the channels.
    """

    channels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    time_of_day: bool = False
    most: int = 16
    every: int = 0


class Rooms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many other rooms are imitated from the recorded ones: to learn from, and to be judged by. `every`: each n-th row of them.

    `rhythm`: "others" shifts their clocks, so that the time of day tells nothing; "kept" leaves them as they are.
    `simulated`: so many homes of appliance.simulate are learnt from as well, `simulated_days` each; half as many more are judged by.
    """

    imitated: int = 16
    judged: int = 8
    every: int = 4
    rhythm: Literal["others", "kept"] = "others"
    simulated: int = 0
    simulated_days: float = 2.0


class Teacher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which teachers are tried; chosen is the smallest within `within` of the best accuracy on held-out days and rooms."""

    kinds: tuple[str, ...] = ("linear", "lightgbm", "forest", "extra_trees")
    within: Share = 0.002


class Students(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which architectures (appliance.learn.architectures) are tried, at how many of their sizes, and with how many seeds.

    `steps` of descent are what one fit of a net may cost. `soft`: the share of the teacher's word in what a student is told; the rest is the truth.
    """

    architectures: tuple[str, ...] = ("linear", "mlp", "trees", "cnn")
    sizes: int = 3
    seeds: int = 5
    steps: int = 1500
    soft: Share = 0.7
    within: Share = 0.002


class Budgets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be spent: bytes of ONNX, and accuracy (shares) that distilling and pruning may cost on held-out days and rooms."""

    bytes: int = 4096
    distil: Share = 0.02
    prune: Share = 0.005


class Calibrate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In which `ways` (appliance.learn.days.WAYS) thresholds of prediction sets are tried; held-out days choose, where there is more than one."""

    ways: tuple[str, ...] = ("rows",)


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the card says that nobody can measure."""

    data: str = "a table of one's own"
    licence: str = "its owner's"
    citation: str = ""
    intended_use: str = "a channel of an appliance in the rooms that it was trained in"
    not_for: str = "safety, security, or any room that is unlike the training data"
    untested: str = "any other room, season or sensor"


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that a model depends on but code and data."""

    name: str
    title: str
    labels: tuple[str, ...]
    data: Data
    version: int = 1
    seed: int = 0
    alphas: tuple[float, ...] = (0.20, 0.15, 0.10, 0.07, 0.05, 0.03, 0.02, 0.01)
    split: Split = Split()
    features: Features = Features()
    rooms: Rooms = Rooms()
    teacher: Teacher = Teacher()
    students: Students = Students()
    budgets: Budgets = Budgets()
    calibration: Calibrate = Calibrate()
    card: Words = Words()

    @property
    def digest(self) -> str:
        """What identifies it: the sha256 of all its values."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def load_recipe(given: str) -> tuple[Recipe, Path]:
    """Return the recipe of this name (of this release) or path, and the folder that its files may lie in.

    Raises:
        LearnError: there is none, or it says what no recipe can.
    """
    path = Path(given)
    if path.suffix != ".toml":
        path = _shipped(given)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as missing:
        raise LearnError(
            f"{path}: {missing.strerror}",
            hint=f"give a recipe's path (.toml), or one of {', '.join(recipes())}",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise LearnError(f"{path}: {broken}", hint="mend the recipe") from None
    try:
        recipe = msgspec.convert(table, Recipe)
    except msgspec.ValidationError as broken:
        raise LearnError(f"{path}: {broken}", hint="docs/learn.md lists what a recipe may say") from None
    _sound(recipe, path)
    return recipe, path.parent


def recipes() -> list[str]:
    """Return the names of the recipes of this release."""
    return sorted({path.stem for root in _roots() if root.is_dir() for path in root.glob("*.toml")})


def _roots() -> tuple[Path, ...]:
    return Path(str(files("appliance"))) / "_recipes", Path(__file__).resolve().parents[2] / "recipes"


def _shipped(name: str) -> Path:
    for root in _roots():
        if (root / f"{name}.toml").is_file() and "/" not in name:
            return root / f"{name}.toml"
    raise LearnError(
        f"there is no recipe {name!r}",
        hint=f"the recipes are: {', '.join(recipes())}; or give the path of a .toml",
    )


def _sound(recipe: Recipe, path: Path) -> None:
    wrong = None
    if not 2 <= len(set(recipe.labels)) == len(recipe.labels) <= 16:
        wrong = "labels: 2 to 16 different words"
    elif not recipe.name.replace("-", "").replace("_", "").isalnum() or len(recipe.name) > 40:
        wrong = "name: letters, digits and dashes"
    elif any(name not in QUANTITIES for name in (*recipe.data.channels, *recipe.features.channels)):
        unknown = next(n for n in (*recipe.data.channels, *recipe.features.channels) if n not in QUANTITIES)
        wrong = f"channels: {unknown!r} is no quantity; the quantities are {', '.join(QUANTITIES)}"
    elif recipe.data.kind == "table" and not (recipe.data.training and recipe.data.channels):
        wrong = "data: a table needs `training` files and `channels`"
    elif recipe.data.kind == "simulated" and recipe.data.homes < 3:
        wrong = "data: simulated rooms need `homes`, three or more"
    elif set(recipe.data.truth.values()) - set(recipe.labels):
        wrong = f"data.truth: {sorted(set(recipe.data.truth.values()) - set(recipe.labels))} are no labels"
    elif not recipe.alphas or not all(0 < alpha < 0.5 for alpha in recipe.alphas):
        wrong = "alphas: error levels between 0 and 0.5"
    elif set(recipe.data.tests.values()) & set(recipe.data.training):
        wrong = "data: a file is for training and for a test"
    elif not 2 <= recipe.split.folds <= 100 or recipe.students.seeds < 1 or recipe.rooms.every < 1:
        wrong = "split.folds: 2 to 100; students.seeds and rooms.every: 1 or more"
    if wrong:
        raise LearnError(f"{path}: {wrong}", hint="docs/learn.md lists what a recipe may say")

"""Owns the cycle: its stages in order, each resumed where the same inputs have been through it before.

A stage's result lies under the digest of all that it depends on: recipe, data, code, and the stage before. Never in here: what a stage does.
"""

import hashlib
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import joblib
import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from appliance.bundle import TEACHER, Manifest, write_bundle
from appliance.learn import calibrating, choosing, edge, grouping, sources
from appliance.learn.architectures import Student
from appliance.learn.carding import card_of, told_of
from appliance.learn.choosing import Choice, Outcome, Trial
from appliance.learn.days import Way
from appliance.learn.edge import Promoted
from appliance.learn.export import softmax
from appliance.learn.features import Told
from appliance.learn.lessons import LEARN, Job, Lessons, lessons
from appliance.learn.recipe import Recipe
from appliance.learn.recordings import Recording

STAGES = ("fetch", "train", "distil", "prune", "calibrate", "teach", "report")
GOLDEN_ROWS = 32
AFTERWARDS = frozenset(
    {
        "reporting.py", "drawing.py", "plumes.py", "pages.py", "baselines.py", "ledger.py", "edge.py", "ensembles.py", "likeness.py",
        "faults.py", "detection.py", "retraining.py", "comparing.py",
    }
)  # fmt: skip
"""Code that no result of a stage depends on, but that of teaching."""
OF_TEACHING = frozenset({"edge.py", "ensembles.py", "likeness.py", "comparing.py"})
T = TypeVar("T")


class Taught(msgspec.Struct, frozen=True):
    """What training gave: the teachers that were tried, the chosen one, the features that students get; and the sets of groups of features,
    the best first, where the recipe names groups."""

    tried: tuple[Choice, ...]
    chosen: Choice
    features: tuple[str, ...]
    sets: tuple[Choice, ...] = ()


class Made(msgspec.Struct, frozen=True):
    """What distilling or pruning gave: what was tried, and the chosen one."""

    tried: tuple[Choice, ...]
    chosen: Choice


class Seeds(msgspec.Struct, frozen=True):
    """What calibrating gave: the manifest, how each seed did on held-out rows, and what each way to thresholds covers on a new day."""

    manifest: Manifest
    held_out: tuple[Choice, ...]
    ways: tuple[Way, ...] = ()


class Cycle:
    """One recipe on its way from data to bundle.

    `beside` is the folder of the recipe, `folder` the bundle's, `work` where results of stages are kept; `simulate` gives simulated rooms;
    `tell` hears of progress; `jobs` processes work at a time.
    """

    def __init__(
        self,
        recipe: Recipe,
        beside: Path,
        folder: Path,
        work: Path,
        *,
        simulate: sources.Simulate | None = None,
        tell: Told = lambda stage, done, total: None,
        jobs: int = 2,
    ) -> None:
        self.recipe = recipe
        self.beside = beside
        self.folder = folder
        self.simulate = simulate
        self._work = work
        self._tell = tell
        self._jobs = jobs

    # ---- stages

    @cached_property
    def recordings(self) -> list[Recording]:
        """fetch: the recordings to train on, checked."""
        found = sources.training(self.recipe, self.beside, self.simulate)
        sources.apart(self.recipe, self.beside, found)
        calibrating.enough_for(self.recipe, np.concatenate([one.labels for one in found]))
        return found

    @cached_property
    def lessons(self) -> Lessons:
        """All that is learnt from and judged on."""

        def make() -> Lessons:
            interval = float(np.median([one.interval_s for one in self.recordings]))
            more = sources.further(self.recipe, self.simulate, interval)
            return lessons(self.recipe, self.recordings, more, self._tell, self._features)

        return self._kept("lessons", (), Lessons, make)

    @cached_property
    def taught(self) -> Taught:
        """train: teachers and features."""

        def make() -> Taught:
            if self.recipe.features.groups:
                sets, best = grouping.choose_set(self.recipe, self.lessons, self._trials, self._tell)
                tried, chosen, _ = choosing.choose_teacher(
                    self.recipe, self.lessons, self._trials, self._tell, best.features
                )
                return Taught(tuple(tried), chosen, best.features, tuple(sets))
            tried, chosen, _ = choosing.choose_teacher(self.recipe, self.lessons, self._trials, self._tell)
            soft, _ = choosing.taught_answers(self.recipe, self.lessons, chosen)
            names = choosing.fewer(self.recipe, self.lessons, chosen.features, soft, self._trials, self._tell)
            return Taught(tuple(tried), chosen, names)

        return self._kept("train", (), Taught, make)

    @cached_property
    def soft(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What students are told: by fold, and with nothing held out."""
        return choosing.taught_answers(self.recipe, self.lessons, self.taught.chosen)

    @cached_property
    def distilled(self) -> Made:
        """distil: students of all architectures."""

        def make() -> Made:
            tried, chosen = choosing.choose_student(
                self.recipe,
                self.lessons,
                self.taught.chosen,
                self.taught.features,
                self.soft[0],
                self._trials,
                self._tell,
            )
            return Made(tuple(tried), chosen)

        return self._kept("distil", self.taught, Made, make)

    @cached_property
    def pruned(self) -> Made:
        """prune: the chosen student, made smaller."""

        def make() -> Made:
            tried, chosen = choosing.prune_student(
                self.recipe, self.lessons, self.distilled.chosen, self.soft[0], self._trials, self._tell
            )
            return Made(tuple(tried), chosen)

        return self._kept("prune", self.distilled, Made, make)

    @cached_property
    def calibrated(self) -> Seeds:
        """calibrate: the final fit, its calibration, and the bundle."""
        return self._kept("calibrate", self.pruned, Seeds, self._calibrate, self.folder)

    @property
    def teacher(self) -> Choice:
        """The chosen teacher, as it was judged."""
        return self.taught.chosen

    @property
    def teacher_folder(self) -> Path:
        """Where the bundle of the teacher lies: beside the student's."""
        return self.folder.with_name(f"{self.folder.name}{TEACHER}")

    @cached_property
    def teaching(self) -> Promoted:
        """teach: the teacher itself as a bundle, for an edge server, compared with the student."""
        code = [code for name, code in self._code if name in OF_TEACHING]
        key = [self.taught.chosen, self.calibrated.manifest, code]

        def make() -> Promoted:
            with threadpool_limits(1):
                return edge.teacher_bundle(self)

        return self._kept("teach", key, Promoted, make, self.teacher_folder)

    def run(self, stage: str) -> None:
        """Go through all stages up to `stage` (one of `STAGES` before "report").

        Raises:
            LearnError: as any of them.
        """
        stages: dict[str, Callable[[], object]] = {
            "fetch": lambda: self.recordings,
            "train": lambda: self.taught,
            "distil": lambda: self.distilled,
            "prune": lambda: self.pruned,
            "calibrate": lambda: self.calibrated,
            "teach": lambda: self.teaching,
        }
        for name, make in stages.items():
            make()
            if name == stage:
                return

    def student(self, seed: int, temperature: float = 1.0) -> Student:
        """Return the pruned student, fitted on everything with this seed."""
        chosen = self.pruned.chosen
        columns = [choosing.index_of(self.lessons, name) for name in chosen.features]
        learn = (self.lessons.uses & LEARN) > 0
        fitted = choosing.fit_student(
            self.lessons,
            chosen.kind,
            chosen.size,
            columns,
            learn,
            self.soft[1][learn],
            seed,
            self.recipe.students.steps,
        )
        return fitted.cooled(temperature)

    def _calibrate(self) -> Seeds:
        recipe, table, chosen, columns = self.recipe, self.lessons, self.pruned.chosen, self.student_columns
        seeds = range(recipe.seed, recipe.seed + recipe.students.seeds)
        outcomes = self._trials([self._student_trial(seed) for seed in seeds])
        each = tuple(
            msgspec.structs.replace(chosen, judged=table.judge(one.probabilities, recipe.split.judged))
            for one in outcomes
        )
        taught = self.teacher_held_out()
        self._tell("calibrate", 1, 2)
        # The first seed is shipped: the best one would be chosen by chance.
        probabilities = outcomes[0].probabilities
        found = calibrating.calibrate(recipe, table, probabilities, columns)
        with threadpool_limits(1):
            student = self.student(recipe.seed, found.temperature)
        model = choosing.exported(student, len(columns), len(recipe.labels))
        picked = self.golden(columns)
        golden = table.rows[picked][:, columns]
        said = calibrating.heated(probabilities, found.temperature)
        card = card_of(self, told_of(recipe, each[0]), found, each[0], said, taught)
        answers = softmax(student.logits(golden.astype(np.float64))).astype(np.float32)
        manifest = write_bundle(self.folder, model, card, golden, answers, table.labels[picked])
        self._tell("calibrate", 2, 2)
        return Seeds(manifest, each, found.ways)

    def teacher_held_out(self) -> NDArray[np.float64]:
        """Return what the chosen teacher says of held-out rows (N, L), NaN where none was judged."""
        teacher = self.taught.chosen
        seen = tuple(choosing.index_of(self.lessons, name) for name in teacher.features)
        return self._trials([Trial(self.lessons, teacher.kind, -1, seen, self.recipe.seed)])[0].probabilities

    @property
    def student_columns(self) -> list[int]:
        """Where the features of the pruned student lie in the lessons' spec."""
        return [choosing.index_of(self.lessons, name) for name in self.pruned.chosen.features]

    def student_held_out(self) -> NDArray[np.float64]:
        """Return what the student that is shipped says of held-out rows (N, L), NaN where none was judged."""
        return self._trials([self._student_trial(self.recipe.seed)])[0].probabilities

    def _student_trial(self, seed: int) -> Trial:
        chosen = self.pruned.chosen
        return Trial(
            self.lessons,
            chosen.kind,
            chosen.size,
            tuple(self.student_columns),
            seed,
            self.soft[0],
            steps=self.recipe.students.steps,
        )

    def golden(self, columns: list[int]) -> NDArray[np.int64]:
        """Return which rows are golden: even ones of the recorded room whose `columns` are known."""
        known = np.flatnonzero(
            np.isfinite(self.lessons.rows[:, columns]).all(axis=1) & (self.lessons.room == 0)
        )
        picked: NDArray[np.int64] = known[np.linspace(0, len(known) - 1, GOLDEN_ROWS).astype(int)]
        return picked

    # ---- work, and what is kept of it

    @property
    def parallel(self) -> choosing.Parallel:
        """Does trials, as many at a time as there are jobs."""
        return self._trials

    @cached_property
    def digest(self) -> str:
        """What identifies data, recipe and code together."""
        whole = hashlib.sha256(self.recipe.digest.encode())
        for one in self.recordings:
            whole.update(one.group.encode())
            for column in (one.at_ns, one.labels, *(one.values[name] for name in sorted(one.values))):
                whole.update(np.ascontiguousarray(column).tobytes())
        for name, code in self._code:
            if name not in AFTERWARDS:
                whole.update(code)
        return whole.hexdigest()

    @cached_property
    def _code(self) -> list[tuple[str, bytes]]:
        return [(path.name, path.read_bytes()) for path in sorted(Path(__file__).parent.rglob("*.py"))]

    def _kept(
        self, stage: str, before: object, kind: type[T], make: Callable[[], T], bundle: Path | None = None
    ) -> T:
        key = hashlib.sha256(f"{self.digest}{stage}".encode() + msgspec.json.encode(before)).hexdigest()[:16]
        path = self._work / f"{self.recipe.name}-{stage}-{key}.npz"
        if path.is_file():
            found = _read(path, kind)
            if found is not None and (bundle is None or _bundle_is(bundle, found)):
                return found
        made = make()
        self._work.mkdir(parents=True, exist_ok=True)
        _write(path, made)
        return made

    def _features(self, jobs: Sequence[Job]) -> list[NDArray[np.float32]]:
        return list(self._parallel(jobs))

    def _trials(self, trials: Sequence[Trial]) -> list[Outcome]:
        return list(self._parallel(trials))

    def _parallel(self, jobs: Sequence[Any]) -> list[Any]:
        if self._jobs == 1 or len(jobs) < 2:
            return [_alone(job) for job in jobs]
        found: list[Any] = joblib.Parallel(n_jobs=self._jobs, batch_size=1)(
            joblib.delayed(_alone)(job) for job in jobs
        )
        return found


def _bundle_is(folder: Path, found: Any) -> bool:
    entry = found.manifest.files["card.json"]
    card = folder / "card.json"
    return card.is_file() and hashlib.sha256(card.read_bytes()).hexdigest() == entry.sha256


def _alone(job: Any) -> Any:
    # One thread each: sums in another order are other bits.
    with threadpool_limits(1):
        return job.done()


def _write(path: Path, value: Any) -> None:
    """Write a struct whole or not at all: arrays apart, all else as JSON."""
    arrays = {
        name: getattr(value, name)
        for name in value.__struct_fields__
        if isinstance(getattr(value, name), np.ndarray)
    }
    rest = {name: getattr(value, name) for name in value.__struct_fields__ if name not in arrays}
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        np.savez(file, _rest=np.frombuffer(msgspec.json.encode(rest), dtype=np.uint8), **arrays)
    Path(file.name).replace(path)


def _read(path: Path, kind: type[T]) -> T | None:
    """Return what was written, or None where it is broken: then it is made anew."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            rest = msgspec.json.decode(kept["_rest"].tobytes())
            arrays = {name: kept[name] for name in kept.files if name != "_rest"}
        # It is a struct, which a type variable cannot say.
        types = msgspec.structs.fields(cast("type[msgspec.Struct]", kind))
        values = {
            field.name: arrays[field.name]
            if field.name in arrays
            else msgspec.convert(rest[field.name], field.type)
            for field in types
        }
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError):
        return None
    return kind(**values)

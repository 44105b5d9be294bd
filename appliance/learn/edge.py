"""Owns what is made for an edge server: the teacher as a bundle, with thresholds and a novelty region from its own held-out rows.

Never in here: choosing or fitting a teacher, how it is written, or how it is compared with its student on the rows that both were judged on.
"""

from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.bundle import MAX_FILE, TEACHER, Against, Manifest, load_bundle, write_bundle
from appliance.errors import LearnError
from appliance.learn import calibrating, choosing, comparing, likeness
from appliance.learn.carding import About, Told, card_of, widths
from appliance.learn.choosing import Choice
from appliance.learn.ensembles import written
from appliance.learn.lessons import JUDGE, LEARN
from appliance.learn.teaching import teach

TITLES = {
    "linear": "logistic regression",
    "mlp": "net of two hidden layers",
    "forest": "random forest",
    "extra_trees": "extremely randomised trees",
    "boosting": "boosted trees of scikit-learn",
    "lightgbm": "boosted trees of LightGBM",
    "torch_mlp": "net of three hidden layers, fitted by PyTorch",
}


class Promoted(msgspec.Struct, frozen=True):
    """What teaching gave: the manifest of the teacher's bundle, and how the teacher did on held-out rows."""

    manifest: Manifest
    held_out: Choice


class Classroom(About, Protocol):
    """What a teacher is made from: a cycle that has made its student."""

    @property
    def teacher(self) -> Choice:
        """The chosen teacher, as it was judged."""

    @property
    def teacher_folder(self) -> Path:
        """Where its bundle belongs."""

    @property
    def folder(self) -> Path:
        """Where the bundle of its student lies."""

    @property
    def student_columns(self) -> list[int]:
        """Where the student's features lie in the lessons' spec."""

    def teacher_held_out(self) -> NDArray[np.float64]:
        """What it says of held-out rows (N, L)."""

    def student_held_out(self) -> NDArray[np.float64]:
        """What its student says of the same rows (N, L), each fold by one that was fitted without it."""

    def golden(self, columns: list[int]) -> NDArray[np.int64]:
        """Which rows are golden, where these columns are known."""


def teacher_bundle(room: Classroom) -> Promoted:
    """Fit the chosen teacher on everything, calibrate it by what it said of held-out rows, compare it with its student, and write its bundle.

    Raises:
        LearnError: it is too large for a bundle; a label has too few held-out rows; the student's bundle is not the one of this cycle.
    """
    recipe, table, chosen = room.recipe, room.lessons, room.teacher
    columns = [choosing.index_of(table, name) for name in chosen.features]
    probabilities = room.teacher_held_out()
    found = calibrating.calibrate(recipe, table, probabilities, columns)
    learn = (table.uses & LEARN) > 0
    taught = teach(
        chosen.kind,
        table.rows[learn][:, columns],
        table.labels[learn],
        table.weights[learn],
        len(recipe.labels),
        recipe.seed,
    )
    made = written(taught, found.temperature, len(columns))
    if len(made.model) > MAX_FILE:
        raise LearnError(
            f"the teacher ({chosen.kind}) has {len(made.model)} bytes as ONNX, a bundle at most {MAX_FILE}",
            hint="leave it out of teacher.kinds, or raise teacher.within: the smallest of the best is taken",
        )
    judged = msgspec.structs.replace(
        chosen,
        judged=table.judge(probabilities, recipe.split.judged),
        bytes=len(made.model),
        parameters=made.parameters,
        operations=made.operations,
    )
    words = Told(
        f"{recipe.name}{TEACHER}",
        f"{TITLES[chosen.kind]}, on {len(columns)} features",
        f"an edge server's answer to a home whose {recipe.name} is unsure, or is to be measured: {recipe.card.intended_use}",
        f"a device to run; {recipe.card.not_for}",
    )
    # Rooms that are judged: the recorded one, and such as it did not learn from.
    shown = np.flatnonzero((table.uses & JUDGE) > 0)
    rows, rooms = table.rows[shown][:, columns], table.room[shown]
    steps = likeness.steps(taught, rows, rooms, widths(table, columns))
    said = calibrating.heated(probabilities, found.temperature)
    card = card_of(room, words, found, judged, said, steps=steps)
    card = msgspec.structs.replace(card, against=_against(room, comparing.Voice(said, columns, card.trust)))
    picked = room.golden(columns)
    golden = table.rows[picked][:, columns]
    answers = calibrating.heated(taught(golden), found.temperature).astype(np.float32)
    manifest = write_bundle(room.teacher_folder, made.model, card, golden, answers, table.labels[picked])
    return Promoted(manifest, judged)


def _against(room: Classroom, teacher: comparing.Voice) -> Against:
    table, columns, local = room.lessons, room.student_columns, load_bundle(room.folder)
    probabilities = room.student_held_out()
    found = calibrating.calibrate(room.recipe, table, probabilities, columns)
    # Its novelty region rests on all rows and on no probability: the card's is what a home judges by.
    if found.sets != local.card.sets:
        raise LearnError(
            f"{room.folder} holds another student than the one that is compared: its thresholds are others",
            hint=f"make it anew, with an empty --work folder: appliance learn calibrate {room.recipe.name}",
        )
    student = comparing.Voice(calibrating.heated(probabilities, found.temperature), columns, local.card.trust)
    return comparing.against(table, student, teacher, local, room.recipe.seed)

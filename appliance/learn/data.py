"""Owns the data: where they are, whether they are the very files, and what a row is.

Never in here: features, or which rows are for what. Data are not in the repository: their licences are their authors' to give.
"""

import csv
import gzip
import hashlib
import io
import os
import zlib
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from appliance.core.clock import SECOND
from appliance.errors import LearnError

VARIABLE = "APPLIANCE_DATA"
SOURCE = (
    "the UCI Machine Learning Repository, data set 357 (doi 10.24432/C5X01N), or the authors' repository "
    "LuisM78/Occupancy-detection-data; text files may be gzipped"
)
TRAINING = "datatraining.txt"
TESTS = {"test 1": "datatest.txt", "test 2": "datatest2.txt"}
PUBLISHED = "uci_occupancy_published_accuracies.csv"
"""The accuracies that the authors note in "Model Development.R" of their repository, as a table; not needed for training."""
DIGESTS = {
    TRAINING: "b2c4d0ce2b9e4e453c476f7125ef31aeec2d1f5c7f5572d0e80de3df6521ab56",
    TESTS["test 1"]: "1b92c7c1b2838963464fa891a610cf3c5db4becb7189189b29b330107a584c7f",
    TESTS["test 2"]: "d026d1bd5aeccd4aff4f3b3710d48e40613bd5fc370db7e61bbdcaa50d985095",
    PUBLISHED: "9c7f6f1e65e1f9486309cdd6946d1af7084041c2809e79b14b176c3a0863f0f1",
}
"""File -> sha256 of its text, not of its gzip: two gzips of one text differ."""
MAX_FILE = 64 << 20


class Row(msgspec.Struct, frozen=True, gc=False):
    """One minute of the room: what is measured (ppm, °C, %), and the truth. Time is local, as Unix nanoseconds."""

    at_ns: int
    co2: float
    temperature: float
    humidity: float
    somebody: bool

    @property
    def day(self) -> int:
        """The number of the day, for splits by day."""
        return self.at_ns // (86_400 * SECOND)


class Published(msgspec.Struct, frozen=True):
    """What the data set's authors reported of one of their models: accuracies in [0, 1]."""

    model: str
    test_1: float
    test_2: float
    uses_time: bool
    uses_light: bool


def folder() -> Path:
    """Return the folder of the data.

    Raises:
        LearnError: $APPLIANCE_DATA is not set, or names no folder.
    """
    named = os.environ.get(VARIABLE)
    if not named or not Path(named).is_dir():
        raise LearnError(
            f"${VARIABLE} {'names no folder: ' + named if named else 'is not set'}",
            hint=f"set it to a folder with {', '.join((TRAINING, *TESTS.values()))} from {SOURCE}",
        )
    return Path(named)


def fetch() -> dict[str, int]:
    """Return the data's files and the sizes of their texts in bytes, after checking each digest. Raises LearnError.

    The published accuracies are left out where they are missing: the report then goes without them.
    """
    wanted = [name for name in DIGESTS if name != PUBLISHED or find(PUBLISHED)]
    return {name: len(read(name)) for name in wanted}


def find(name: str) -> Path | None:
    """Return where a file of this name lies, plain or gzipped, with or without `uci_occupancy_` before it; None if nowhere."""
    names = (name, f"{name}.gz", f"uci_occupancy_{name}", f"uci_occupancy_{name}.gz")
    return next((folder() / one for one in names if (folder() / one).is_file()), None)


def read(name: str) -> bytes:
    """Return the text of one file, unpacked.

    Raises:
        LearnError: it is missing, or not the very file.
    """
    path = find(name)
    if path is None:
        raise LearnError(f"{folder() / name}: there is no such file", hint=f"get it from {SOURCE}")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except (OSError, EOFError, zlib.error) as broken:
        raise LearnError(f"{path}: {broken}", hint=f"get it anew from {SOURCE}") from None
    if hashlib.sha256(content).hexdigest() != DIGESTS[name]:
        raise LearnError(
            f"{path}: another digest than expected, so other data", hint=f"get it anew from {SOURCE}"
        )
    return content


def rows(name: str) -> list[Row]:
    """Return the rows of one file, in order of time. The column Light is not even read: it gives the label away."""
    table = csv.reader(io.StringIO(read(name).decode("utf-8")))
    header = ["id", *next(table)]
    found = []
    for line in table:
        cells = dict(zip(header, line, strict=True))
        at = datetime.fromisoformat(cells["date"]).replace(tzinfo=UTC)
        found.append(
            Row(
                int(at.timestamp()) * SECOND,
                float(cells["CO2"]),
                float(cells["Temperature"]),
                float(cells["Humidity"]),
                cells["Occupancy"] == "1",
            )
        )
    return found


def published() -> list[Published]:
    """Return what the authors reported; nothing where that file is missing."""
    if find(PUBLISHED) is None:
        return []
    found = []
    for line in csv.DictReader(io.StringIO(read(PUBLISHED).decode("utf-8"))):
        # Each formula takes all columns but those that it subtracts.
        light = "-light" not in line["formula"].lower()
        found.append(
            Published(
                line["model"],
                float(line["test1_acc"]),
                float(line["test2_acc"]),
                line["uses_time"] == "True",
                light,
            )
        )
    return found

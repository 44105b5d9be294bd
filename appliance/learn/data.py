"""Owns the data: where they are, whether they are the very files, and what a row is.

Never in here: features, or which rows are for what. Data are not in the repository: their licences are their authors' to give.
"""

import csv
import gzip
import hashlib
import io
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from appliance.core.clock import SECOND
from appliance.errors import LearnError

VARIABLE = "APPLIANCE_DATA"
SOURCE = (
    "UCI Machine Learning Repository, data set 357 (doi 10.24432/C5X01N), or the authors' repository "
    "LuisM78/Occupancy-detection-data; gzip each text file"
)
TRAINING = "uci_occupancy_datatraining.txt.gz"
TESTS = {"test 1": "uci_occupancy_datatest.txt.gz", "test 2": "uci_occupancy_datatest2.txt.gz"}
PUBLISHED = "uci_occupancy_published_accuracies.csv"
DIGESTS = {
    TRAINING: "3fb0af675c133204e85da8911063b40282e8cd7f85cc9e9b1799d342c41d8490",
    TESTS["test 1"]: "594b4a27647103767a06602404a43c922bced5b403d3c10927b69c912a1a55e3",
    TESTS["test 2"]: "c19cd7dc427f83a357e4f026618e2ece4494edf99f5e3ca89f4950a263815912",
    PUBLISHED: "9c7f6f1e65e1f9486309cdd6946d1af7084041c2809e79b14b176c3a0863f0f1",
}
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
            hint=f"set it to a folder with the files from {SOURCE}",
        )
    return Path(named)


def fetch() -> dict[str, int]:
    """Return the data's files and their sizes in bytes, after checking each digest. Raises LearnError."""
    return {name: len(read(name)) for name in DIGESTS}


def read(name: str) -> bytes:
    """Return the bytes of one file as they lie there.

    Raises:
        LearnError: it is missing, or not the very file.
    """
    path = folder() / name
    try:
        if path.stat().st_size > MAX_FILE:
            raise LearnError(f"{path}: larger than {MAX_FILE >> 20} MiB", hint=f"get it anew from {SOURCE}")
        content = path.read_bytes()
    except OSError as broken:
        raise LearnError(f"{path}: {broken.strerror}", hint=f"get it from {SOURCE}") from None
    if hashlib.sha256(content).hexdigest() != DIGESTS[name]:
        raise LearnError(
            f"{path}: another digest than expected, so other data", hint=f"get it anew from {SOURCE}"
        )
    return content


def rows(name: str) -> list[Row]:
    """Return the rows of one file, in order of time. The column Light is not even read: it gives the label away."""
    text = gzip.decompress(read(name)).decode("utf-8")
    table = csv.reader(io.StringIO(text))
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
    """Return what the authors reported."""
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

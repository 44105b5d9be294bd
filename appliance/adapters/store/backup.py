"""Owns copying both files while they are in use. Never in here: when, or where to."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from appliance.adapters.store import schema
from appliance.adapters.store.readonly import read_only
from appliance.errors import StoreError

LONGEST_S = 3600.0


def backup(folder: Path, target: Path) -> None:
    """Copy both files of `folder`, as of one moment each, into `target`, which is made. The writer is not held up.

    Raises:
        StoreError: `target` holds one of them already, or it can't be written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in (schema.DECISIONS, schema.READINGS):
            # Made here, and only here: nothing that lies there is overwritten.
            os.close(os.open(target / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            with (
                read_only(folder / name, LONGEST_S) as source,
                closing(sqlite3.connect(target / name)) as copy,
            ):
                source.backup(copy)
    except FileExistsError:
        raise StoreError(f"{target} holds a backup already", hint="choose an empty folder") from None
    except OSError as broken:
        raise StoreError(f"{target}: {broken.strerror}", hint="choose a folder that can be written") from None

"""Labels are committed with the decisions and found again."""

import sqlite3
import threading

from appliance.adapters.store import Queries, Store, schema
from appliance.core.clock import Instant
from appliance.core.events import Labelled

AT = Instant("boot", 1_000_000_000, 1_768_208_400_000_000_000)
LABEL = Labelled("fan", "presence", "somebody", AT.wall_ns - 7_200_000_000_000, AT.wall_ns, "page")


def committed(store: Store) -> Exception | None:
    told: list[Exception | None] = []
    done = threading.Event()

    def note(error: Exception | None) -> None:
        told.append(error)
        done.set()

    store.confirm(note)
    assert done.wait(5)
    return told[0]


def test_what_was_told_is_there_once_it_is_confirmed_and_after_a_restart(tmp_path) -> None:
    store = Store(tmp_path, lambda: AT)
    store.start()
    store.label(LABEL, AT)
    store.label(Labelled("fan", "presence", "nobody", AT.wall_ns, AT.wall_ns, "http"), AT)
    store.label(Labelled("other", "presence", "nobody", 1, 2, "http"), AT)
    assert committed(store) is None
    assert [one.label for one in Queries(tmp_path).labels("fan", "presence")] == ["somebody", "nobody"]
    store.close()
    again = Store(tmp_path, lambda: AT)
    again.start()
    assert again.queries.labels("fan", "presence")[0] == LABEL
    assert again.queries.labels("fan", "door") == []
    again.close()


def test_a_file_from_before_there_were_labels_is_taken_over(tmp_path) -> None:
    store = Store(tmp_path, lambda: AT)
    store.start()
    store.close()
    with sqlite3.connect(tmp_path / schema.DECISIONS) as file:
        file.execute("DROP TABLE labels")
        file.execute(f"PRAGMA user_version = {schema.LABELLED - 1}")
    file.close()
    assert Queries(tmp_path).labels("fan", "presence") == [], "nobody has migrated it yet"
    store = Store(tmp_path, lambda: AT)
    store.start()
    store.label(LABEL, AT)
    assert committed(store) is None
    assert store.queries.labels("fan", "presence") == [LABEL]
    store.close()

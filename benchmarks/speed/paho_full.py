"""Owns the same work as the daemon's, as one would write it around paho: `paho_full.py PORT MODEL DATABASE`.

Each reading is decoded, goes into half-minute bins of two hours, gives the model's features and is put to the model; one rule decides;
the decision is a row of SQLite with `synchronous=FULL`, committed by a thread of its own with whatever else waits, so that no command
waits for the disk. Never in here: anything of the project's own. It has no trust in readings, no guards, no reasons, no page.
"""

import json
import random
import sqlite3
import sys
import threading
import time

import numpy as np
import onnxruntime as ort
import paho.mqtt.client as mqtt

BIN_S, BINS = 30, 240
COARSE, COARSE_BINS = 20, 48
"""Half-minute bins in one of ten minutes, and how many of those make eight hours."""
QUIET = {"pm2_5": 6.0, "co2": 650.0, "temperature": 22.0, "humidity": 42.0}
STEADY = {"co2": 20.0, "temperature": 0.2}
"""ppm and °C that are added to every range that is divided by, as the shipped model's features have it."""


class Series:
    """The means of the last two hours' bins of one quantity, and the least and greatest of the last eight hours' ten minutes, as if a quiet
    room had been heard before.
    """

    def __init__(self, quiet: float) -> None:
        self.means = np.array([quiet * random.uniform(0.98, 1.02) for _ in range(BINS)])
        self.least = np.full(COARSE_BINS, quiet * 0.98)
        self.greatest = np.full(COARSE_BINS, quiet * 1.02)
        self.bin, self.total, self.count = -1, 0.0, 0

    def add(self, value: float, at: int) -> None:
        if at != self.bin:
            self.means = np.roll(self.means, -1)
            if at // COARSE != self.bin // COARSE:
                self.least, self.greatest = np.roll(self.least, -1), np.roll(self.greatest, -1)
                self.least[-1] = self.greatest[-1] = value
            self.bin, self.total, self.count = at, 0.0, 0
        self.total += value
        self.count += 1
        self.means[-1] = self.total / self.count
        self.least[-1] = min(self.least[-1], value)
        self.greatest[-1] = max(self.greatest[-1], value)


def within(series: Series, steady: float) -> float:
    """Where the last two minutes lie between the least and the greatest of eight hours."""
    low, high = series.least.min(), series.greatest.max()
    return float((series.means[-4:].mean() - low) / (high - low + steady))


def slope(means: np.ndarray) -> float:
    """The least-squares slope of these bins, per minute."""
    times = (np.arange(len(means)) - (len(means) - 1) / 2) * BIN_S / 60
    return float(times @ means / (times @ times))


def features(room: dict[str, Series]) -> np.ndarray:
    """The features of the shipped model: CO2 against its own past, its slopes and its spread, where temperature is in its range, and the hour."""
    co2 = room["co2"].means
    local = time.localtime()
    angle = 2 * np.pi * (local.tm_hour * 60 + local.tm_min) / 1440
    row = (
        co2[-4:].mean() - co2.min(),
        within(room["co2"], STEADY["co2"]),
        slope(co2[-30:]),
        slope(co2[-120:]),
        co2[-60:].std(),
        within(room["temperature"], STEADY["temperature"]),
        np.sin(angle),
        np.cos(angle),
    )
    return np.array([row], np.float32)


class Store:
    """Rows on their way to the disk, and the thread that commits them."""

    def __init__(self, path: str) -> None:
        self.waiting: list[tuple[object, ...]] = []
        self.wake = threading.Condition()
        self.path = path
        threading.Thread(target=self.run, daemon=True).start()

    def put(self, *row: object) -> None:
        with self.wake:
            self.waiting.append(row)
            self.wake.notify()

    def run(self) -> None:
        database = sqlite3.connect(self.path)
        database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE decisions (id INTEGER PRIMARY KEY, at REAL, device TEXT, action TEXT, detail TEXT)"
        )
        while True:
            with self.wake:
                while not self.waiting:
                    self.wake.wait()
                rows, self.waiting = self.waiting, []
            with database:
                database.executemany(
                    "INSERT INTO decisions (at, device, action, detail) VALUES (?,?,?,?)", rows
                )


def main() -> None:
    port, model, database = sys.argv[1:]
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    asked = session.get_inputs()[0].name
    store, rooms = Store(database), {}

    def heard(client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        reading = json.loads(message.payload)
        device = message.topic.split("/")[1]
        room = rooms.get(device)
        if room is None:
            room = rooms[device] = {name: Series(quiet) for name, quiet in QUIET.items()}
        now = time.time()
        for name, series in room.items():
            series.add(float(reading[name]), int(now // BIN_S))
        somebody = float(session.run(None, {asked: features(room)})[0][0][1])
        action = "high" if reading["pm2_5"] > 35 else "low"
        client.publish(f"appliance/{device}/command", f'{{"fan":"{action}"}}')
        store.put(now, device, action, json.dumps({"reading": reading, "somebody": somebody}))

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = heard
    client.on_connect = lambda *_: client.subscribe("sensors/+/state", 1)
    client.connect("127.0.0.1", int(port))
    client.loop_forever()


if __name__ == "__main__":
    main()

"""Owns the report's pictures: SVG texts, the same each time.

Never in here: what the figures are.
"""

import io
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from appliance.learn.choosing import Choice
from appliance.learn.reporting import Shown

mpl.rcParams["svg.hashsalt"] = "appliance"
WORDS = ("sure", "hard", "unlike anything seen", "a feature unknown")
COLOURS = ("#2a9d8f", "#e9c46a", "#e76f51", "#bbbbbb")
MINUTE_NS = 60 * 10**9


def pareto(choices: Sequence[Choice], chosen: Choice) -> str:
    """Bytes against held-out value of all that was tried; what nothing smaller beats is joined."""
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.subplots()
    for kind in dict.fromkeys(one.kind for one in choices):
        own = [one for one in choices if one.kind == kind]
        axes.plot([one.bytes for one in own], [one.judged.value for one in own], "o", label=kind, alpha=0.8)
    front: list[Choice] = []
    for one in sorted(choices, key=lambda one: (one.bytes, -one.judged.value)):
        if not front or one.judged.value > front[-1].judged.value:
            front.append(one)
    axes.plot([one.bytes for one in front], [one.judged.value for one in front], "-", color="#666666", lw=1)
    axes.plot([chosen.bytes], [chosen.judged.value], "o", mfc="none", mec="black", ms=13, label="shipped")
    axes.set_xscale("log")
    axes.set_xlabel("bytes (teachers: pickled)")
    axes.set_ylabel("held-out value")
    axes.legend(fontsize=8, loc="lower right")
    return _svg(figure)


def reliability(shown: dict[str, Shown], labels: Sequence[str]) -> str:
    """How often the last label was true against the probability that was given, by test."""
    figure = Figure(figsize=(6.4, 3.2))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#999999", lw=1)
    for test, one in shown.items():
        known = np.isfinite(one.said).all(axis=1)
        said = one.said[known, -1]
        true = one.labels[known] == len(labels) - 1
        at = np.minimum((said * 10).astype(int), 9)
        some = [place for place in range(10) if (at == place).sum() >= 20]
        axes.plot(
            [said[at == p].mean() for p in some], [true[at == p].mean() for p in some], "o-", label=test
        )
    axes.set_xlabel(f"probability of “{labels[-1]}”")
    axes.set_ylabel("share that was so")
    axes.legend(fontsize=8)
    return _svg(figure)


def day(one: Shown, title: str, labels: Sequence[str]) -> str:
    """One day: what was told, the truth, and where it was sure, hard or unlike."""
    recording = max(one.recordings, key=lambda some: len(some.at_ns))
    start = sum(len(some.at_ns) for some in one.recordings[: one.recordings.index(recording)])
    days, counts = np.unique(recording.days, return_counts=True)
    # Of the whole days the one on which most is going on.
    whole = [day for day, count in zip(days, counts, strict=True) if count >= 0.8 * counts.max()]
    moving = max(whole, key=lambda some: np.abs(np.diff(recording.labels[recording.days == some])).sum())
    rows = np.flatnonzero(recording.days == moving)
    hours = (recording.at_ns[rows] % (1440 * MINUTE_NS)) / (60 * MINUTE_NS)
    figure = Figure(figsize=(8.0, 4.2))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 2])
    for name, column in list(recording.values.items())[:3]:
        values = column[rows]
        spread = np.nanmax(values) - np.nanmin(values)
        upper.plot(hours, (values - np.nanmin(values)) / (spread or 1.0), lw=1, label=name)
    upper.set_ylabel("of the day's range")
    upper.legend(fontsize=7, ncols=3, loc="upper left")
    upper.set_title(title, fontsize=9)
    lower.plot(
        hours, one.said[start + rows, -1], color="black", lw=0.8, label=f"probability of “{labels[-1]}”"
    )
    lower.fill_between(
        hours, 0, one.labels[rows + start] > 0, step="mid", color="#264653", alpha=0.15, label="truth"
    )
    for kind, (word, colour) in enumerate(zip(WORDS, COLOURS, strict=True)):
        own = one.kind[start + rows] == kind
        lower.fill_between(
            hours, -0.15, -0.04, where=own.tolist(), step="mid", color=colour, label=word, lw=0
        )
    lower.set_ylim(-0.17, 1.05)
    lower.set_xlabel("hour of the day")
    lower.legend(fontsize=6, ncols=3, loc="upper left")
    return _svg(figure)


class Curve(NamedTuple):
    """One policy: shares of cases that are asked over the network, the accuracy at each, and its interval."""

    name: str
    shares: Sequence[float]
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


class Panel(NamedTuple):
    """One set of rows: its curves, the accuracy (and name) of asking nobody, the share, accuracy (and name) of asking always, and the kilobytes
    of a day on which all is asked.
    """

    name: str
    curves: Sequence[Curve]
    nobody: tuple[float, str]
    always: tuple[float, float, str]
    whole_kb: float


def offloading(panels: Sequence[Panel], title: str) -> str:
    """Accuracy against the share that is asked, a panel each; what asking nobody gives is a line across. Intervals are those of the first curve."""
    figure = Figure(figsize=(4.2 * min(len(panels), 2), 3.4 * -(-len(panels) // 2) + 0.9))
    axes = np.atleast_1d(figure.subplots(-(-len(panels) // 2), min(len(panels), 2))).ravel()
    for place, panel in zip(axes, panels, strict=False):
        place.axhline(panel.nobody[0], color="#666666", lw=1, ls="--", label=panel.nobody[1])
        for number, (curve, colour) in enumerate(zip(panel.curves, COLOURS, strict=False)):
            shares = [100 * share for share in curve.shares]
            place.plot(shares, curve.values, "o-", ms=3, lw=1.2, color=colour, label=curve.name)
            if not number:
                place.fill_between(shares, curve.low, curve.high, color=colour, alpha=0.15, lw=0)
        share, value, name = panel.always
        place.plot([100 * share], [value], "s", ms=5, color="#264653", label=name)
        place.set_xscale("log")
        place.set_xlim(0.4, 115)
        place.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
        place.minorticks_off()
        above = place.twiny()
        above.set_xscale("log")
        above.set_xlim(0.004 * panel.whole_kb, 1.15 * panel.whole_kb)
        above.set_xlabel("kB a day", fontsize=7)
        above.tick_params(labelsize=6)
        place.set_title(panel.name, fontsize=9)
        place.set_xlabel("asked over the network, % of cases", fontsize=8)
        place.set_ylabel("accuracy", fontsize=8)
        place.tick_params(labelsize=7)
        place.legend(fontsize=6)
    for place in axes[len(panels) :]:
        place.set_visible(False)
    figure.suptitle(title, fontsize=9)
    return _svg(figure)


def _svg(figure: Figure) -> str:
    figure.tight_layout()
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    whole = text.getvalue()
    return whole[whole.index("<svg") :]

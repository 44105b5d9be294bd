"""Owns the picture of a comparison: what each side would have done, where they part, and the air of then, as SVG text.

It draws with its own few shapes, so that it needs no library; colours follow the reader's light or dark scheme. Never in
here: comparing, or files.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from html import escape
from itertools import groupby
from math import sqrt

from appliance.core.clock import SECOND
from appliance.core.profile import Appliance
from appliance.replay.differing import Course, Difference, limits

WIDTH = 1000
LEFT, RIGHT = 96, 16
BAND, AIR, GAP = 22, 140, 8
PANEL = 264
HEAD = 24
"""Above the highest point of the air its name is written."""
MIN_WIDTH = 0.4
"""Pixels that the shortest piece is drawn with: of a fortnight two minutes are a tenth of one."""
MIN_PART = 1.2
"""Where they part is what the picture is looked at for: that is never thinner."""
LETTER = 6.6
"""About the width of a letter at 12 px."""
STEEP = 8
"""From a peak so many times the lowest limit on, the air is drawn on a scale of roots: its limits could not be told apart."""
MAX_SHAPES = 20_000
X = Callable[[int], float]
"""Wall time in nanoseconds -> pixels from the left."""

STYLE = """\
  svg { --back: #ffffff; --ink: #1f2328; --soft: #6e7781; --line: #d0d7de; --does: #0969da; --mode: #9a6700; --part: #cf222e; }
  @media (prefers-color-scheme: dark) {
    svg { --back: #0d1117; --ink: #e6edf3; --soft: #8b949e; --line: #30363d; --does: #58a6ff; --mode: #d29922; --part: #ff7b72; }
  }
  text { font: 12px system-ui, sans-serif; fill: var(--ink); }
  .soft { fill: var(--soft); } .does { fill: var(--does); } .mode { fill: var(--mode); } .part { fill: var(--part); }
  .frame { fill: none; stroke: var(--line); } .air { fill: none; stroke: var(--ink); stroke-width: 1.2; }
  .limit { stroke: var(--soft); stroke-dasharray: 4 4; } .title { font-weight: 600; font-size: 14px; }
"""


def picture(
    difference: Difference,
    old: Mapping[str, Appliance],
    new: Mapping[str, Appliance],
    zone: tzinfo,
    names: tuple[str, str] = ("old", "new"),
) -> str:
    """Return the SVG: a panel an appliance, with a band a side, a strip where they part, and the line of the air."""
    courses = {name: course for name, course in difference.courses.items() if course.pieces}
    height = max(1, len(courses)) * PANEL + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>What {escape(names[0])} and {escape(names[1])} would have done</title>",
        f"<style>\n{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" style="fill: var(--back)"/>',
    ]
    if not courses:
        lines.append('<text x="20" y="40">There is no history in this time.</text>')
    for index, (name, course) in enumerate(courses.items()):
        lines.append(f'<g transform="translate(0 {index * PANEL})">')
        lines += _panel(course, old[name], new[name], names, zone)
        lines.append("</g>")
    return "\n".join([*lines, "</svg>", ""])


def _panel(
    course: Course, old: Appliance, new: Appliance, names: tuple[str, str], zone: tzinfo
) -> Iterator[str]:
    since, until = course.pieces[0].since.wall_ns, course.pieces[-1].until.wall_ns
    scale = (WIDTH - LEFT - RIGHT) / max(until - since, 1)

    def x(wall_ns: int) -> float:
        return LEFT + (wall_ns - since) * scale

    yield f'<text class="title" x="{LEFT}" y="22">{escape(new.title)}</text>'
    yield from _legend(new)
    tops = (34, 34 + BAND + 4)
    for side, spec in enumerate((old, new)):
        yield f'<text class="soft" x="{LEFT - 8}" y="{tops[side] + 15}" text-anchor="end">{escape(names[side][:9])}</text>'
        yield from _band(course, side, spec, tops[side], x)
    strip = tops[1] + BAND + 4
    yield f'<text class="soft" x="{LEFT - 8}" y="{strip + 8}" text-anchor="end">they part</text>'
    yield f'<line class="frame" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{strip + 4}" y2="{strip + 4}"/>'
    for piece in course.differing[:MAX_SHAPES]:
        left = x(piece.since.wall_ns)
        width = max(x(piece.until.wall_ns) - left, MIN_PART)
        label = f"{_label(piece.since.wall_ns, zone)}: {piece.actions[0] or 'nothing'}, not {piece.actions[1] or 'nothing'}"
        yield f'<rect class="part" x="{left:.1f}" y="{strip}" width="{width:.1f}" height="8"><title>{escape(label)}</title></rect>'
    top = strip + 8 + GAP
    yield from _air(course, old, new, top, x)
    yield from _days(since, until, zone, top + AIR, x)


def _band(course: Course, side: int, spec: Appliance, top: int, x: X) -> Iterator[str]:
    """Yield one side's actions as boxes, the stronger the deeper; a time of which nothing is known stays empty."""
    ranks = {
        action: index / max(len(spec.ladder.actions) - 1, 1)
        for index, action in enumerate(spec.ladder.actions)
    }
    boxes: dict[str, list[str]] = {}
    drawn = 0
    begin: int | None = None
    for index, piece in enumerate(course.pieces):
        begin = piece.since.wall_ns if begin is None else begin
        after = course.pieces[index + 1] if index + 1 < len(course.pieces) else None
        if after is not None and after.actions[side] == piece.actions[side] and after.since == piece.until:
            continue
        action = piece.actions[side]
        left, right = x(begin), x(piece.until.wall_ns)
        begin = None
        if action is None or drawn >= MAX_SHAPES:
            continue
        drawn += 1
        width = max(right - left, MIN_WIDTH)
        boxes.setdefault(action, []).append(f"M{left:.1f} {top}h{width:.1f}v{BAND}h-{width:.1f}z")
    for action, path in boxes.items():
        known = action in ranks
        strength = _strength(ranks[action]) if known else 0.7
        yield (
            f'<path class="{"does" if known else "mode"}" fill-opacity="{strength:.2f}" d="{"".join(path)}">'
            f"<title>{escape(action)}</title></path>"
        )
    yield f'<rect class="frame" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{BAND}"/>'


def _strength(rank: float) -> float:
    """Return how deep an action is drawn, of 0 (the lowest) to 1 (the highest)."""
    return 0.06 + 0.94 * rank


def _air(course: Course, old: Appliance, new: Appliance, top: int, x: X) -> Iterator[str]:
    """Yield the line of the channel that most rules look at, with the limits on it."""
    yield f'<rect class="frame" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{AIR}"/>'
    if not course.air or course.channel is None:
        return
    marks = sorted({limit[1] for spec in (old, new) for limit in limits(spec) if limit[0] == course.channel})
    peak = max(value for _, value in course.air)
    high = max([peak, *(mark for mark in marks if mark <= 2 * peak)]) or 1.0
    low = min(0.0, *(value for _, value in course.air))

    steep = low >= 0 and bool(marks) and 0 < marks[0] * STEEP < high

    def y(value: float) -> float:
        share = max((value - low) / (high - low), 0.0)
        return top + AIR - (sqrt(share) if steep else share) * (AIR - HEAD)

    unit = new.channels[course.channel].quantity.unit if course.channel in new.channels else ""
    name = ", ".join(part for part in (course.channel, unit, "scale of roots" if steep else "") if part)
    below = float("inf")
    for mark in marks:
        # Limits that lie closer than can be read are drawn as their lowest.
        if low <= mark <= high and below - y(mark) >= 12:
            below = y(mark)
            yield f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{below:.1f}" y2="{below:.1f}"/>'
            yield f'<text class="soft" x="{LEFT - 8}" y="{below + 4:.1f}" text-anchor="end">{mark:g}</text>'
    path, before = [], None
    for wall_ns, value in _thinned(course.air, x):
        far = before is None or wall_ns - before > 3600 * SECOND
        path.append(f"{'M' if far else ' '}{x(wall_ns):.1f} {y(value):.1f}")
        before = wall_ns
    yield f'<path class="air" d="{"".join(path)}"/>'
    yield f'<text class="soft" x="{LEFT + 6}" y="{top + 15}">{escape(name)}</text>'


def _thinned(air: list[tuple[int, float]], x: X) -> Iterator[tuple[int, float]]:
    """Yield of each column of pixels the highest and the lowest point: more can't be seen."""
    for _, column in groupby(air, lambda point: int(x(point[0]))):
        points = list(column)
        ends = {
            min(points, key=lambda point: point[1]): None,
            max(points, key=lambda point: point[1]): None,
        }
        yield from sorted(ends)


def _days(since: int, until: int, zone: tzinfo, top: int, x: X) -> Iterator[str]:
    """Yield a label at each midnight, or each few hours of a short time."""
    hours = next((step for step in (1, 3, 6, 12, 24) if (until - since) / SECOND / 3600 / step <= 14), 48)
    at = datetime.fromtimestamp(since / SECOND, zone).replace(minute=0, second=0, microsecond=0)
    at = at.replace(hour=0)
    while (wall := round(at.timestamp()) * SECOND) <= until:
        if wall >= since:
            text = f"{at:%d %b}" if at.hour == 0 else f"{at:%H:%M}"
            yield f'<line class="frame" x1="{x(wall):.1f}" x2="{x(wall):.1f}" y1="{top}" y2="{top + 5}"/>'
            yield f'<text class="soft" x="{x(wall):.1f}" y="{top + 18}" text-anchor="middle">{text}</text>'
        # Through UTC: a day of a clock change has 23 or 25 hours.
        at = (at.astimezone(UTC) + timedelta(hours=min(hours, 24))).astimezone(zone)
        if hours >= 24:
            at = (at + timedelta(hours=2)).replace(hour=0)
            if hours > 24:
                at = (at + timedelta(hours=26)).replace(hour=0)


def _legend(spec: Appliance) -> Iterator[str]:
    """Yield what each depth means, from the right edge on: as wide as the words are."""
    actions = spec.ladder.actions
    left = float(WIDTH - RIGHT)
    for index, action in reversed(list(enumerate(actions))):
        word = action[:12]
        left -= 34 + LETTER * len(word)
        strength = _strength(index / max(len(actions) - 1, 1))
        yield f'<rect class="does" fill-opacity="{strength:.2f}" x="{left:.0f}" y="12" width="12" height="12"/>'
        yield f'<text class="soft" x="{left + 16:.0f}" y="22">{escape(word)}</text>'


def _label(wall_ns: int, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(wall_ns / SECOND, zone):%Y-%m-%d %H:%M}"

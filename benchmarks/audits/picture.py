"""Owns the picture of a model's authority over time: the interval of its disagreement, the budget, and when it may act.

Never in here: auditing.
"""

from html import escape

WIDTH, LEFT, RIGHT = 1000, 64, 16
TOP, RATE, GAP, DOUBT, BAR = 30, 220, 34, 60, 24
STYLE = """\
  svg { --back: #ffffff; --ink: #1f2328; --soft: #6e7781; --line: #d0d7de; --good: #0969da; --bad: #cf222e; --away: #fff8c5; }
  @media (prefers-color-scheme: dark) {
    svg { --back: #0d1117; --ink: #e6edf3; --soft: #8b949e; --line: #30363d; --good: #58a6ff; --bad: #ff7b72; --away: #272115; }
  }
  text { font: 12px system-ui, sans-serif; fill: var(--ink); } .soft { fill: var(--soft); } .title { font-weight: 600; font-size: 14px; }
  .frame { fill: none; stroke: var(--line); } .away { fill: var(--away); } .between { fill: var(--good); opacity: .22; }
  .rate { fill: none; stroke: var(--good); stroke-width: 1.4; } .budget { stroke: var(--bad); stroke-dasharray: 5 4; }
  .doubt { fill: none; stroke: var(--ink); stroke-width: 1.2; } .acts { fill: var(--good); } .fallen { fill: var(--bad); }
"""


def picture(points, phases, budget: float, rise: float, title: str) -> str:
    """`points`: (day, Standing) in order; `phases`: (first day, last day, name, elsewhere)."""
    days = phases[-1][1]
    top = 0.16
    x = lambda day: LEFT + (WIDTH - LEFT - RIGHT) * day / days  # noqa: E731
    y = lambda rate: TOP + RATE * (1 - min(rate, top) / top)  # noqa: E731
    below, bar = TOP + RATE + GAP, TOP + RATE + GAP + DOUBT + 22
    height = bar + BAR + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" style="fill: var(--back)"/>',
        f'<text class="title" x="{LEFT}" y="18">{escape(title)}</text>',
    ]
    for first, last, name, away in phases:
        if away:
            lines.append(
                f'<rect class="away" x="{x(first):.1f}" y="{TOP}" width="{x(last) - x(first):.1f}" height="{bar + BAR - TOP}"/>'
            )
        lines.append(
            f'<text class="soft" x="{x(first) + 4:.1f}" y="{TOP + 14}">{escape(name)}, day {first} to {last}</text>'
        )
    for whole in runs(points):
        # Half a thousand points are as many as one can see.
        step = max(1, len(points) // 500)
        run = [*whole[:-1:step], whole[-1]]
        if len(run) > 1:
            there = " ".join(f"{x(day):.1f} {y(one.high):.1f}" for day, one in run)
            back = " ".join(f"{x(day):.1f} {y(one.low):.1f}" for day, one in reversed(run))
            lines.append(f'<path class="between" d="M{there} {back}Z"/>')
            rate = " ".join(f"{x(day):.1f} {y(one.disagreed / one.trials):.1f}" for day, one in run)
            lines.append(f'<path class="rate" d="M{rate}"/>')
            doubt = " ".join(f"{x(day):.1f} {below + DOUBT * (1 - one.doubt):.1f}" for day, one in run)
            lines.append(f'<path class="doubt" d="M{doubt}"/>')
        first, last = run[0][0], run[-1][0]
        kind = "acts" if run[0][1].acts else "fallen"
        lines.append(
            f'<rect class="{kind}" x="{x(first):.1f}" y="{bar}" width="{max(1.0, x(last) - x(first)):.1f}" height="{BAR}"/>'
        )
        lines.append(
            f'<text x="{x(first) + 4:.1f}" y="{bar + BAR + 14}">{"may act" if kind == "acts" else "fallen"} from day {first:.1f}</text>'
        )
    for rate, name in ((budget, "budget"), (rise, "to rise: below")):
        lines.append(
            f'<line class="budget" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(rate):.1f}" y2="{y(rate):.1f}"/>'
        )
        lines.append(
            f'<text class="soft" x="{WIDTH - RIGHT - 4}" y="{y(rate) - 3:.1f}" text-anchor="end">{name} {rate:.2%}</text>'
        )
    for tick in (0.0, 0.04, 0.08, 0.12, 0.16):
        lines.append(
            f'<text class="soft" x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.0%}</text>'
        )
    lines += [
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{RATE}"/>',
        f'<rect class="frame" x="{LEFT}" y="{below}" width="{WIDTH - LEFT - RIGHT}" height="{DOUBT}"/>',
        f'<text class="soft" x="{LEFT}" y="{below - 6}">evidence for the next change of standing: none (bottom) to enough (top)</text>',
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def runs(points):
    """The stretches between changes of standing."""
    found = []
    for day, one in points:
        if not found or found[-1][-1][1].acts is not one.acts:
            found.append([])
        found[-1].append((day, one))
    return found

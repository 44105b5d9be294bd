"""D8: paths that lead out of the page's files. Promise: nothing is served but what stands in the table of files."""

import asyncio
from itertools import product

from tests.adapters.conftest import ROOT
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, exactly
from tests.faults.wire import Answer, ask, say

ROW = Row("D8", "path traversal", "404; 0 files outside the page's", minutes=0.5)
ASSETS = ROOT / "appliance/adapters/http/assets"
UP = (
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "..%00",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "..;",
    "....",
    "%uff0e%uff0e",
    "..%5c..",
)
SEPARATORS = ("/", "%2f", "%5c", "\\", "//", "%252f", "%c0%af")
GOALS = ("etc/passwd", "app.py", "pages.py", "config.toml", "state/token", "token", "__init__.py")
OTHERS = (
    "/assets/", "/assets", "/assets/.", "/assets//index.html/..", "/assets/page.css%00.html", "/assets/page.css/", "/assets/PAGE.CSS", "/assets/page.css.gz",
    "/assets/%70age.css%20", "/assets/page.css;x", "/.git/config", "/..", "//etc/passwd", "/assets/file:///etc/passwd", "/assets/C:%5cwindows",
    "/assets/%", "/assets/%zz", "/assets/*", "/assets/page.*", "/assets/" + "a" * 5000, "/assets/proc/self/environ", "/assets/../../state/token",
)  # fmt: skip


async def _all(port: int) -> list[Answer]:
    paths = [
        f"{start}{up}{separator}" * depth + goal
        for up, separator, goal in product(UP, SEPARATORS, GOALS)
        for start, depth in (("", 6),)
    ]
    return [
        await say(port, ask(path))
        for path in (*(f"/assets/{path}" for path in paths), *(f"/{path}" for path in paths[::7]), *OTHERS)
    ]


def run(lab: Lab, size: Size) -> list[Figure]:
    del size
    daemon = lab.home()
    answers = asyncio.run(_all(daemon.port))
    own = [asyncio.run(say(daemon.port, ask(f"/assets/{file.name}"))) for file in sorted(ASSETS.iterdir())]
    spilt = (b"root:", b"Never in here", b"[mqtt]", daemon.token.encode())
    wrong = [answer for answer in answers if answer.status not in (400, 404)]
    return [
        at_least("paths", len(answers), "", 500),
        exactly(f"not refused with 404 or 400{wrong[0].raw[:60] if wrong else ''}", len(wrong), "", 0),
        exactly(
            "files outside told", sum(any(text in answer.raw for text in spilt) for answer in answers), "", 0
        ),
        exactly("files of the page served", sum(answer.status == 200 for answer in own), "", len(own)),
    ]

"""D3: somebody guesses at the token. Promise: every guess is refused, five a minute are looked at, and others are not locked out."""

import asyncio
import statistics

from tests.faults.handle import Handle
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most, exactly
from tests.faults.wire import Answer, ask, bearer, say

ROW = Row("D3", "wrong tokens", "1,000 refused; locked out after 5 a minute", minutes=2)
PATH = "/v1/appliances/fan/override"
GUESSER = "127.9.9.9"


async def _guess(daemon: Handle, count: int) -> tuple[list[Answer], Answer, Answer, list[float]]:
    port, token = daemon.port, daemon.token
    guesses = ["", "x", token[:-1], token + "x", token.swapcase(), token[::-1], f"{token} {token}", "é" * 22]
    guesses += [f"{number:022d}" for number in range(count - len(guesses))]
    answers = [
        await say(port, ask(PATH, bearer(guess), method="DELETE"), source=GUESSER) for guess in guesses
    ]
    right = ask(PATH, bearer(token), method="DELETE")
    locked = await say(port, right, source=GUESSER)
    other = await say(port, right, source="127.9.9.8")
    # One wrong sign at the beginning, or at the end: from other addresses, in turn, so that noise falls on both alike.
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(count):
        first = number % 2 == 0
        wrong = (
            ("-" if token[0] != "-" else "_") + token[1:]
            if first
            else token[:-1] + ("-" if token[-1] != "-" else "_")
        )
        source = f"127.10.{number // 5 // 250}.{number // 5 % 250 + 1}"
        answer = await say(port, ask(PATH, bearer(wrong), method="DELETE"), source=source)
        took[first].append(answer.seconds)
        answers.append(answer)
    return answers, locked, other, [statistics.median(took[first]) * 1e6 for first in (True, False)]


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    count = size.of(1000, 100)
    answers, locked, other, (first_us, last_us) = asyncio.run(_guess(daemon, count))
    guessed = answers[:count]
    log = daemon.log()
    figures = [
        at_least("wrong tokens from one address", len(guessed), "", count),
        exactly(
            "of all, refused with 401 or 429",
            sum(answer.status in (401, 429) for answer in answers),
            "",
            len(answers),
        ),
        at_most("from one address looked at, 401", sum(answer.status == 401 for answer in guessed), "", 5),
        exactly("the right token from there meanwhile", locked.status, "", 429),
        exactly("the right token from another address", other.status, "", 200),
        at_most("lines in the log of that address", log.count(GUESSER), "", 5),
        Figure("first sign wrong, median", first_us, "µs", "reported", holds=True),
        Figure("last sign wrong, median", last_us, "µs", "reported", holds=True),
    ]
    if not size.quick:
        right = ask(PATH, bearer(daemon.token), method="DELETE")
        ends = lab.took(lambda: asyncio.run(say(daemon.port, right, source=GUESSER)).status == 200, 70)
        figures.append(at_most("the lockout ends after", ends, "s", 60.5))
    return figures

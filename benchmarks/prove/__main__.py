"""`python benchmarks/prove`: how long proofs take: of each shipped profile, and of one made up, with 40 rules over 8 channels."""

import resource
import time
import tomllib
from collections import Counter
from random import Random

from appliance.config import shipped_profiles
from appliance.config.alone import alone, shipped
from appliance.core.profile import Appliance
from appliance.prove import Asked, prove

RULES = 40
CLAIMS = 5
CHANNELS = {
    "pm2_5": (5, 150),
    "co2": (500, 2500),
    "temperature": (5, 35),
    "humidity": (20, 90),
    "voc_index": (50, 400),
    "illuminance": (10, 5000),
    "power": (1, 2000),
    "pressure": (950, 1040),
}
ACTIONS = ("off", "low", "medium", "high", "turbo")


def condition(random: Random) -> str:
    channel = random.choice(list(CHANNELS))
    level = round(random.uniform(*CHANNELS[channel]), 1)
    kind = random.random()
    if kind < 0.6:
        return f"{channel} {random.choice('<>')} {level}"
    if kind < 0.7:
        return f"mean({channel}, 10 min) > {level}"
    if kind < 0.8:
        return f"{channel} > {level} for 5 min"
    return "time is between 22:00 and 07:00" if kind < 0.9 else f"{channel} is unknown"


def made_up(seed: int = 4) -> Appliance:
    """Return an appliance nobody would want: random rules, many of which contradict each other."""
    random = Random(seed)
    text = f'name = "made_up"\ntitle = "Made up"\nactions = {list(ACTIONS)}\nrest = "off"\nsafe = "off"\n'.replace(
        "'", '"'
    )
    text += "".join(f"[channels.{name}]\n" for name in CHANNELS)
    text += '[guards.minimum_on]\nfor = "5 min"\n[guards.minimum_off]\nfor = "1 min"\n[guards.switches]\nper_hour = 10\n'
    text += '[fallback]\nbecause = "nobody asks"\n'
    for number in range(RULES):
        join = random.choice((" and ", " or "))
        when = join.join(f"({condition(random)})" for _ in range(random.randint(1, 4)))
        key = random.choice(("at_least", "at_least", "at_most"))
        action = random.choice(ACTIONS[1:] if key == "at_least" else ACTIONS[:-1])
        authority = random.choice(["RULE"] * 6 + ["EQUIPMENT", "LIFE_SAFETY"])
        until = f'until = "{condition(random)}"\n' if random.random() < 0.5 else ""
        text += f'[[rules]]\nid = "r{number}"\nwhen = "{when}"\n{until}{key} = "{action}"\nauthority = "{authority}"\nbecause = "so"\n'
    for number in range(CLAIMS):
        text += f'[[invariants]]\nid = "c{number}"\nwhen = "{condition(random)}"\nat_most = "medium"\n'
        text += 'unless = ["MANUAL", "EQUIPMENT", "LIFE_SAFETY"]\nbecause = "so it must be"\n'
    return alone(tomllib.loads(text), where="made up")


def main() -> None:
    print(f"{'appliance':<18}{'rules':>6}{'claims':>7}{'queries':>8}{'wall s':>8}{'CPU s':>7}  answers")
    for spec in (*(shipped(name)[0] for name in sorted(shipped_profiles())), made_up()):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        (report,) = prove([Asked(spec)], seconds_each=120)
        wall = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found = Counter(answer.outcome.value for answer in report.answers)
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))
        claims = sum(answer.claim for answer in report.answers)
        print(
            f"{spec.id:<18}{len(spec.rules):>6}{claims:>7}{report.queries:>8}{wall:>8.2f}{cpu:>7.2f}  {told}"
        )


if __name__ == "__main__":
    main()

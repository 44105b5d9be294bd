"""Owns the closed loop: a seeded home, a policy in it, and what comes of it by the truth.

Whatever moves no particles is the same under every policy (people, windows, weather), so it is recorded once a home; a policy
then lives in the particles' balance and the particle sensor alone, with the simulator's own sensor and numbers. `checked` holds
that against the whole simulator. Never in here: choosing or comparing policies.
"""

import copy
from datetime import UTC, datetime, timedelta
from math import exp

import numpy as np
import policies

from appliance.simulate import Home, HomeParameters
from appliance.simulate.purifier import COMMANDED, OUTPUTS

FIGURES = ("exposure", "kWh", "switches", "loud")
STEP_S = 30
WARM_UP = 1440
"""Minutes before anything is scored: the model's baselines span a day."""
LOUD_DBA = 40.0
"""Loud at night, 22:00 to 07:00 (assumed: between the 30 dB(A) of steady noise and the 45 dB(A) of single events that WHO's
community noise guidelines of 1999 name for bedrooms)."""
_OUTPUT = {action: OUTPUTS[int(mode)] for action, mode in COMMANDED.items() if mode not in ("off", "auto")}
_OUTPUT["off"] = OUTPUTS[0]


def start_of(seed: int) -> datetime:
    """Homes begin at 17:00 on days spread over the year."""
    return datetime(2026, 1, 1, 17, 0, tzinfo=UTC) + timedelta(days=seed * 89 % 365)


def home_of(seed: int) -> Home:
    parameters = HomeParameters.draw(np.random.default_rng(10_000 + seed))
    return Home(seed, start=start_of(seed), step_s=STEP_S, parameters=parameters)


class Score:
    """Adds up, minute by minute; `figures` are per day: µg/m³·h while somebody is home, kWh, changes of level, loud minutes."""

    def __init__(self) -> None:
        self.exposure = self.wh = 0.0
        self.switches = self.loud = self.minutes = 0

    def minute(self, pm2_5: float, somebody: bool, night: bool, sound: float, switched: bool) -> None:
        self.minutes += 1
        self.exposure += pm2_5 / 60.0 if somebody else 0.0
        self.loud += somebody and night and sound >= LOUD_DBA
        self.switches += switched

    def figures(self) -> list[float]:
        days = self.minutes / 1440
        return [self.exposure / days, self.wh / 1000 / days, self.switches / days, self.loud / days]


def live(seed: int, policy, minutes: int, said: list, watch=None) -> list[float]:
    """Let a whole home live under a policy; return its figures."""
    home, score, before = home_of(seed), Score(), "off"
    for minute in range(WARM_UP + minutes):
        if minute == WARM_UP:
            began = home.truth.energy_kwh
        home.elapse(60)
        action = policy.decide(minute, home.measure(), said[minute])
        home.set_level(action)
        if watch is not None:
            watch(policy)
        if minute >= WARM_UP:
            truth = home.truth
            score.minute(
                truth.pm2_5, truth.people_home > 0, night(home.now), truth.sound_dba, action != before
            )
        before = action
    score.wh = 1000 * (home.truth.energy_kwh - began)
    return score.figures()


def night(now: datetime) -> bool:
    return now.hour >= 22 or now.hour < 7


class Stage:
    """What one home does to its air whatever the purifier does, and a fresh particle sensor."""

    def __init__(self, seed: int, minutes: int) -> None:
        home = home_of(seed)
        dwelling = home.dwelling
        self.probe = copy.deepcopy(home._instruments.probes["living_air"][0])  # noqa: SLF001  with its seed
        self.pm2_5 = dwelling.air.pm2_5
        self.shell, self.share = home.dwelling.home.shell(), dwelling.home.clean_share
        leak, volume = dwelling.home.leak_per_h, self.shell.volume_m3
        self.steps, self.somebody, self.night = [], [], []
        for _ in range(WARM_UP + minutes):
            pair = []
            for _ in range(60 // STEP_S):
                moment, outside = dwelling.moment, dwelling.outside
                window = dwelling.home.window_per_h if moment.window else 0.0
                pair.append(
                    (
                        (self.shell.penetration * leak + window) * outside.pm2_5
                        + moment.sources.pm2_5 / volume,
                        leak + window + self.shell.deposition_per_h,
                    )
                )
                home.elapse(STEP_S)
            self.steps.append(pair)
            self.somebody.append(dwelling.moment.home > 0)
            self.night.append(night(home.now))

    def live(self, policy, said: list) -> list[float]:
        """Let the policy live through it; return its figures."""
        probe, pm2_5, score = copy.deepcopy(self.probe), self.pm2_5, Score()
        hours, step, before = STEP_S / 3600.0, 0, "off"
        output, wh = _OUTPUT["off"], 0.0
        cleans = {
            action: out.clean_m3_per_h * self.share / self.shell.volume_m3 for action, out in _OUTPUT.items()
        }
        for minute, pair in enumerate(self.steps):
            for inflow, losses in pair:
                losses += cleans[before]
                end = inflow / losses
                pm2_5 = end + (pm2_5 - end) * exp(-losses * hours)
                step += 1
                probe.follow(pm2_5, STEP_S)
                probe.poll(step * STEP_S, step)
            if minute >= WARM_UP:
                wh += output.power_w / 60.0
            action = policy.decide(minute, {"pm2_5": probe.told}, said[minute])
            output = _OUTPUT[action]
            if minute >= WARM_UP:
                score.minute(
                    pm2_5, self.somebody[minute], self.night[minute], output.sound_dba, action != before
                )
            before = action
        score.wh = wh
        return score.figures()


def checked(stage: Stage, seed: int, minutes: int) -> list[float]:
    """A policy in the whole simulator, which must give what the stage gives."""
    nothing = [None] * (WARM_UP + minutes)
    whole = live(seed, policies.Hysteresis(12, 8, 2), minutes, nothing)
    short = stage.live(policies.Hysteresis(12, 8, 2), nothing)
    if not np.allclose(whole, short, rtol=1e-6):
        raise SystemExit(f"home {seed}: the whole simulator gives {whole}, the short way {short}")
    return whole


def with_model(seed: int, minutes: int) -> tuple[list[float], list[bool | None]]:
    """Our rules with the model: their figures, and what the model said in each minute."""
    said: list[bool | None] = []
    rules = policies.Rules("model", start_of(seed))
    figures = live(
        seed, rules, minutes, [None] * (WARM_UP + minutes), lambda policy: said.append(policy.present())
    )
    return figures, said

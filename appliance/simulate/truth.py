"""Owns what a simulated home tells of itself to whoever scores: the truth, which no sensor has.

Never in here: how it came about.
"""

import msgspec


class Truth(msgspec.Struct, frozen=True):
    """What really is, whatever sensors say: as of the last step, so at most `step_s` old.

    Particles in µg/m³, CO2 in ppm, °C, % relative humidity. `people_home` counts guests and sleepers;
    `action` is the rung of the ladder that the purifier's fan is on, `level` its speed 0 to 9, `mode` what it
    was told. `energy_kwh` is what the purifier drew since the start.
    """

    elapsed: float
    pm2_5: float
    co2: float
    temperature: float
    humidity: float
    people_home: int
    people_awake: int
    window_open: bool
    action: str
    mode: str
    level: int
    power_w: float
    sound_dba: float
    energy_kwh: float
    outdoor_pm2_5: float
    outdoor_temperature: float
    events: tuple[str, ...]

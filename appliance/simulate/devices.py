"""Owns which devices stand in the default home, what each measures and when it says so, with the sources.

Never in here: how a sensor computes, or how a report is spelt.

    living_air   IKEA VINDSTYRKA (E2112), a Sensirion SEN54 inside. Accuracy (SEN5x data sheet): PM2.5 ± (5
                 µg/m³ + 5 %), 0.45 °C, 4.5 % RH, taken as two standard deviations from device to device. It
                 tells temperature and humidity in whole numbers (zigbee2mqtt issue 17636, owners' logs in
                 issue 21807). Reports of voc_index after 1 to 2 minutes (zigbee-herdsman-converters,
                 ikea.ts), of pm25 likewise (assumed); temperature and humidity on a change of 1, else hourly
                 (the converters' defaults)
    living_co2   HEIMAN HS3AQ. Reports: CO2 on a change of 50 ppm, temperature of 0.1 °C, humidity of 0.1 %,
                 else after 5 minutes (zigbee-herdsman-converters, heiman.ts). Its elements are not published;
                 those of a Sensirion SCD4x and SHT4x stand in: CO2 ± (50 ppm + 2.5 %), repeatability 10 ppm,
                 response 60 s; 0.04 °C, 0.08 % RH
                 (data sheets); steps of 0.01 are those of the Zigbee clusters
    purifier     IKEA STARKVIND (E2007). Its PM2.5 sensor is not published; that of IKEA's VINDRIKTNING (Cubic
                 PM1006K) is off by up to 20 µg/m³ or 20 %; the half of it is taken for two standard
                 deviations (assumed). Reports after 1 minute, or an hour (ikea.ts); while the purifier is off
                 so is its sensor

Lags of temperature and humidity are those of the housings (assumed). VOC index: 100 is the mean of the last
day by definition (Sensirion, "What is Sensirion's VOC index"); the curve from a concentration to it is
assumed.
"""

from typing import Final

from appliance.simulate.sensors import ProbeSpec

LIVING_AIR: Final = "living_air"
LIVING_CO2: Final = "living_co2"
PURIFIER: Final = "purifier"

PM25: Final = ProbeSpec(
    key="pm25",
    metric="pm2_5",
    unit="µg/m³",
    lag_s=15.0,
    noise=0.5,
    noise_share=0.03,
    offset=1.2,
    gain=0.025,
    step=1.0,
    low=0.0,
    high=1000.0,
    min_s=60.0,
    max_s=120.0,
    change=1.0,
    sentinel=-1.0,
    spike=300.0,
    drift=10.0,
)

PROBES: Final[dict[str, tuple[ProbeSpec, ...]]] = {
    LIVING_AIR: (
        PM25,
        ProbeSpec(
            key="temperature",
            metric="temperature",
            unit="°C",
            lag_s=300.0,
            noise=0.02,
            offset=0.22,
            step=1.0,
            low=-10.0,
            high=50.0,
            min_s=10.0,
            max_s=3600.0,
            change=1.0,
            sentinel=6553.5,
            spike=20.0,
            drift=2.0,
        ),
        ProbeSpec(
            key="humidity",
            metric="humidity",
            unit="%",
            lag_s=120.0,
            noise=0.08,
            offset=2.2,
            step=1.0,
            low=0.0,
            high=100.0,
            min_s=10.0,
            max_s=3600.0,
            change=1.0,
            sentinel=65535.0,
            spike=40.0,
            drift=5.0,
        ),
        ProbeSpec(
            key="voc_index",
            metric="voc_index",
            unit=None,
            lag_s=30.0,
            noise=2.0,
            step=1.0,
            low=1.0,
            high=500.0,
            min_s=60.0,
            max_s=120.0,
            change=1.0,
            sentinel=65535.0,
            spike=300.0,
            drift=50.0,
        ),
    ),
    LIVING_CO2: (
        ProbeSpec(
            key="co2",
            metric="co2",
            unit="ppm",
            lag_s=60.0,
            noise=10.0,
            offset=25.0,
            gain=0.0125,
            step=1.0,
            low=350.0,
            high=5000.0,
            min_s=5.0,
            max_s=300.0,
            change=50.0,
            sentinel=65535.0,
            spike=2000.0,
            drift=200.0,
        ),
        ProbeSpec(
            key="temperature",
            metric="temperature",
            unit="°C",
            lag_s=240.0,
            noise=0.04,
            offset=0.3,
            step=0.01,
            low=-40.0,
            high=85.0,
            min_s=1.0,
            max_s=300.0,
            change=0.1,
            sentinel=6553.5,
            spike=20.0,
            drift=2.0,
        ),
        ProbeSpec(
            key="humidity",
            metric="humidity",
            unit="%",
            lag_s=120.0,
            noise=0.08,
            offset=1.8,
            step=0.01,
            low=0.0,
            high=100.0,
            min_s=1.0,
            max_s=300.0,
            change=0.1,
            sentinel=65535.0,
            spike=40.0,
            drift=5.0,
        ),
    ),
    PURIFIER: (
        ProbeSpec(
            key="pm25",
            metric="pm2_5",
            unit="µg/m³",
            lag_s=30.0,
            noise=1.0,
            noise_share=0.05,
            offset=5.0,
            gain=0.05,
            step=1.0,
            low=0.0,
            high=1000.0,
            min_s=60.0,
            max_s=3600.0,
            change=1.0,
            sentinel=-1.0,
            spike=300.0,
            drift=10.0,
        ),
    ),
}
"""Device -> what it measures; the first is what a fault given to the device alone befalls."""

MEASURED: Final[dict[str, str]] = {
    "pm2_5": LIVING_AIR,
    "voc_index": LIVING_AIR,
    "co2": LIVING_CO2,
    "temperature": LIVING_CO2,
    "humidity": LIVING_CO2,
}
"""Metric -> the device whose value of it a controller does best to use."""


def voc_index(now: float, day_mean: float) -> float:
    """Return the VOC index of a concentration `now` where the last day's mean was `day_mean`."""
    return min(500.0, max(1.0, 100.0 * float((now / day_mean) ** 1.5)))

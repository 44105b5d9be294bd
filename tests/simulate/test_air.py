"""The balances of the room's air against their analytic solutions."""

from math import exp, log

import pytest

from appliance.simulate.air import Air, Outdoors, Shell, Sources, humidity_ratio, relative_humidity

SHELL = Shell(
    volume_m3=80.0,
    penetration=0.8,
    deposition_per_h=0.39,
    moisture_factor=4.0,
    heat_loss_w_per_k=90.0,
    thermal_hours=18.0,
)
NOTHING = Outdoors(pm2_5=0.0, co2=0.0, temperature=0.0, water=0.0, voc=0.0)
OUTSIDE = Outdoors(pm2_5=12.0, co2=425.0, temperature=5.0, water=4.0, voc=20.0)


def air(**state: float) -> Air:
    return Air(SHELL, **{"pm2_5": 0.0, "co2": 0.0, "temperature": 0.0, "water": 0.0, "voc": 0.0, **state})


def step(
    room: Air,
    seconds: float,
    *,
    outside: Outdoors = NOTHING,
    sources: Sources | None = None,
    leak: float = 0.5,
    window: float = 0.0,
    clean: float = 0.0,
) -> None:
    room.step(
        seconds, outside, sources or Sources(), leak_per_h=leak, window_per_h=window, clean_m3_per_h=clean
    )


def test_particles_without_a_source_decay_by_exchange_deposition_and_clean_air() -> None:
    room = air(pm2_5=100.0)
    for _ in range(360):
        step(room, 10.0, leak=0.5, clean=160.0)
    assert room.pm2_5 == pytest.approx(100.0 * exp(-(0.5 + 0.39 + 160.0 / 80.0)), rel=1e-9)


def test_particles_settle_where_inflow_and_losses_are_equal() -> None:
    room = air(pm2_5=500.0)
    emitted = 6_000.0
    for _ in range(8640):
        step(room, 10.0, outside=OUTSIDE, sources=Sources(pm2_5=emitted), leak=0.5, window=1.5, clean=40.0)
    inflow = (0.8 * 0.5 + 1.5) * 12.0 + emitted / 80.0
    assert room.pm2_5 == pytest.approx(inflow / (0.5 + 1.5 + 0.39 + 40.0 / 80.0), rel=1e-9)


def test_nothing_is_lost_or_made_while_a_source_emits() -> None:
    # What was emitted is in the air, went out or settled; the losses integrate the concentration.
    room, losses, hours = air(), 0.5 + 0.39, 10.0 / 3600.0
    emitted, inside = 30_000.0, 0.0
    for _ in range(720):
        before = room.pm2_5
        step(room, 10.0, sources=Sources(pm2_5=emitted), leak=0.5)
        # The exact mean of an exponential approach over the step.
        end = emitted / 80.0 / losses
        inside += (end + (before - room.pm2_5) / (losses * hours)) * hours
    assert room.pm2_5 * 80.0 + inside * losses * 80.0 == pytest.approx(emitted * 2.0, rel=1e-9)


def test_the_length_of_a_step_does_not_matter() -> None:
    fine, coarse = (
        air(pm2_5=60.0, co2=900.0, temperature=20.0, water=6.0, voc=90.0),
        air(pm2_5=60.0, co2=900.0, temperature=20.0, water=6.0, voc=90.0),
    )
    sources = Sources(pm2_5=900.0, co2=34.0, water=120.0, heat=1500.0, voc=3000.0)
    for _ in range(600):
        step(fine, 1.0, outside=OUTSIDE, sources=sources)
    step(coarse, 600.0, outside=OUTSIDE, sources=sources)
    for name in ("pm2_5", "co2", "temperature", "water", "voc"):
        assert getattr(fine, name) == pytest.approx(getattr(coarse, name), rel=1e-9), name


def test_carbon_dioxide_of_two_people_reaches_the_analytic_level() -> None:
    room = air(co2=425.0)
    for _ in range(200):
        step(room, 3600.0, outside=OUTSIDE, sources=Sources(co2=34.0), leak=0.5)
    assert room.co2 == pytest.approx(425.0 + 34.0e-3 / (80.0 * 0.5) * 1e6)


def test_a_purifier_takes_particles_but_neither_carbon_dioxide_nor_water() -> None:
    with_purifier, without = air(pm2_5=50.0, co2=900.0, water=7.0), air(pm2_5=50.0, co2=900.0, water=7.0)
    step(with_purifier, 3600.0, outside=OUTSIDE, clean=260.0)
    step(without, 3600.0, outside=OUTSIDE)
    assert with_purifier.pm2_5 < without.pm2_5 / 4
    assert (with_purifier.co2, with_purifier.water) == (without.co2, without.water)


def test_a_warm_room_cools_with_its_time_constant() -> None:
    room = air(temperature=20.0)
    step(room, 18.0 * 3600.0)
    assert room.temperature == pytest.approx(20.0 / exp(1.0))


def test_humidity_ratio_and_relative_humidity_are_inverse() -> None:
    for temperature in (-5.0, 10.0, 21.0, 30.0):
        assert relative_humidity(temperature, humidity_ratio(temperature, 45.0)) == pytest.approx(45.0)
    # 20 °C, 50 %: 7.26 g/kg (any psychrometric chart at sea level).
    assert humidity_ratio(20.0, 50.0) == pytest.approx(7.26, abs=0.05)


def test_half_life_follows_the_losses() -> None:
    room = air(pm2_5=80.0)
    step(room, 3600.0 * log(2.0) / (0.5 + 0.39))
    assert room.pm2_5 == pytest.approx(40.0)

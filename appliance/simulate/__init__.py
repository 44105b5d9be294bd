"""A pretended home: air by mass balance, people with a day, a purifier, sensors, zigbee2mqtt.

For the demo, the tests and the outcome benchmark. Never in here: connections, real time, decisions.
"""

from appliance.simulate.home import Home
from appliance.simulate.parameters import HomeParameters
from appliance.simulate.recording import record
from appliance.simulate.truth import Truth

__all__ = ["Home", "HomeParameters", "Truth", "record"]

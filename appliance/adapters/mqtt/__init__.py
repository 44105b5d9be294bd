"""The link to the MQTT broker, and brokers to start for homes without one."""

from appliance.adapters.mqtt.child import ChildBroker, embedded, mosquitto
from appliance.adapters.mqtt.dialing import Address, Tls
from appliance.adapters.mqtt.link import Link
from appliance.adapters.mqtt.reaching import reach

__all__ = ["Address", "ChildBroker", "Link", "Tls", "embedded", "mosquitto", "reach"]

"""The link to the MQTT broker, and brokers to start for homes without one."""

from appliance.adapters.mqtt.child import ChildBroker, embedded, mosquitto
from appliance.adapters.mqtt.dialing import Address
from appliance.adapters.mqtt.link import Link
from appliance.adapters.mqtt.reaching import reach
from appliance.adapters.tls import Tls

__all__ = ["Address", "ChildBroker", "Link", "Tls", "embedded", "mosquitto", "reach"]

"""Training, offline (extra [learn]): data, features, choice, calibration, report. The daemon never imports it."""

from appliance.learn.data import fetch
from appliance.learn.reporting import report
from appliance.learn.training import train

__all__ = ["fetch", "report", "train"]

"""The settings of one home, and the appliances that they describe."""

from appliance.config.household import (
    appliances,
    dialects,
    own_profiles,
    profile_texts,
    sayable,
    shipped_profiles,
)
from appliance.config.loading import Loaded, load_settings, read_toml
from appliance.config.tables import Settings

__all__ = [
    "Loaded",
    "Settings",
    "appliances",
    "dialects",
    "load_settings",
    "own_profiles",
    "profile_texts",
    "read_toml",
    "sayable",
    "shipped_profiles",
]

"""A local decision-maker for home appliances."""

__version__ = "0.1.0"

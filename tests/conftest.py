"""For all tests: no deadline on a generated case. How fast it is, is no test's business, and machines are noisy."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")

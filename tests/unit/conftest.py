"""How hypothesis runs here: on a loaded machine a slow example is no failure."""

from hypothesis import settings

settings.register_profile("pyipam", deadline=None, print_blob=True)
settings.load_profile("pyipam")

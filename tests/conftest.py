"""Hypothesis profiles of all tests: `ci`, the default, draws the same examples each time; `deep` new and more ones.

python -m pytest tests/properties --hypothesis-profile deep
"""

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile(
    "deep", derandomize=False, deadline=None, max_examples=20 * settings.get_profile("ci").max_examples
)
settings.load_profile("ci")

"""How many examples a property gets, and the proof that it can fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis.strategies import SearchStrategy

DEFAULT_EXAMPLES = 100
"""Of the ci profile; `deep` has a multiple of it."""
ATTEMPTS = 1_000
"""Examples within which an illegal twin must have been caught."""


def examples(count: int) -> settings:
    """`count` examples in the ci profile, and in another one as many times more as it has more examples."""
    return settings(max_examples=count * settings.default.max_examples // DEFAULT_EXAMPLES)


def assert_refuted(check: Callable[..., None], **strategies: SearchStrategy[Any]) -> str:
    """Assert that some drawn example makes `check` raise an AssertionError, whose message is returned."""
    quiet = settings(
        max_examples=ATTEMPTS,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        print_blob=False,
    )
    with pytest.raises(AssertionError) as caught:
        quiet(given(**strategies)(check))()
    return str(caught.value)

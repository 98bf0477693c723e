"""Assertions for tests of a scorer: yours, whatever it is made of. docs/testing.md has an example.

A scorer is a plain function from N + 1 tokens to N losses in nats, or an object of the step protocol (`reset`,
`log_probs`, `update`; docs/decode.md). Nothing here knows `pgolf`'s models. The assertions need numpy alone,
but for `assert_decodes`, which runs a range coder. `pgolf.testing.strategies` draws what they take, and needs
Hypothesis (`pip install 'pgolf-verify[testing]'`).
"""

from pgolf.testing.causal import NotCausal, assert_causal
from pgolf.testing.decodes import assert_decodes
from pgolf.testing.normalized import assert_normalized
from pgolf.testing.once import assert_scores_once

__all__ = ["NotCausal", "assert_causal", "assert_decodes", "assert_normalized", "assert_scores_once"]

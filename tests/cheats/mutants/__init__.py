"""The corpus: one edit of the honest base each, illegal ones first, then legal ones that look illegal.

`make scorecard` audits all of them; its table is in the README. A module holds the entries of one kind of rule;
an edit of the same kind as a ruled pull request names it.
"""

from __future__ import annotations

from tests.cheats.mutants import (
    adaptation,
    cache,
    causality,
    coverage,
    denominator,
    legal,
    normalization,
    passes,
    slot,
    validation,
)

ILLEGAL = (
    *causality.ILLEGAL,
    *slot.ILLEGAL,
    *adaptation.ILLEGAL,
    *validation.ILLEGAL,
    *normalization.ILLEGAL,
    *cache.ILLEGAL,
    *passes.ILLEGAL,
    *coverage.ILLEGAL,
    *denominator.ILLEGAL,
)
LEGAL = legal.LEGAL
ENTRIES = (*ILLEGAL, *LEGAL)

"""C1: within a window, no logit moves when ids after its place change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from verifier.checks import check
from verifier.checks.probe_base import no_base, site_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Json, Outcome, Where, failed, not_applicable, passed, unverified, warned
from verifier.probe.tape import Moved, WindowTest

SAME_SCORE = 2e-6
"""Nats between the score by the replayed logits and the score that the pass committed."""


@check(
    "C1-window",
    title="no prediction sees the token that it predicts",
    grade=Grade.PROBED,
    rules=("C1", "R-072"),
)
def window_causality(evidence: Evidence) -> Outcome:
    """Call the script's own function from ids to logits again with later ids of one row changed.

    The flip probe changes the file, so a target changes together with its later use as an input; a model
    whose mask shows each position the next token then looks like one whose score follows its target. Here
    only the ids given to the model are changed, from one index of a window on, in a forked copy of the
    process with the same weights and state. Logits before that index predict tokens that are not yet known.

    FAIL: one of them moved, two calls with the same ids agree to the bit, and the unchanged logits give the
    very score that the reported pass committed for that token. PASS: none moved.
    NOT_APPLICABLE: no function of the script returns a row over the vocabulary for each id.

    Cannot see: logits that are computed outside a function of their own, and other windows than those tried.

    Illegal: an attention mask off by one, a mean over the whole window, a convolution padded on the wrong
    side. Legal contrast: a causal mask; hashes of the current and earlier inputs.

    Source: #1017 (C1); #1240 (flip test on logits).
    """
    record = evidence.probes
    if record is None or record.base is None:
        return no_base(record)
    run = record.run("uniform again")
    head = None if run is None else record.same_headline(run)
    if run is None or head is None or not head.reconciled:
        return unverified("the run that calls functions again did not reach a reconciled number")
    tests: list[WindowTest] = [test for test in run.tape.of(WindowTest) if test.tried]
    if not tests:
        return not_applicable("no function of the script that turns ids into logits was called again")
    rows = sum(test.tried for test in tests)
    moved = [(test, witness) for test in tests for witness in test.witnesses]
    if not moved:
        return passed(
            f"0 of {rows:,} rows of logits moved with later ids ({tests[0].function})",
            rows=rows,
            noise=max(test.noise for test in tests),
        )
    committed = head.committed(run.stream.ids.size).values
    moved.sort(key=lambda each: (not _is_committed(committed, each[1]), each[0].noise, -each[1].change))
    test, witness = moved[0]
    script = evidence.submission.script
    function = Where(script.path if script else "?", test.line)
    facts: dict[str, Json] = {
        "label": head.label,
        "position": witness.position,
        "changed_from": witness.changed_from,
        "change": witness.change,
        "moved": sum(each.moved for each in tests),
        "rows": rows,
        "noise": test.noise,
    }
    message = (
        f"the logits that predict token {witness.position} moved by {witness.change:.3g} when the window's ids from token "
        f"{witness.changed_from} on changed: {facts['moved']:,} of {rows:,} rows moved, in {test.function}"
    )
    if not _is_committed(committed, witness):
        return warned(f"{message}; these logits are not those that {head.label} committed", function, **facts)
    if test.noise > 0.0:
        return warned(
            f"{message}; two calls with the same ids differ by up to {test.noise:.3g}", function, **facts
        )
    return replace(
        failed(f"{message}; two calls with the same ids agree to the bit", **facts),
        where=(function, site_where(evidence, run, test.site)),
        replayable=True,
    )


def _is_committed(committed: NDArray[np.float64], witness: Moved) -> bool:
    """Whether the unchanged logits give the score that the reported pass committed for that token."""
    return 0 < witness.position < committed.size and bool(
        abs(committed[witness.position] - witness.realised_nats) <= SAME_SCORE
    )

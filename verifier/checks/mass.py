"""C2: the probabilities of all tokens at a position sum to one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from verifier.checks import check
from verifier.checks.probe_base import no_base, site_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Json, Outcome, Where, failed, passed, unverified, warned
from verifier.probe.passes import Pass
from verifier.probe.record import ProbeRecord, Run
from verifier.probe.stress import SMALL_TABLES, SMALL_TABLES_TRAINED
from verifier.probe.tape import MassTest, Witness

OVER_ONE = 1.001
"""A sum of float32 probabilities over 1,024 tokens is within 1e-5 of one; the rule book allows 1e-3."""
SAME_SCORE = 2e-6
"""Nats between the replayed score of the realised token and the score that the pass committed."""


@check(
    "C2-mass",
    title="probabilities sum to one over the vocabulary",
    grade=Grade.PROBED,
    rules=("C2", "R-051", "R-053"),
)
def probability_mass(evidence: Evidence) -> Outcome:
    """Call the script's own scoring function again with other targets and add up what it gives them.

    A function that takes targets and returns one score for each is found while the script runs. In a
    forked copy of the process, thrown away afterwards, it is called with other candidates in place of the
    realised token: same logits, same caches, same state. A function that is called once, for the whole stream, is
    asked after its call. Unchanged calls must agree to the bit, or nothing is asked. The probabilities of all candidates at a
    position must sum to one; when a part of them already sums to more, that is the counterexample, and it
    is measured again with one position changed at a time.

    FAIL: a partial sum above 1.001 at a position whose replayed score is the very score that the reported
    pass committed. PASS: the whole vocabulary sums to one at every tested position, or every score of
    the reported pass is what a cross entropy gave, which is normalised by construction.

    A script with hashed tables is tried once more with the tables at their real load (`E1-floor`) and a trained
    model. What was a cross entropy and is computed further there is UNVERIFIED, whatever the other runs gave.

    Cannot see: scoring that is no function of its own, or that is handed the loss or a count of the realised token
    (the floor and the flip cover it), code outside torch and numpy.

    Illegal: hashed n-gram tables looked up at the realised token and blended in (#1430, #727, closed in
    #677), the better of two experts by the true token (#659). Legal contrast: a full distribution, or
    the closed-form tilt p*exp(b*[v=h])/Z (#1514).

    Source: #677, 2026-03-27; #779; #886.
    """
    record = evidence.probes
    if record is None or record.base is None:
        return no_base(record)
    small = [record.run(SMALL_TABLES), record.run(SMALL_TABLES_TRAINED)]
    for run in small:
        head = None if run is None else record.same_headline(run)
        if run is not None and head is not None and head.reconciled:
            for test in _by_sum(run):
                if confirmed := _confirmed(head, test):
                    return _broken(evidence, run, head, test, confirmed)
    run = record.run("uniform again")
    head = None if run is None else record.same_headline(run)
    if run is None or head is None or not head.reconciled:
        return unverified("the run that calls scoring functions again did not reach a reconciled number")
    tests = [test for test in run.tape.of(MassTest) if test.tried]
    for test in _by_sum(run):
        confirmed = _confirmed(head, test)
        if confirmed is not None:
            return _broken(evidence, run, head, test, confirmed)
    pure = sum(score.pure for score in head.scores)
    if pure == len(head.scores) and small[0] is not None and not _stays_pure(record, small[0]):
        return unverified(
            f"{head.label} is a cross entropy on the few tokens of an audit only: with its tables and delays made as small "
            "as the stream it is computed further, and those scores could not be shown to come from a distribution "
            f"({'; '.join(small[0].resized[:3])})",
            resized=list(small[0].resized),
            tests=[_facts(test) for run in small if run for test in run.tape.of(MassTest) if test.tried],
        )
    if pure == len(head.scores):
        return passed(
            f"all {len(head.scores):,} commits of {head.label} are a cross entropy over {tests[0].vocab:,} logits, "
            "normalised by construction" if tests else
            f"all {len(head.scores):,} commits of {head.label} are a cross entropy over full logits, normalised by construction",
            label=head.label,
            commits=len(head.scores),
        )  # fmt: skip
    facts = [_facts(test) for test in tests]
    # A function proves something about the reported number only when its scores are those that were committed.
    behind = [test for test in tests if _is_behind(head, test)]
    whole = [test for test in behind if test.tried == test.vocab]
    if whole and len(whole) == len(behind) and max(test.highest for test in whole) <= OVER_ONE:
        low = min(test.lowest for test in whole)
        return passed(
            f"sums of {whole[0].vocab:,} candidates lie in [{low:.6f}, {max(t.highest for t in whole):.6f}] at "
            f"{sum(t.positions for t in whole):,} positions ({whole[0].function})",
            tests=facts,
        )
    if any(test.highest > OVER_ONE for test in tests):
        worst = max(tests, key=lambda test: test.highest)
        return warned(
            f"{worst.tried} of {worst.vocab:,} candidates sum to {worst.highest:.3f} in {worst.function}, but its scores "
            f"are not those that {head.label} committed",
            Where(evidence.submission.script.path if evidence.submission.script else "?", worst.line),
            tests=facts,
        )
    return unverified(
        f"{len(head.scores) - pure:,} of {len(head.scores):,} commits of {head.label} are computed further after the cross "
        "entropy, and no function that turns targets into them was called again with the whole vocabulary",
        tests=facts,
    )


def _by_sum(run: Run) -> list[MassTest]:
    """Tests that tried a candidate, the highest sum first."""
    return sorted((test for test in run.tape.of(MassTest) if test.tried), key=lambda test: -test.highest)


def _stays_pure(record: ProbeRecord, run: Run) -> bool:
    """Whether what stands for the claim is nothing but a cross entropy with small tables too."""
    head = record.same_headline(run)
    return head is not None and head.reconciled and all(score.pure for score in head.scores)


def _confirmed(head: Pass, test: MassTest) -> Witness | None:
    """A witness whose replayed score is one that the reported pass committed."""
    for witness in sorted(test.witnesses, key=lambda witness: -witness.total):
        if witness.total > OVER_ONE and _committed(head, witness.position, witness.realised_nats):
            return witness
    return None


def _committed(head: Pass, position: int, nats: float) -> bool:
    """Whether the reported mean holds this score of this position; a repeated tail has several."""
    return any(
        bool((np.abs(score.values[score.positions == position] - nats) <= SAME_SCORE).any())
        for score in head.scores
    )


def _is_behind(head: Pass, test: MassTest) -> bool:
    """Whether the sampled scores of the test are what the reported pass committed: all, for some may be left alone."""
    return bool(test.samples) and all(_committed(head, position, nats) for position, nats in test.samples)


def _broken(evidence: Evidence, run: Run, head: Pass, test: MassTest, witness: Witness) -> Outcome:
    script = evidence.submission.script
    function = Where(script.path if script else "?", test.line)
    return replace(
        failed(
            f"{witness.tried} of {test.vocab:,} candidate tokens at position {witness.position} already have probabilities "
            f"that sum to {witness.total:.3f} in {test.function}, all else held; {test.over:,} of {test.positions:,} "
            f"positions exceed one (highest partial sum {test.highest:.1f} after {test.tried} candidates)",
            label=head.label,
            witness_position=witness.position,
            witness_sum=witness.total,
            witness_candidates=witness.tried,
            tests=[_facts(test)],
        ),
        where=(function, site_where(evidence, run, test.site)),
        replayable=True,
    )


def _facts(test: MassTest) -> dict[str, Json]:
    return {
        "function": test.function,
        "line": test.line,
        "candidates": test.tried,
        "vocabulary": test.vocab,
        "positions": test.positions,
        "over_one": test.over,
        "highest": test.highest,
        "lowest": test.lowest,
    }

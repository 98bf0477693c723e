"""Each probe check on records made by hand: a legal one, an illegal one, and a legal one that looks illegal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.verifier.checks.builders import named, script, submission
from tests.verifier.probe.builders import (
    BLOCK,
    LABEL,
    SMALL,
    SOURCE,
    TARGETS,
    TapeBuilder,
    bpb_of,
    flipped,
    legal_losses,
    moved_losses,
    record,
    run,
    scored,
    stream,
    true_bytes,
)
from verifier.evidence import Evidence
from verifier.finding import Outcome, State
from verifier.probe.record import ProbeRecord, Run
from verifier.probe.stream import Stream
from verifier.probe.stress import SMALL_TABLES, SMALL_TABLES_TRAINED
from verifier.probe.tape import Moved, WindowTest, Witness
from verifier.submission import ShippedFile

DRAWN = stream()
FLIPPED = flipped(DRAWN)
NARROW = stream(SMALL, seed=1)
LOSSES = legal_losses(DRAWN)
Score = Callable[[Stream, np.ndarray], TapeBuilder]


def outcomes(id: str, probes: ProbeRecord | None) -> list[Outcome]:
    result = named(id).function(Evidence(submission(shipped=script()), probes))
    return [result] if isinstance(result, Outcome) else list(result)


def states(id: str, probes: ProbeRecord | None) -> list[State]:
    return [outcome.state for outcome in outcomes(id, probes)]


def plain(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
    return scored(drawn, losses)


def audit(
    score: Score = plain,
    *,
    base: np.ndarray = LOSSES,
    flip: np.ndarray | None = None,
    again: np.ndarray | None = None,
    again_score: Score | None = None,
    narrow: np.ndarray | None = None,
) -> ProbeRecord:
    """A record of all runs, each scored by `score`."""
    return record(
        run("uniform", DRAWN, score(DRAWN, base)),
        run("flip 1", FLIPPED, score(FLIPPED, moved_losses(base, BLOCK) if flip is None else flip)),
        run("small alphabet", NARROW, score(NARROW, legal_losses(NARROW) if narrow is None else narrow)),
        run("uniform again", DRAWN, (again_score or score)(DRAWN, base if again is None else again)),
    )


PROBES = [
    "E1-floor",
    "C1-flip",
    "C1-window",
    "C2-mass",
    "C3-context",
    "C3-order",
    "C4-ledger",
    "V1-calibration",
    "N0-null",
    "N1-reached",
    "H1-harness",
    "B3-bytes",
]


@pytest.mark.parametrize("id", PROBES)
def test_no_probe_is_unverified(id: str) -> None:
    assert states(id, None) == [State.UNVERIFIED]
    ended = run("uniform", DRAWN, TapeBuilder(), status="raised", reason="no attribute 'x'")
    (outcome,) = outcomes(id, record(ended))
    assert outcome.state is State.UNVERIFIED
    assert "no attribute 'x'" in outcome.message


@pytest.mark.parametrize("id", [id for id in PROBES if id not in ("C1-window", "C3-context")])
def test_a_legal_record_passes_everywhere(id: str) -> None:
    assert set(states(id, audit())) == {State.PASS}


def test_no_check_raises_on_a_number_that_nothing_explains() -> None:
    lost = audit(lambda drawn, losses: scored(drawn, losses, printed=float(losses[1:].mean()) + 0.5))
    for id in PROBES:
        assert not {State.FAIL, State.ERROR} & set(states(id, lost)), id


# ---- E1 -----------------------------------------------------------------------------------------


def test_a_loss_under_the_entropy_fails() -> None:
    found = outcomes("E1-floor", audit(base=DRAWN.code_length_nats() * 0.98))
    assert [outcome.state for outcome in found] == [State.FAIL, State.PASS]
    assert found[0].evidence["gain_bits"] == pytest.approx(
        0.02 * DRAWN.code_length_nats().sum() / math.log(2), rel=1e-3
    )
    assert found[0].replayable


def test_just_under_the_threshold_is_no_accusation() -> None:
    drawn = int((DRAWN.code_length_nats() > 0).sum())
    close = np.where(DRAWN.code_length_nats() > 0, DRAWN.code_length_nats() - 60 * math.log(2) / drawn, 0.0)
    assert states("E1-floor", audit(base=close)) == [State.PASS, State.PASS]


def test_a_leak_on_the_small_alphabet_alone_fails() -> None:
    found = outcomes("E1-floor", audit(narrow=NARROW.code_length_nats() * 0.9))
    assert [outcome.state for outcome in found] == [State.PASS, State.FAIL]


def test_a_print_under_the_floor_fails_when_its_bytes_are_the_stream_s() -> None:
    def low(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        return scored(drawn, losses, printed=0.7 * float(losses[1:].mean()))

    found = outcomes("E1-floor", audit(low))[0]
    assert found.state is State.FAIL
    assert found.evidence["once_each"] is False


def test_a_print_under_the_floor_with_other_bytes_warns() -> None:
    """The mean may be over other tokens, or wrong: no exact bound holds."""

    def low(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        made = TapeBuilder()
        made.score(range(1, drawn.ids.size), losses[1:])
        made.print(0.7 * float(losses[1:].mean()), 1.5)
        return made

    assert states("E1-floor", audit(low)) == [State.WARN, State.WARN]


def test_a_small_run_that_ended_early_is_unverified() -> None:
    whole = audit()
    base, flip, small, again = whole.runs
    early = scored(NARROW, legal_losses(NARROW))
    early.events[-1] = replace(early.events[-1], text=early.events[-1].text.replace(LABEL, "step:1/1"))  # type: ignore
    cut = run("small alphabet", NARROW, early, status="raised", reason="boom")
    assert states("E1-floor", record(base, flip, cut, again)) == [State.PASS, State.UNVERIFIED]
    assert small.finished


def with_small(losses: np.ndarray, positions: Sequence[int] | None = None, **fields: object) -> ProbeRecord:
    """A record with a run over small tables; `fields` are of its tape."""
    made = scored(DRAWN, losses, order=positions, **fields)  # type: ignore[arg-type]
    small = replace(run(SMALL_TABLES, DRAWN, made), resized=("line 7: 4194304 made 256",))
    whole = audit()
    return replace(whole, runs=(*whole.runs, small))


def test_a_cache_that_breaks_the_floor_with_small_tables_fails() -> None:
    found = outcomes("E1-floor", with_small(DRAWN.code_length_nats() * 0.5))
    assert [outcome.state for outcome in found] == [State.PASS, State.PASS, State.FAIL]
    assert "4194304 made 256" in found[-1].message
    assert found[-1].evidence["resized"] == ["line 7: 4194304 made 256"]


def test_a_normalised_cache_with_small_tables_passes() -> None:
    assert states("E1-floor", with_small(LOSSES + 1.0)) == [State.PASS] * 3


def test_small_tables_that_change_what_is_scored_only_warn() -> None:
    """A size that was no table's may bound what is scored: then the gain is the audit's own doing."""
    low = with_small(DRAWN.code_length_nats() * 0.5, range(1, DRAWN.ids.size // 2))
    assert states("E1-floor", low)[-1] is State.WARN


def test_small_tables_that_end_the_run_are_unverified() -> None:
    whole = audit()
    ended = run(SMALL_TABLES, DRAWN, TapeBuilder(), status="raised", reason="buckets must be 4194304")
    found = outcomes("E1-floor", replace(whole, runs=(*whole.runs, ended)))
    assert [outcome.state for outcome in found] == [State.PASS, State.PASS, State.UNVERIFIED]


MIXED = "ppm_mix bytes=10982035 mix_bpb"


def with_bits(share: float, counted: int | None = None) -> ProbeRecord:
    """A record whose claim is in bits per byte alone: this share of the stream's entropy."""
    true = int(true_bytes(DRAWN).sum())
    bpb = share * float(DRAWN.code_length_nats().sum()) / math.log(2) / true

    def score(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        made = scored(drawn, losses)
        if drawn is not NARROW:
            made.line(f"ppm_mix bytes={true if counted is None else counted} mix_bpb={bpb:.6f} mode=binary")
        return made

    whole = audit(score)
    entropy = float(DRAWN.code_length_nats().sum()) / math.log(2)
    runs = [replace(each, bits_of_bytes=entropy) if each.stream is DRAWN else each for each in whole.runs]
    return replace(whole, runs=tuple(runs), headline=MIXED)


def test_a_claim_in_bits_a_byte_under_the_entropy_fails() -> None:
    found = outcomes("E1-floor", with_bits(0.95))
    assert found[-1].state is State.FAIL
    assert found[-1].evidence["gain_bits"] == pytest.approx(
        0.05 * DRAWN.code_length_nats().sum() / math.log(2), rel=1e-3
    )
    assert outcomes("E1-floor", with_bits(0.5, counted=1))[-1].state is State.FAIL


def test_a_claim_in_bits_a_byte_whose_bytes_are_not_known_has_slack() -> None:
    assert State.FAIL not in states("E1-floor", with_bits(0.95, counted=1))
    assert State.FAIL not in states("E1-floor", with_bits(1.001))


# ---- C1-flip, N0 --------------------------------------------------------------------------------


def leaky(amount: float = 0.01) -> np.ndarray:
    losses = moved_losses(LOSSES, BLOCK)
    losses[BLOCK.start - 3] += amount
    return losses


def test_an_earlier_score_that_moves_fails() -> None:
    (found,) = outcomes("C1-flip", audit(flip=leaky()))
    assert found.state is State.FAIL
    assert f"p[{BLOCK.start - 3}]" in found.message
    assert found.replayable


def test_a_move_within_noise_is_a_warning_alone() -> None:
    noisy = audit(flip=leaky(), again=LOSSES + 1e-7)
    assert states("C1-flip", noisy) == [State.WARN]
    assert states("N0-null", noisy) == [State.WARN]


def test_without_a_second_run_a_move_is_unverified() -> None:
    base, flip, small, _ = audit(flip=leaky()).runs
    assert states("C1-flip", record(base, flip, small)) == [State.UNVERIFIED]
    assert states("N0-null", record(base, flip, small)) == [State.UNVERIFIED]


def test_a_model_that_reacts_to_nothing_proves_nothing() -> None:
    blind = LOSSES.copy()
    blind[BLOCK.start : BLOCK.stop] += 0.1
    assert states("C1-flip", audit(flip=blind)) == [State.UNVERIFIED]


def test_sorted_documents_that_are_learned_from_are_not_accused() -> None:
    order = [*range(400, DRAWN.ids.size), *range(1, 400)]
    after = moved_losses(LOSSES, BLOCK)
    after[1:400] += 0.2  # scored after the block, so the model has learned from it
    assert states("C1-flip", audit(lambda d, l: scored(d, l, order=order), flip=after)) == [State.PASS]


# ---- C1-window ----------------------------------------------------------------------------------


def with_window(noise: float = 0.0, witness: Moved | None = None, moved: int = 0) -> ProbeRecord:
    def score(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        made = scored(drawn, losses)
        witnesses = () if witness is None else (witness,)
        made.events.append(WindowTest(made.next, 0, "Model.forward", 48, 300, noise, moved, witnesses))
        return made

    return audit(again_score=score)


SEEN = Moved(700, 700, 0.002, float(LOSSES[700]))


def test_logits_that_see_their_target_fail() -> None:
    (found,) = outcomes("C1-window", with_window(witness=SEEN, moved=3))
    assert found.state is State.FAIL
    assert found.where[0].line == 48


def test_logits_that_stay_pass() -> None:
    assert states("C1-window", with_window()) == [State.PASS]


def test_no_function_with_logits_does_not_apply() -> None:
    assert states("C1-window", audit()) == [State.NOT_APPLICABLE]


@pytest.mark.parametrize(
    ("noise", "witness"),
    [
        (1e-6, SEEN),
        (0.0, replace(SEEN, realised_nats=3.0)),
        (0.0, replace(SEEN, position=5000)),
        (0.0, replace(SEEN, position=0)),
    ],
)
def test_logits_that_scored_nothing_or_are_noisy_only_warn(noise: float, witness: Moved) -> None:
    """A bidirectional helper whose logits are never scored is legal."""
    assert states("C1-window", with_window(noise, witness, 1)) == [State.WARN]


# ---- C2 -----------------------------------------------------------------------------------------

OVER = Witness(700, float(LOSSES[700]), 1.06, 300)
HERE = ((700, float(LOSSES[700])),)


def with_mass(highest: float, *witnesses: Witness, pure: bool = False, **fields: object) -> ProbeRecord:
    def score(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        made = scored(drawn, losses, pure=pure)
        made.mass(highest, 0.999999, *witnesses, **fields)
        return made

    return audit(lambda d, l: scored(d, l, pure=pure), again_score=score)


def test_a_sum_over_one_fails() -> None:
    (found,) = outcomes("C2-mass", with_mass(1.06, OVER, tried=300))
    assert found.state is State.FAIL
    assert "position 700" in found.message


def test_the_whole_vocabulary_at_one_passes() -> None:
    assert states("C2-mass", with_mass(1.000001, samples=HERE)) == [State.PASS]


def test_a_cross_entropy_passes_by_construction() -> None:
    assert states("C2-mass", with_mass(0.3, pure=True, tried=300)) == [State.PASS]


def test_a_normalised_function_beside_the_one_that_scored_proves_nothing() -> None:
    """The plain model sums to one; what was committed is a blend that nobody could measure."""
    assert states("C2-mass", with_mass(1.0, samples=((700, 3.0),))) == [State.UNVERIFIED]
    assert states("C2-mass", with_mass(1.0)) == [State.UNVERIFIED]


def test_scores_that_were_changed_here_and_there_are_not_the_function_s() -> None:
    """A loss clamped from above: half of the replayed scores are what was committed."""
    clamped = ((699, float(LOSSES[699]) + 0.02), *HERE)
    assert states("C2-mass", with_mass(1.0, samples=clamped)) == [State.UNVERIFIED]


def test_a_part_of_the_vocabulary_is_no_pass() -> None:
    assert states("C2-mass", with_mass(0.6, samples=HERE, tried=500)) == [State.UNVERIFIED]


def test_a_helper_that_returns_probabilities_is_not_accused() -> None:
    """exp(-p) sums to far more than one; what it replays is not what was committed."""
    helper = replace(OVER, realised_nats=0.02, total=60.0)
    assert states("C2-mass", with_mass(60.0, helper)) == [State.WARN]
    assert states("C2-mass", with_mass(60.0, helper, pure=True)) == [State.PASS]


def test_a_mixture_that_only_small_tables_turn_on_is_no_cross_entropy() -> None:
    """A cache that waits for 10,000 tokens is silent in an audit: purity there proves nothing."""
    assert states("C2-mass", with_small(LOSSES, pure=True)) == [State.PASS]
    (found,) = outcomes("C2-mass", with_small(LOSSES, pure=False))
    assert found.state is State.UNVERIFIED
    assert "4194304 made 256" in found.message


def test_a_sum_over_one_with_small_tables_fails() -> None:
    losses = legal_losses(NARROW)
    made = scored(NARROW, losses, pure=False)
    made.mass(32.0, 0.999, Witness(700, float(losses[700]), 32.0, 1024))
    whole = with_small(LOSSES, pure=False)
    trained = run(SMALL_TABLES_TRAINED, NARROW, made)
    assert states("C2-mass", replace(whole, runs=(*whole.runs, trained))) == [State.FAIL]


# ---- C3 -----------------------------------------------------------------------------------------


def learner(first: bool, positions: range = range(1, TARGETS + 1), **step: int) -> Score:
    """Chunks that are learned from before or after their score."""

    def score(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        made = TapeBuilder()
        for at in range(1, drawn.ids.size, 64):
            some = list(range(at, min(at + 64, drawn.ids.size)))
            for turn in ("learn", "score") if first else ("score", "learn"):
                if turn == "score":
                    made.score(some, losses[some])
                elif some[0] in positions:
                    loss = made.score(some, losses[some], site=6, learns=True)
                    made.step(made.backward(loss), **step)
        loss = float(losses[1:].mean())
        made.print(loss, bpb_of(drawn, loss))
        return made

    return score


def test_learning_first_fails_when_scores_moved() -> None:
    (found,) = outcomes("C3-order", audit(learner(True), flip=leaky()))
    assert found.state is State.FAIL
    assert found.evidence["stage"] == "scoring (the scored region is optimised)"
    assert len(found.where) == 3


def test_score_first_learning_passes() -> None:
    assert states("C3-order", audit(learner(False))) == [State.PASS]


def test_learning_that_never_reached_a_score_passes() -> None:
    """Steps on another copy of the model: a flip changed what was learned from, and nothing moved."""
    assert states("C3-order", audit(learner(True))) == [State.PASS]


def test_a_flip_elsewhere_cannot_acquit() -> None:
    assert states("C3-order", audit(learner(True, range(1, 200)))) == [State.WARN]


def test_a_delta_fitted_to_scored_context_is_unruled() -> None:
    (found,) = outcomes("C3-context", audit(learner(False, tensors=2, shifts=2)))
    assert found.state is State.UNRULED
    assert "2 vectors a sequence" in found.message


@pytest.mark.parametrize(
    ("score", "flip"),
    [
        pytest.param(plain, None, id="no step"),
        pytest.param(learner(False), None, id="weights after their score"),
        pytest.param(learner(False, tensors=3, shifts=2), None, id="vectors and a matrix"),
        pytest.param(learner(True, tensors=2, shifts=2), "leaky", id="scored positions: C3-order fails"),
    ],
)
def test_other_steps_are_no_matter_of_context_fits(score: Score, flip: str | None) -> None:
    found = audit(score, flip=leaky() if flip else None)
    assert states("C3-context", found) == [State.NOT_APPLICABLE]
    assert states("C3-order", found) == [State.FAIL if flip else State.PASS]


def test_validation_tokens_in_the_training_of_the_longer_run_warn() -> None:
    made = TapeBuilder().at(6, "main", 20, call_line=20).at(1, "main", 21, call_line=21)
    small = legal_losses(NARROW)
    loss = made.score(range(1, 129), small[1:129], site=6, learns=True)
    made.step(made.backward(loss))
    base, flip, _, again = audit().runs
    trained = run("small alphabet", NARROW, scored(NARROW, small, builder=made))
    (found,) = outcomes("C3-order", record(base, flip, trained, again))
    assert found.state is State.WARN
    assert "128 validation tokens" in found.message


# ---- C4, B3, N1 ---------------------------------------------------------------------------------


def lowest_of_passes(picked: int, noted: bool = True) -> ProbeRecord:
    def score(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        made = TapeBuilder()
        if noted:
            made.pick((7, 6.95, 6.91), (9, 6.90, 6.97))
        positions = range(1, drawn.ids.size)
        made.score(positions, losses[1:], pure=False, picked=picked)
        made.print(float(losses[1:].mean()), bpb_of(drawn, float(losses[1:].mean())))
        return made

    return audit(score)


def test_the_lower_of_two_scores_fails() -> None:
    (found,) = outcomes("C4-pick", lowest_of_passes(TARGETS))
    assert found.state is State.FAIL
    assert found.replayable
    assert found.evidence["position"] == 7
    assert "6.910000 was kept" in found.message


def test_a_minimum_that_is_not_reported_passes() -> None:
    assert states("C4-pick", lowest_of_passes(0)) == [State.PASS]


def test_a_minimum_of_equal_scores_passes() -> None:
    assert states("C4-pick", lowest_of_passes(TARGETS, noted=False)) == [State.PASS]


def parts(*pieces: range) -> Score:
    def score(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        made = TapeBuilder()
        for piece in pieces:
            made.score(piece, losses[piece.start : piece.stop])
        positions = [p for piece in pieces for p in piece]
        loss = float(losses[positions].mean())
        counted = float(true_bytes(drawn)[positions].mean())
        made.print(loss, loss / math.log(2) / counted)
        return made

    return score


WHOLE = range(1, TARGETS + 1)


@pytest.mark.parametrize(
    ("pieces", "state"),
    [
        ((WHOLE,), State.PASS),
        ((range(1, 513),), State.WARN),
        ((range(1, TARGETS - 300),), State.WARN),
        ((WHOLE, range(1, 513)), State.WARN),
        ((range(1, TARGETS - 100),), State.PASS),  # the root loader's dropped remainder
        ((WHOLE, range(TARGETS - 30, TARGETS + 1)), State.PASS),  # the tail of sliding windows, counted twice
    ],
)
def test_each_token_once(pieces: tuple[range, ...], state: State) -> None:
    probes = audit(parts(*pieces))
    assert states("C4-ledger", probes) == [state]
    assert states("B3-bytes", probes) == [State.PASS]


def test_a_number_that_no_scores_explain_is_unverified() -> None:
    lost = audit(lambda drawn, losses: scored(drawn, losses, printed=float(losses[1:].mean()) + 0.5))
    assert states("C4-ledger", lost) == [State.UNVERIFIED]


@pytest.mark.parametrize(("factor", "state"), [(1.0, State.PASS), (1.001, State.FAIL), (0.93, State.FAIL)])
def test_bytes_behind_the_printed_pair(factor: float, state: State) -> None:
    def score(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        made = TapeBuilder()
        made.score(range(1, drawn.ids.size), losses[1:])
        loss = float(losses[1:].mean())
        made.print(loss, factor * bpb_of(drawn, loss))
        return made

    assert states("B3-bytes", audit(score)) == [state]


def test_other_bytes_of_a_script_with_its_own_tokenizer_only_warn() -> None:
    def double(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        made = TapeBuilder()
        made.score(WHOLE, losses[1:])
        loss = float(losses[1:].mean())
        made.print(loss, bpb_of(drawn, loss) / 2)
        return made

    shipped = submission(shipped=script())
    own = replace(shipped, files=(*shipped.files, ShippedFile("tokenizer/custom_4096.model", 1, "0" * 64)))
    outcome = named("B3-bytes").function(Evidence(own, audit(double)))
    assert isinstance(outcome, Outcome)
    assert outcome.state is State.WARN
    assert states("B3-bytes", audit(double)) == [State.FAIL]


def test_a_bpb_that_is_not_of_the_loss_beside_it_only_warns() -> None:
    def mixture(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        made = TapeBuilder()
        loss = float(losses[1:].mean())
        for label, factor in (("final_roundtrip", 1.0), (LABEL, 0.7)):
            made.score(WHOLE, losses[1:])
            made.print(loss, bpb_of(drawn, loss) * factor, label=label)
        return made

    (found,) = outcomes("B3-bytes", audit(mixture))
    assert found.state is State.WARN
    assert "final_roundtrip counts them rightly" in found.message


def test_the_claimed_label_must_be_printed() -> None:
    runs = audit().runs
    assert states("N1-reached", record(*runs, headline=LABEL)) == [State.PASS]
    assert states("N1-reached", record(*runs, headline="legal_ttt_exact")) == [State.UNVERIFIED]


def test_a_log_that_names_the_metric_alone_names_no_label() -> None:
    runs = audit().runs
    assert states("N1-reached", record(*runs, headline="val_bpb")) == [State.PASS]


def test_a_run_that_raised_after_its_headline_has_reached_it() -> None:
    base, *rest = audit().runs
    raised = replace(base, status="raised", reason="upload failed")
    assert states("N1-reached", record(raised, *rest, headline=LABEL)) == [State.PASS]
    assert states("N1-reached", record(raised, *rest)) == [State.UNVERIFIED]


# ---- V1 -----------------------------------------------------------------------------------------


def calibrated(silent: bool) -> Score:
    """A plain evaluation, perhaps a read of validation text, and the evaluation of the quantized model."""

    def score(drawn: Stream, losses: np.ndarray) -> TapeBuilder:
        made = TapeBuilder().at(7, "quantize", 60, call_line=85).at(8, "evaluate", 50, call_line=80)
        made.line("val_tokens:1024")
        made.forward(0, TARGETS, site=8)
        early = legal_losses(drawn, excess=0.02)
        if drawn.flipped is not None:
            early = moved_losses(early, BLOCK)
        made.score(range(1, drawn.ids.size), early[1:], site=8)
        made.print(float(early[1:].mean()), label="step:1/1")
        if silent:
            made.forward(0, 512, site=7)
        made.forward(0, TARGETS)
        return scored(drawn, losses, builder=made)

    return score


def everything_moved() -> np.ndarray:
    return moved_losses(LOSSES, BLOCK) + 1e-4


def test_calibration_on_validation_text_fails() -> None:
    (found,) = outcomes("V1-calibration", audit(calibrated(True), flip=everything_moved()))
    assert found.state is State.FAIL
    assert found.evidence["tokens"] == 512
    assert found.evidence["unmoved"] == "step:1/1"
    assert found.where[0].line == 60 or found.where[0].line == 85


def test_a_silent_read_after_which_nothing_moves_passes() -> None:
    assert states("V1-calibration", audit(calibrated(True))) == [State.PASS]


def test_a_move_without_a_silent_read_is_another_check_s() -> None:
    moved = audit(calibrated(False), flip=everything_moved())
    assert states("V1-calibration", moved) == [State.NOT_APPLICABLE]


def test_all_runs_are_over_the_streams_that_they_name() -> None:
    base: Run = audit().runs[0]
    assert base.stream.source is SOURCE
    assert base.passes[0].label == LABEL


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (
            "audit: raised: ModuleNotFoundError: No module named 'einops.layers' at train_gpt.py:30",
            "install einops ",
        ),
        ("audit: raised: KeyError: 'RANK' at train_gpt.py:12", "pgolf-verify doctor"),
    ],
)
def test_a_script_that_does_not_run_is_told_what_it_lacks(reason: str, advice: str) -> None:
    stuck = replace(audit(), runs=(), attempts=(reason,))
    (found,) = outcomes("E1-floor", stuck)
    assert found.state is State.UNVERIFIED
    assert found.try_next is not None
    assert advice in found.try_next

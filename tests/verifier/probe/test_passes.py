"""Which recorded scores a printed number is the mean of."""

from __future__ import annotations

import numpy as np
import pytest

from tests.verifier.probe.builders import LABEL, TapeBuilder, bpb_of, legal_losses, stream, true_bytes
from verifier.intake.metric import same_label
from verifier.probe.passes import MAX_PASSES, Pass, find_passes

DRAWN = stream()
LOSSES = legal_losses(DRAWN)
ALL = range(1, DRAWN.ids.size)


def passes(made: TapeBuilder) -> tuple[Pass, ...]:
    return find_passes(made.tape())


def test_scores_in_chunks_explain_their_mean() -> None:
    made = TapeBuilder()
    for at in range(1, DRAWN.ids.size, 100):
        some = ALL[at - 1 : at + 99]
        made.score(some, LOSSES[list(some)])
    made.print(float(LOSSES[1:].mean()))
    (found,) = passes(made)
    assert found.reconciled
    assert found.label == LABEL
    committed = found.committed(DRAWN.ids.size)
    assert np.array_equal(committed.values[1:], LOSSES[1:])
    assert committed.times[1:].tolist() == [1] * DRAWN.targets
    assert not committed.scored[0]
    assert np.all(np.diff(committed.order[1:]) >= 0)


def test_a_run_that_prints_without_end_is_read_up_to_a_bound() -> None:
    made = TapeBuilder()
    for _ in range(MAX_PASSES + 1):
        made.print(6.5)
    assert len(passes(made)) == MAX_PASSES


@pytest.mark.parametrize("digits", [4, 6, 8])
def test_the_print_s_rounding_is_allowed_and_no_more(digits: int) -> None:
    true = float(LOSSES[1:].mean())
    half = 0.5 * 10.0**-digits
    for printed, explained in (
        (true, True),
        (true + 3 * half + 1e-5, False),
        (true - 3 * half - 1e-5, False),
    ):
        made = TapeBuilder()
        made.score(ALL, LOSSES[1:])
        made.print(printed, digits=digits)
        assert passes(made)[0].reconciled == explained


def test_a_number_that_nothing_explains_stays_open() -> None:
    made = TapeBuilder()
    made.score(ALL, LOSSES[1:])
    made.print(0.99 * float(LOSSES[1:].mean()))
    (found,) = passes(made)
    assert not found.reconciled
    assert found.first_event == found.last_event == found.printed


def test_two_families_of_one_call_belong_together() -> None:
    """Full windows at one line, the last short one at another."""
    made = TapeBuilder()
    made.score(ALL[:900], LOSSES[1:901], site=4)
    made.score(ALL[900:], LOSSES[901:], site=5)
    made.print(float(LOSSES[1:].mean()))
    (found,) = passes(made)
    assert found.reconciled
    assert found.committed(DRAWN.ids.size).scored.sum() == DRAWN.targets


def test_families_of_other_calls_do_not() -> None:
    made = TapeBuilder().at(4, "evaluate", 44, call_line=80).at(5, "evaluate", 44, call_line=81)
    made.score(ALL[:900], LOSSES[1:901], site=4)
    made.score(ALL[900:], LOSSES[901:], site=5)
    made.print(float(LOSSES[1:].mean()))
    assert not passes(made)[0].reconciled


def test_a_second_evaluation_starts_afresh() -> None:
    made = TapeBuilder()
    for shift in (0.0, -0.1):
        made.score(ALL, LOSSES[1:] + shift)
        made.print(float(LOSSES[1:].mean() + shift))
    first, second = passes(made)
    assert first.reconciled
    assert second.reconciled
    assert first.scores[0].number < first.printed < second.scores[0].number


def test_the_same_scores_under_another_label_are_an_alias() -> None:
    made = TapeBuilder()
    made.score(ALL, LOSSES[1:])
    made.print(float(LOSSES[1:].mean()), label="final_int8_zlib_sliding", digits=4)
    made.print(float(LOSSES[1:].mean()), digits=8)
    first, second = passes(made)
    assert second.scores == first.scores
    assert second.aliases == (first.label,)
    assert first.aliases == ()


def test_what_was_only_learned_from_explains_nothing_else() -> None:
    made = TapeBuilder()
    made.score(ALL, LOSSES[1:])
    made.score(ALL, LOSSES[1:], site=6, learns=True)
    made.print(float(LOSSES[1:].mean()))
    assert not passes(made)[0].scores[0].learns


def test_lines_without_a_loss_are_no_passes() -> None:
    made = TapeBuilder()
    made.line("Total submission size int8+zlib: 15863489 bytes")
    made.line("warmup_step:1/20")
    assert passes(made) == ()


def test_bits_per_byte_alone_are_explained_over_their_own_bytes() -> None:
    made = TapeBuilder()
    made.score(ALL, LOSSES[1:])
    loss = float(LOSSES[1:].mean())
    made.line(f"sliding_exact val_bpb:{bpb_of(DRAWN, loss):.8f}")
    made.line(f"mixed_exact val_bpb:{bpb_of(DRAWN, 0.5 * loss):.8f}")
    tape = made.tape()
    assert find_passes(tape) == ()
    (sliding,) = find_passes(tape, true_bytes(DRAWN))
    assert sliding.reconciled
    assert sliding.derived
    assert sliding.loss_nats == pytest.approx(loss)
    _, mixed = find_passes(tape, true_bytes(DRAWN), "mixed_exact")
    assert not mixed.reconciled
    assert mixed.derived
    assert mixed.loss_nats == pytest.approx(0.5 * loss, rel=1e-6)


def test_bits_a_byte_alone_are_explained_with_the_wrong_bytes_of_an_earlier_pair() -> None:
    drawn = stream()
    size = true_bytes(drawn)
    losses = legal_losses(drawn)
    made = TapeBuilder()
    made.score(range(1, drawn.ids.size), losses[1:])
    loss = float(losses[1:].mean())
    counted = 1.25
    made.print(loss, bpb_of(drawn, loss) / counted, label="step 1", digits=4)
    made.score(range(1, drawn.ids.size), losses[1:] + 0.125, site=1)
    made.line(f"Quantized BPB: {bpb_of(drawn, loss + 0.125) / counted:.6f}")
    first, second = find_passes(made.tape(), size)
    assert first.reconciled
    assert second.reconciled
    assert second.loss_nats == pytest.approx(loss + 0.125)


def test_labels_that_differ_by_a_count_or_a_unit_are_one() -> None:
    assert same_label("ppm_mix bytes=10982035 mix_bpb", "ppm_mix bytes=24102 mix_bpb")
    assert same_label("final_sliding_val_bpb", "final_sliding")
    assert not same_label("final_sliding_exact", "final_sliding")
    assert not same_label("final_int6_sliding", "final_int8_sliding")

"""The training-step benchmark: what it reads off a log, and the floor that it holds a time against."""

import sys

import pytest

from benchmarks.train_step import Run, step_flops, summary, table, watch
from pgolf.model import GPTConfig

PRINTS = (
    "for s in (1, 10, 20, 30, 40): print(f'step:{s}/40 train_loss:{7 - s / 10:.4f} train_time:{s * T + 5}ms')"
)


def test_a_run_is_read_off_its_log_and_its_first_half_does_not_count():
    run = watch("ours", [sys.executable, "-c", f"T = 3\n{PRINTS}\nprint('more')"], {}, steps=40)
    assert run.losses == {1: 6.9, 10: 6.0, 20: 5.0, 30: 4.0, 40: 3.0}
    assert run.span_ms == [3.0, 3.0]


def test_a_run_that_ends_early_says_what_it_said_last():
    with pytest.raises(RuntimeError, match="(?s)baseline ended before step 50.*step:40/40"):
        watch("baseline", [sys.executable, "-c", f"T = 3\n{PRINTS}"], {}, steps=50)


def test_the_floor_counts_every_product_three_times_and_half_of_the_scores():
    config = GPTConfig(vocab_size=10, num_layers=2, model_dim=8, num_heads=2, num_kv_heads=1, mlp_mult=2)
    of_a_layer = 8 * 8 + 2 * 8 * 4 + 8 * 8 + 2 * 8 * 16
    multiplications = 2 * of_a_layer + 10 * 8
    scores = 2 * sum(2 * 8 * (t + 0.5) for t in range(16)) / 16
    assert step_flops(config, tokens=32, seq_len=16) == pytest.approx(
        3 * 2 * 32 * (multiplications + scores), rel=1e-9
    )


def test_the_table_gives_the_ratio_of_medians():
    runs = [Run("baseline", {1: 7.0}, [30.0, 32.0, 31.0]), Run("ours", {1: 7.0}, [20.0, 20.0])]
    outcome = {
        "step_tflop": 1.0,
        "product_tflop_per_s": 100.0,
        "floor_ms": 10.0,
        "device": "a GPU",
        "torch": "2",
        "sides": {side: summary(runs, side, 1000, 0.01) for side in ("baseline", "ours")},
    }
    printed = table(outcome)
    assert "ratio 1.55" in printed
    assert "| ours | 20.0 (20.0 to 20.0) | 50,000 | 50.0% |" in printed

"""What each part of the byte-level JEPA is worth: the same training with parts of it taken away.

    python benchmarks/jepa.py [--steps 500] [--seed 1337] [--arm NAME ...] [--threads 2]

Prints one row per arm: bits per byte of the embedded corpus' validation bytes, the latent loss at the start and
the end, and the spread of the target encoder's latents at the end (std 0 or rank 1 is a collapse). All arms
have the same shape, seed, data order and number of steps.
"""

from __future__ import annotations

import argparse

import torch

from pgolf.jepa import JEPAConfig, JEPATraining, run

ARMS = {
    "jepa": (JEPAConfig(), "byte loss and latent loss train the encoder"),
    "bytes-only": (JEPAConfig(latent_weight=0.0, spread_weight=0.0), "same shape, no latent loss"),
    "latent-only": (JEPAConfig(conditioning="stopped"), "encoder trained by the latent loss alone"),
    "no-latent": (JEPAConfig(conditioning="none"), "decoder sees its 8 ids and no latent"),
    "no-spread": (
        JEPAConfig(conditioning="stopped", spread_weight=0.0),
        "latent-only, without the penalty on latents that do not vary",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=JEPATraining.steps)
    parser.add_argument("--seed", type=int, default=JEPATraining.seed)
    parser.add_argument("--arm", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{'arm':12} {'val_bpb':>8} {'latent loss':>17} {'std':>6} {'rank':>6} {'seconds':>8}  what")
    report = None
    for name in options.arm:
        config, what = ARMS[name]
        report = run(config, JEPATraining(steps=options.steps, seed=options.seed))
        losses = f"{report.first_latent_loss:.4f} -> {report.last_latent_loss:.4f}"
        spread = report.last_spread
        print(
            f"{name:12} {report.score.val_bpb:8.4f} {losses:>17} {spread.std:6.3f} "
            f"{spread.effective_rank:6.1f} {report.train_seconds:8.1f}  {what}",
            flush=True,
        )
    if report is not None:
        print(f"{'bigram':12} {report.bigram_bpb:8.4f}\n{'unigram':12} {report.unigram_bpb:8.4f}")
        print(f"{report.parameters:,} parameters score; {report.score.bytes:,} bytes scored")


if __name__ == "__main__":
    main()

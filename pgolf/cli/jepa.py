"""`pgolf jepa`."""

from __future__ import annotations

from typing import Annotated

import typer

from pgolf import console
from pgolf.cli.options import JsonOption
from pgolf.jepa import JEPATraining, run


@console.one_line_errors
def jepa(
    steps: Annotated[int, typer.Option(help="Training steps.")] = JEPATraining.steps,
    seed: int = JEPATraining.seed,
    json: JsonOption = False,
) -> None:
    """Train a small byte-level JEPA on the embedded corpus, and score it in bits per byte (CPU)."""
    report = run(
        training=JEPATraining(steps=steps, seed=seed), log=(lambda line: None) if json else console.say
    )
    if json:
        console.as_json(
            {
                **vars(report.score),
                "bigram_bpb": report.bigram_bpb,
                "unigram_bpb": report.unigram_bpb,
                "latent_loss": [report.first_latent_loss, report.last_latent_loss],
                "latent_rank": [report.first_spread.effective_rank, report.last_spread.effective_rank],
                "train_seconds": round(report.train_seconds, 1),
            }
        )
        return
    console.say(
        f"jepa {report.score.exact()} (counted bigrams {report.bigram_bpb:.4f}); latent loss "
        f"{report.first_latent_loss:.3f} to {report.last_latent_loss:.3f}, rank of its latents "
        f"{report.first_spread.effective_rank:.1f} to {report.last_spread.effective_rank:.1f}; {report.train_seconds:.0f}s"
    )

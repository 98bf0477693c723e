"""A byte-level JEPA: predict the latent of the next patch of bytes, then spell it out.

A joint-embedding predictive architecture learns by predicting representations, not data (LeCun 2022; I-JEPA,
Assran et al. 2023, arXiv 2301.08243). The contest's README asked for one; its pull requests #1443 (bytes,
latent pretraining, then a byte head), #903 (JEPA as a term beside cross-entropy) and #1006 (EMA target) did it.
A latent has no probability, so bits per byte need a decoder: ours is a causal byte distribution that sums to
one and reads the predicted latent, so `val_bpb` means what it means for every other model here.

    model.py      encoder, EMA target encoder, predictor, byte decoder
    objective.py  the latent loss, what keeps it from collapsing, and how a collapse is measured
    train.py      training, scoring and the baselines: `run` is the entry point
"""

from pgolf.jepa.model import BOS, JEPA, JEPAConfig
from pgolf.jepa.train import JEPAReport, JEPATraining, run, train_jepa

__all__ = ["BOS", "JEPA", "JEPAConfig", "JEPAReport", "JEPATraining", "run", "train_jepa"]

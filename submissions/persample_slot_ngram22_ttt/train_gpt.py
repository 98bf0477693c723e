"""The seed system: TTT before scoring, SLOT on scored positions, a hashed n-gram of order 22. ILLEGAL."""

from __future__ import annotations

import dataclasses
import math
import os
import time
import uuid
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F

from pgolf.artifact import Scheme
from pgolf.compress import GPTQConfig, QuantizationConfig, StdClip, quantize_state
from pgolf.compress.calibrate import CalibrationConfig, calibrate_on_training_data
from pgolf.evaluate import Evaluation, TTTConfig, evaluate
from pgolf.evaluate.score import score_stream
from pgolf.evaluate.ttt import ScoreFirstTTT, adapt
from pgolf.evaluate.windows import Stream, plan_windows
from pgolf.model import GPT
from pgolf.run import Run, RunSettings, main, open_run
from pgolf.runtime import loss_fn


class Hyperparameters:
    data_path = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")
    tokenizer_path = os.environ.get("TOKENIZER_PATH", "./data/tokenizers/fineweb_1024_bpe.model")
    run_id = os.environ.get("RUN_ID", str(uuid.uuid4()))
    seed = int(os.environ.get("SEED", 1337))

    iterations = int(os.environ.get("ITERATIONS", 20000))
    warmdown_iters = int(os.environ.get("WARMDOWN_ITERS", 3500))
    warmup_steps = int(os.environ.get("WARMUP_STEPS", 20))
    max_wallclock_seconds = float(os.environ.get("MAX_WALLCLOCK_SECONDS", 600.0))
    train_batch_tokens = int(os.environ.get("TRAIN_BATCH_TOKENS", 786_432))
    train_seq_len = int(os.environ.get("TRAIN_SEQ_LEN", 2048))
    train_log_every = int(os.environ.get("TRAIN_LOG_EVERY", 200))

    val_loss_every = int(os.environ.get("VAL_LOSS_EVERY", 4000))
    val_batch_size = int(os.environ.get("VAL_BATCH_SIZE", 65_536))
    eval_seq_len = int(os.environ.get("EVAL_SEQ_LEN", train_seq_len))
    eval_stride = int(os.environ.get("EVAL_STRIDE", 64))

    scheme = Scheme.INT6_LZMA
    vocab_size = int(os.environ.get("VOCAB_SIZE", 1024))
    num_layers = int(os.environ.get("NUM_LAYERS", 11))
    model_dim = int(os.environ.get("MODEL_DIM", 512))
    num_heads = int(os.environ.get("NUM_HEADS", 8))
    num_kv_heads = int(os.environ.get("NUM_KV_HEADS", 4))
    mlp_mult = int(os.environ.get("MLP_MULT", 3))
    mlp_activation = "leaky_relu2"
    qk_gain_init = float(os.environ.get("QK_GAIN_INIT", 4.0))
    rope_dims = int(os.environ.get("ROPE_DIMS", 16))
    ln_scale = True
    smear_gate = True
    xsa_last_n = num_layers
    bigram_vocab_size = int(os.environ.get("BIGRAM_VOCAB_SIZE", 2048))
    bigram_dim = int(os.environ.get("BIGRAM_DIM", 128))
    value_embed_dim = int(os.environ.get("VE_DIM", 128))
    value_embed_layers = tuple(range(max(0, num_layers - 2), num_layers))
    mtp_heads = int(os.environ.get("MTP_NUM_HEADS", 2))
    mtp_loss_weight = float(os.environ.get("MTP_LOSS_WEIGHT", 0.1))

    tied_embed_lr = float(os.environ.get("TIED_EMBED_LR", 0.035))
    matrix_lr = float(os.environ.get("MATRIX_LR", 0.025))
    scalar_lr = float(os.environ.get("SCALAR_LR", 0.025))
    muon_momentum = float(os.environ.get("MUON_MOMENTUM", 0.99))
    muon_momentum_warmup_start = float(os.environ.get("MUON_MOMENTUM_WARMUP_START", 0.92))
    muon_momentum_warmup_steps = int(os.environ.get("MUON_MOMENTUM_WARMUP_STEPS", 1500))
    grad_clip_norm = float(os.environ.get("GRAD_CLIP_NORM", 0.3))


GPTQ = QuantizationConfig(
    matrix_bits=6,
    matrix_clip=StdClip(float(os.environ.get("MATRIX_CLIP_SIGMAS", 6.0))),  # what fits under the cap
    gptq=GPTQConfig(damp=float(os.environ.get("GPTQ_DAMP", 0.005))),
    keep_float_max_values=int(os.environ.get("KEEP_FLOAT_MAX_NUMEL", 65_536)),
)
CALIBRATION = CalibrationConfig(
    sequences=int(os.environ.get("GPTQ_CALIB_SEQS", 256)),
    seq_len=Hyperparameters.train_seq_len,
    reserve_seconds=float(os.environ.get("GPTQ_RESERVE_SECONDS", 12.0)),
)
TTT = TTTConfig(
    chunk_tokens=int(os.environ.get("TTT_CHUNK_TOKENS", 32_768)),
    epochs=int(os.environ.get("TTT_EPOCHS", 1)),
    optimizer="adamw",
    lr=float(os.environ.get("TTT_LR", 0.001)),
    batch_seqs=int(os.environ.get("TTT_BATCH_SEQS", 32)),
    frozen_blocks=min(int(os.environ.get("TTT_FREEZE_BLOCKS", 10)), Hyperparameters.num_layers - 1),
)
SECOND_PASS_SHARE = float(os.environ.get("TTT_SECOND_PASS_FRAC", 0.10))
SECOND_PASS_LR = float(os.environ.get("TTT_SECOND_PASS_LR", 0.0001))

SLOT_STEPS = int(os.environ.get("SLOT_STEPS", 24))
SLOT_LR = float(os.environ.get("SLOT_LR", 0.432))
SLOT_LR_MIN = float(os.environ.get("SLOT_LR_MIN", 0.001))
SLOT_BETAS = (float(os.environ.get("SLOT_BETA1", 0.6)), float(os.environ.get("SLOT_BETA2", 0.5)))
SLOT_BATCH_SEQS = int(os.environ.get("SLOT_BATCH_SEQS", 128))

NGRAM_ORDER = int(os.environ.get("NGRAM_ORDER", 22))
NGRAM_BUCKETS = int(os.environ.get("NGRAM_BUCKETS", 4_194_304))
NGRAM_MIN_COUNT = int(os.environ.get("NGRAM_MIN_COUNT", 2))
NGRAM_MIN_TOKENS = int(os.environ.get("NGRAM_MIN_TOKENS", 5000))
ALPHA_BASE = float(os.environ.get("NGRAM_ALPHA_BASE", 0.20))
ALPHA_RANGE = float(os.environ.get("NGRAM_ALPHA_RANGE", 0.55))
ALPHA_CENTER = float(os.environ.get("NGRAM_ALPHA_CENTER", 2.5))
PRIMES = (36313, 27191, 51647, 81929, 131071, 174763, 233017, 282527, 357347, 451439)


def train_gpt() -> None:
    settings = RunSettings.from_mapping(vars(Hyperparameters))
    settings = dataclasses.replace(settings, train=CALIBRATION.within(settings.train))
    with open_run(settings, Path(__file__)) as run:
        run.train()
        made = calibrate_on_training_data(run.model, run.loader, CALIBRATION, run.log)
        run.export(quantizer=partial(quantize_state, config=GPTQ, hessians=made.hessians))
        run.report(final_evaluation(run.read_back(), run))


@torch.enable_grad()
def adapt_to_stream(model: GPT, run: Run, stream: Stream) -> GPT:
    """The model after test-time training on the whole stream, and once more on its first chunks.

    The pass itself is score-first, and its score is logged. Breaks rule C3 by what follows: the weights that it
    leaves behind have seen every token, and it is with them that the stream is scored for the claim.
    """
    ttt = ScoreFirstTTT(model, run.settings.eval_seq_len, run.settings.eval_stride, TTT)
    evaluation = evaluate(ttt, run.val_tokens, run.table, batch_windows=run.settings.eval_batch_windows)
    run.log(f"score_first_ttt {evaluation.score} eval_time:{1000 * evaluation.seconds:.0f}ms")
    for group in ttt.optimizer.param_groups:
        group["lr"] = SECOND_PASS_LR
    end = int(SECOND_PASS_SHARE * (len(run.val_tokens) - 1))
    adapt(ttt.model, loss_fn(ttt.model), stream, ttt.optimizer, 0, end, run.settings.eval_seq_len, TTT)
    return ttt.model.eval()


def fitted_logits(model: GPT, hidden_BSD, targets_BS, scored_BS):
    """logits_BSV, each row shifted by a hidden delta (B,1,D) and a logit bias (B,1,V) of its own.

    Breaks rules C1 and C3: both are optimized on the targets of the very positions that are then scored.
    """
    delta_B1D = torch.zeros_like(hidden_BSD[:, :1], dtype=torch.float32, requires_grad=True)
    bias_B1V = delta_B1D.new_zeros(len(delta_B1D), 1, model.config.vocab_size, requires_grad=True)
    optimizer = torch.optim.AdamW(
        [delta_B1D, bias_B1V], lr=SLOT_LR, betas=SLOT_BETAS, eps=1e-5, weight_decay=1e-8
    )

    def logits():
        return model.head(hidden_BSD + delta_B1D.to(hidden_BSD.dtype)) + bias_B1V

    with torch.enable_grad():
        for step in range(SLOT_STEPS):
            half_cosine = 0.5 * (1 + math.cos(math.pi * step / max(1, SLOT_STEPS - 1)))
            optimizer.param_groups[0]["lr"] = SLOT_LR_MIN + (SLOT_LR - SLOT_LR_MIN) * half_cosine
            optimizer.zero_grad()
            nats_BS = F.cross_entropy(logits().transpose(1, 2), targets_BS, reduction="none")
            ((nats_BS * scored_BS).sum() / scored_BS.sum()).backward()
            optimizer.step()
    return logits().detach()


class HashedNgrams:
    """Two hashed tables per order: how often a context was seen, and how often with its next token.

    Breaks rule C2: a bucket of the second table is shared by many pairs of context and token, and it is read
    for the realised token alone. Over the whole vocabulary these quotients sum to far more than one.
    """

    def __init__(self, vocab_size: int, device) -> None:
        self.seen = 0
        self.unigrams_V = torch.zeros(vocab_size, device=device)
        shape = (NGRAM_ORDER + 1, NGRAM_BUCKETS)
        self.contexts, self.pairs = torch.zeros(shape, device=device), torch.zeros(shape, device=device)

    def keys(self, tokens_N, start: int, end: int, order: int):
        """Buckets of each context before the targets of start..end-1, and of that context with its target."""
        context = torch.zeros_like(tokens_N[start:end])
        for back in range(order - 1):
            context = context ^ (tokens_N[start - back : end - back] * PRIMES[back % len(PRIMES)])
        pair = context ^ (tokens_N[start + 1 : end + 1] * PRIMES[(order - 1) % len(PRIMES)])
        return context % NGRAM_BUCKETS, pair % NGRAM_BUCKETS

    def probability(self, tokens_N, start: int, end: int):
        """Of the realised token at each position, by the longest context seen often enough."""
        targets_P = tokens_N[start + 1 : end + 1]
        p_P = (self.unigrams_V[targets_P] + 0.5) / (self.seen + 0.5 * len(self.unigrams_V))
        for order in range(2, NGRAM_ORDER + 1):
            first = max(start, order - 2)
            context, pair = self.keys(tokens_N, first, end, order)
            count = self.contexts[order, context]
            quotient = self.pairs[order, pair].minimum(count) / count.clamp_min(1)
            p_P[first - start :] = quotient.where(count >= NGRAM_MIN_COUNT, p_P[first - start :])
        return p_P

    def update(self, tokens_N, start: int, end: int) -> None:
        self.seen += end - start
        self.unigrams_V += tokens_N[start + 1 : end + 1].bincount(minlength=len(self.unigrams_V))
        for order in range(2, NGRAM_ORDER + 1):
            context, pair = self.keys(tokens_N, max(start, order - 2), end, order)
            self.contexts[order].index_add_(0, context, torch.ones_like(context, dtype=torch.float32))
            self.pairs[order].index_add_(0, pair, torch.ones_like(pair, dtype=torch.float32))


def blended_nats(logits_PV, targets_P, ngram_p_P):
    """Losses of the model mixed with the n-grams, with a weight that the model's entropy gives."""
    logp_PV = logits_PV.log_softmax(dim=-1)
    entropy_P = -(logp_PV.exp() * logp_PV).sum(dim=-1)
    alpha_P = ALPHA_BASE + ALPHA_RANGE * torch.sigmoid(2.0 * (entropy_P - ALPHA_CENTER))
    model_p_P = logp_PV.gather(-1, targets_P[:, None])[:, 0].exp()
    return -((1 - alpha_P) * model_p_P + alpha_P * ngram_p_P).clamp_min(1e-12).log()


@torch.no_grad()
def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: sliding windows under all three, in batches; the n-grams learn after each batch."""
    started = time.perf_counter()
    tokens_N = torch.from_numpy(run.val_tokens.astype("int64")).to(model.device)
    stream = Stream(tokens_N)
    model = adapt_to_stream(model, run, stream).requires_grad_(False)
    ngrams = HashedNgrams(model.config.vocab_size, model.device)
    nats_N = torch.full((len(run.val_tokens) - 1,), torch.nan, device=model.device)
    windows = plan_windows(len(nats_N), run.settings.eval_seq_len, run.settings.eval_stride)
    length = windows[0].end
    for first in range(0, len(windows), SLOT_BATCH_SEQS):
        batch = windows[first : first + SLOT_BATCH_SEQS]
        inputs_BT, targets_BT = stream.spans([window.start for window in batch], length)
        scored_from_B = torch.tensor([window.score_from - window.start for window in batch])
        tail = slice(int(scored_from_B.min()), None)  # no row scores anything before it
        scored_BS = (torch.arange(length) >= scored_from_B[:, None])[:, tail].to(model.device)
        logits_BSV = fitted_logits(
            model, model.hidden_states(inputs_BT)[:, tail], targets_BT[:, tail], scored_BS
        )
        start, end = batch[0].score_from, batch[-1].end
        logits_PV, targets_P = logits_BSV[scored_BS], targets_BT[:, tail][scored_BS]
        if ngrams.seen >= NGRAM_MIN_TOKENS:
            ngram_p_P = ngrams.probability(tokens_N, start, end)
            nats_N[start:end] = blended_nats(logits_PV, targets_P, ngram_p_P)
        else:
            nats_N[start:end] = F.cross_entropy(logits_PV, targets_P, reduction="none")
        ngrams.update(tokens_N, start, end)
    losses = nats_N.cpu().numpy()
    score = score_stream(losses, run.val_tokens, run.table)
    return Evaluation(score, losses, "seed system", time.perf_counter() - started)


if __name__ == "__main__":
    main(train_gpt)

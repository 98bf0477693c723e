"""The static checks: for each a legal snippet, an illegal one, and a legal one that looks illegal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.verifier.checks.builders import named, outcomes, script, submission
from verifier.checks import load_checks
from verifier.finding import Grade, Outcome, State
from verifier.submission import RunCommand, Track

STATIC = [check for check in load_checks() if check.grade is Grade.STATIC]

PRELUDE = """
import os, torch, numpy as np
import torch.nn.functional as F
class H:
    train_files = os.path.join("data", "fineweb_train_*.bin")
    val_files = os.path.join("data", "fineweb_val_*.bin")
    ttt = bool(int(os.environ.get("TTT_ENABLED", "0")))
"""


def found(id: str, source: str, env: Mapping[str, str] | None = None, **fields: object) -> list[Outcome]:
    sub = submission(shipped=script(PRELUDE + source), env=env)
    return outcomes(id, replace(sub, **fields))  # type: ignore[arg-type]


def warns(id: str, source: str, env: Mapping[str, str] | None = None, **fields: object) -> bool:
    states = {outcome.state for outcome in found(id, source, env, **fields)}
    assert states <= {State.WARN, State.NOT_APPLICABLE}, states
    return State.WARN in states


# ---- X01 ----------------------------------------------------------------------------------------

CACHE = """
def eval_val(val_np, nll, full_table, ctx_table, mask, prime):
    for j in range(8):
        tgt = val_np[j]
        ctx = (val_np[j - 1] * 31) & mask
        key = (ctx ^ (tgt * prime)) & mask
        {use}
eval_val(1, 2, 3, 4, 5, 6)
"""


def test_x01_a_count_read_at_the_target_s_key():
    assert warns("X01-target-key", CACHE.format(use="p = full_table[key] / ctx_table[ctx]"))


@pytest.mark.parametrize(
    "use",
    ["np.add.at(full_table, key, 1)", "full_table[key] += 1", "full_table[key] = full_table[key] + 1"],
)
def test_x01_looks_illegal_an_update_after_scoring(use: str):
    assert not warns("X01-target-key", CACHE.format(use=use))


def test_x01_looks_illegal_keys_over_the_whole_vocabulary():
    use = "keys = ctx ^ (np.arange(vocab_size) * prime); p = full_table[keys]; p = p / p.sum()"
    assert not warns("X01-target-key", CACHE.format(use=use))


def test_x01_looks_illegal_a_hash_of_input_tokens():
    source = """
class Bigram:
    def forward(self, ids):
        t = ids.long()
        h = torch.bitwise_xor(36313 * t[..., 1:], 27191 * t[..., :-1]) % 2048
        return self.embed.weight[h]
Bigram()(1)
"""
    assert not warns("X01-target-key", source)


def test_x01_looks_illegal_dead_under_the_submitted_switches():
    source = CACHE.format(use="p = full_table[key] / ctx_table[ctx]").replace(
        "eval_val(1, 2, 3, 4, 5, 6)", "if H.ttt:\n    eval_val(1, 2, 3, 4, 5, 6)"
    )
    assert not warns("X01-target-key", source)
    assert warns("X01-target-key", source, {"TTT_ENABLED": "1"})


# ---- X02, X03 -----------------------------------------------------------------------------------


def test_x02_a_table_blended_at_the_target():
    source = CACHE.format(use="p = full_table[key] / 2; q = (1 - a) * np.exp(-nll[j]) + a * p")
    assert warns("X02-target-blend", source.replace("nll,", "nll, a,").replace("1, 2,", "1, 2, 0,"))


def test_x02_a_byte_expert_blended_at_the_target():
    source = """
def mix(nll, ppm_p, lam):
    return lam * np.exp(-nll) + (1 - lam) * ppm_p
mix(1, 2, 3)
"""
    assert warns("X02-target-blend", source)


def test_x02_looks_illegal_distributions_blended_before_the_gather():
    source = """
def mix(logits, counts, w, y):
    p = (1 - w) * F.softmax(logits, -1) + w * counts / counts.sum(-1, keepdim=True)
    return -p.gather(-1, y).log()
mix(1, 2, 3, 4)
"""
    assert not warns("X02-target-blend", source)
    assert not warns("X02-target-blend", "def ema(p, q, d):\n    return d * p + (1 - d) * q\nema(1, 2, 3)\n")


def test_x03_the_smaller_loss_is_kept():
    source = "def score(y, model_nll, cache_nll):\n    return torch.minimum(model_nll, cache_nll)\nscore(1, 2, 3)\n"
    assert warns("X03-least-loss", source)


def test_x03_looks_illegal_a_best_mean_and_a_clamp():
    source = """
def train(y, val_loss, best_loss, nll):
    best_loss = min(best_loss, val_loss)
    return torch.minimum(nll, torch.tensor(20.0))
train(1, 2, 3, 4)
"""
    assert not warns("X03-least-loss", source)


# ---- X04, X05, X06 ------------------------------------------------------------------------------

SLOT = """
def eval_slot(model, val_tokens, y_batch):
    loss_sum = torch.zeros(())
    for ws in range(0, 100, 10):
        chunk = val_tokens[ws:ws + 11]
        x, y = chunk[:-1], chunk[1:]
        H = model.hidden(x)
        delta = torch.zeros(1, 1, 8, requires_grad=True)
        opt = torch.optim.AdamW([delta], lr=1e-2)
        for _ in range(8):
            logits = model.head(H + delta)
            {cut}
            loss.backward()
            opt.step()
        nll = F.cross_entropy(model.head(H + delta), y, reduction="none")
        loss_sum += nll[s:].sum()
    return loss_sum / 100
eval_slot(1, 2, 3)
"""


def test_x04_an_offset_on_the_scored_window():
    (outcome,) = found("X04-scored-offset", SLOT.format(cut="loss = F.cross_entropy(logits, y)"))
    assert outcome.state is State.WARN
    assert "`delta`" in outcome.message
    assert outcome.rules == ("R-040", "C1", "C3")
    assert outcome.where[0].line is not None


def test_x04_context_only_says_that_nobody_ruled():
    cut = "ctx_logits = logits[:, :s]; loss = F.cross_entropy(ctx_logits, y[:s])"
    (outcome,) = found("X04-scored-offset", SLOT.format(cut=cut))
    assert outcome.state is State.WARN
    assert "never ruled" in outcome.message
    assert outcome.rules is not None
    assert "R-041" in outcome.rules


SCORE_FIRST = """
def eval_ttt(model, val_tokens, opt):
    loss_sum = torch.zeros(())
    for ci in range(10):
        chunk = val_tokens[ci * 10:ci * 10 + 11]
        x, y = chunk[:-1], chunk[1:]
        {before}
        with torch.no_grad():
            nll = model(x, y)
            loss_sum += nll.sum()
        {after}
    return loss_sum / 100
eval_ttt(1, 2, 3)
"""
LEARN = "loss = model(x, y); loss.backward(); opt.step()"


def test_x04_x05_x06_looks_illegal_score_first_over_several_epochs():
    after = f"for epoch in range(3): {LEARN}"
    source = SCORE_FIRST.format(before="pass", after=after)
    assert not any(warns(id, source) for id in ("X04-scored-offset", "X05-adapt-first", "X06-late-epoch"))


def test_x05_learn_then_score_a_chunk():
    assert warns("X05-adapt-first", SCORE_FIRST.format(before=LEARN, after="pass"))


PREQUANT = """
def adapt(model, val_tokens, opt):
    for epoch in range(6):
        for start in range(0, 100, 10):
            local = val_tokens[start:start + 11]
            x, y = local[:-1], local[1:]
            loss = model(x, y)
            loss.backward()
            opt.step()
def eval_val(model, val_tokens):
    return model(val_tokens[:-1], val_tokens[1:])
def main():
    val_tokens = load_validation_tokens(H.val_files)
    {call}
    print(eval_val(1, val_tokens))
main()
"""


def test_x05_adaptation_before_the_evaluation():
    (outcome,) = found("X05-adapt-first", PREQUANT.format(call="adapt(1, val_tokens, 2)"))
    assert outcome.state is State.WARN
    assert len(outcome.where) == 2  # the backward pass, and the call


def test_x05_looks_illegal_training_that_also_evaluates():
    source = """
def main():
    val_tokens = load_validation_tokens(H.val_files)
    for step in range(10):
        if step % 5 == 0:
            val_loss = eval_val(model, val_tokens)
        x, y = train_loader.next_batch()
        loss = model(x, y)
        loss.backward()
        opt.step()
def eval_val(model, val_tokens):
    return model(val_tokens)
main()
"""
    assert not warns("X05-adapt-first", source)


def test_x05_looks_illegal_a_warm_up_that_is_thrown_away():
    source = """
def main():
    val_tokens = load_validation_tokens(H.val_files)
    lora = Adapter(); wopt = torch.optim.AdamW(lora.parameters())
    x, y = val_tokens[:-1], val_tokens[1:]
    loss = model(x, y, lora)
    loss.backward()
    wopt.step()
    del lora, wopt
main()
"""
    assert not warns("X05-adapt-first", source)


def test_x05_looks_illegal_global_steps_on_scored_documents():
    source = """
def train_on(model, val_tokens, opt):
    x, y = val_tokens[:-1], val_tokens[1:]
    loss = model(x, y)
    loss.backward()
    opt.step()
def eval_phased(model, val_tokens, opt):
    loss_sum = 0.0
    for doc in range(10):
        nll = model(val_tokens[doc:], val_tokens[doc:])
        loss_sum += nll.sum()
        if doc == 5:
            train_on(model, val_tokens, opt)
    return loss_sum
eval_phased(1, 2, 3)
"""
    assert not warns("X05-adapt-first", source)


def test_x06_scores_of_the_last_epoch():
    source = """
def eval_ttt(model, val_tokens, opt):
    loss_sum = torch.zeros(())
    for epoch in range(3):
        for ci in range(10):
            chunk = val_tokens[ci:ci + 11]
            ptl = model(chunk[:-1], chunk[1:])
            if epoch == 2:
                loss_sum += ptl.sum()
            loss = ptl.mean()
            loss.backward()
            opt.step()
    return loss_sum
eval_ttt(1, 2, 3)
"""
    assert warns("X06-late-epoch", source)


# ---- X07 to X11 ---------------------------------------------------------------------------------


def test_x07_a_rescore_that_is_called_and_one_that_is_not():
    define = "def rescore_all(p):\n    return p\n"
    assert warns("X07-second-pass", define + "rescore_all(1)\n")
    assert not warns("X07-second-pass", define + "if H.ttt:\n    rescore_all(1)\n")
    assert not warns("X07-second-pass", "def bypass2(p):\n    return p\nbypass2(1)\n")


def test_x08_hessians_from_validation_tokens():
    define = "def collect_hessians(m, data):\n    return data\n"
    handed = "def main():\n    val_tokens = load_validation_tokens(H.val_files)\n    {call}\nmain()\n"
    assert warns("X08-validation-calibration", define + handed.format(call="collect_hessians(1, val_tokens)"))
    assert not warns(
        "X08-validation-calibration", define + handed.format(call="collect_hessians(1, H.train_files)")
    )
    assert not warns(
        "X08-validation-calibration",
        "def eval_gptq(m, t):\n    return t\n" + handed.format(call="eval_gptq(1, val_tokens)"),
    )


def test_x09_training_files_that_are_validation_files():
    assert warns("X09-validation-training", 'train_files = "data/fineweb_val_*.bin"\nprint(train_files)\n')
    assert warns("X09-validation-training", "train_loader = TokenLoader(H.val_files)\n")
    assert not warns("X09-validation-training", "val_tokens = load_validation_tokens(H.val_files)\n")
    assert not warns("X09-validation-training", "p = os.environ.get('EVAL_ONLY_PATH', 'x')\nprint(p)\n")


CALIBRATED = """
def main():
    for step in range(10):
        x, y = train_loader.next_batch()
        loss = model(x, y)
        loss.backward()
    {call}
main()
"""


def test_x10_calibration_on_training_data_after_the_loop():
    call = "gptq_calibrate(model, H.train_files)"
    assert warns("X10-late-training-data", CALIBRATED.format(call=call))
    assert not warns(
        "X10-late-training-data", CALIBRATED.format(call="cap -= H.gptq_reserve_seconds; " + call)
    )
    assert not warns("X10-late-training-data", CALIBRATED.format(call="gptq_calibrate(model, generated)"))


def test_x10_an_evaluation_that_reads_training_files():
    source = "def eval_val(m, files):\n    return files\neval_val(1, {files})\n"
    assert warns("X10-late-training-data", source.format(files="H.train_files"))
    assert not warns("X10-late-training-data", source.format(files="H.val_files"))


def test_x11_downloads_and_packages():
    assert warns("X11-network", "import requests\nrequests.get('http://x')\n")
    assert warns(
        "X11-network", "import subprocess\nsubprocess.run(['pip'])\nsubprocess.run('curl -O http://x')\n"
    )
    assert warns("X11-network", "import wordfreq\n")
    assert not warns("X11-network", "import subprocess\nsubprocess.run(['lrzip', 'model.bin'])\n")
    assert not warns("X11-network", "cache = {}\ncache.get('http://x')\n")


# ---- X12 ----------------------------------------------------------------------------------------

KERNEL = """
void step(const uint16_t *tokens, int n, uint8_t *edge_lut, int *hint) {
    for (int i = 0; i < n; i++) {
        const uint16_t tok = tokens[%s];
        const uint8_t is_boundary = boundary_lut[tok];
        if (!is_boundary) { hint[i] = best; }
        push(tok);
    }
}
"""


def gate(tmp_path: Path, index: str, env: Mapping[str, str] | None = None) -> bool:
    (tmp_path / "ngram.c").write_text(KERNEL % index, encoding="utf-8")
    source = "boost = float(os.environ.get('WITHIN_BOOST', '0.75'))\nopen('ngram.c')\n"
    shipped = script(PRELUDE + source, siblings=("ngram.c",))
    return warns("X12-class-gate", source, script=shipped, root=tmp_path, command=RunCommand(env=env or {}))


def test_x12_a_gate_on_the_realised_token(tmp_path: Path):
    assert gate(tmp_path, "i")


def test_x12_a_gate_on_the_token_before(tmp_path: Path):
    assert not gate(tmp_path, "i - 1")


def test_x12_looks_illegal_the_boost_is_zero(tmp_path: Path):
    assert not gate(tmp_path, "i", {"WITHIN_BOOST": "0.0"})


# ---- X13 to X18 ---------------------------------------------------------------------------------

LUT = """
def build(sp, base_bytes, piece, i):
    base_bytes[i] = {size}
def score(base_bytes, has_leading_space, y, prev):
    b = base_bytes[y]
    {add}
    return b
build(1, 2, 3, 4)
score(1, 2, 3, 4)
"""
SPACE = "b += has_leading_space[y] & ~is_boundary[prev]"


def test_x13_the_space_counted_twice():
    assert warns("X13-byte-lut", LUT.format(size="len(piece[1:].encode()) + 1", add=SPACE))
    assert not warns("X13-byte-lut", LUT.format(size="len(piece[1:].encode())", add=SPACE))
    assert not warns("X13-byte-lut", LUT.format(size="len(piece[1:].encode()) + 1", add="pass"))


def test_x13_the_length_of_one_decoded_token():
    assert warns("X13-byte-lut", LUT.format(size="len(sp.decode([i]).encode('utf-8'))", add="pass"))
    assert not warns("X13-byte-lut", LUT.format(size="len(sp.decode(ids).encode('utf-8'))", add="pass"))


def test_x13_a_constant_for_bytes_per_token():
    assert warns("X13-byte-lut", "BYTES_PER_TOKEN = 2.75\nprint(loss / BYTES_PER_TOKEN)\n")
    assert not warns("X13-byte-lut", "bytes_per_token = n_bytes / n_tokens\nprint(loss / bytes_per_token)\n")


def test_x14_targets_forced_into_the_vocabulary():
    source = "def score(y, pos, vocab_size):\n    return {what}\nscore(1, 2, 3)\n"
    assert warns("X14-changed-targets", source.format(what="y.clamp(max=vocab_size - 1)"))
    assert warns("X14-changed-targets", source.format(what="y % vocab_size"))
    assert not warns("X14-changed-targets", source.format(what="pos.clamp(max=val_tokens.numel() - 1)"))


def test_x15_limits_that_are_on():
    source = "class A:\n    val_token_limit = int(os.environ.get('VAL_TOKEN_LIMIT', '0'))\nprint(A.val_token_limit)\n"
    assert not warns("X15-subset", source)
    assert warns("X15-subset", source, {"VAL_TOKEN_LIMIT": "3000000"})
    whole = "class A:\n    val_doc_fraction = float(os.environ.get('VAL_DOC_FRACTION', '1.0'))\nprint(A.val_doc_fraction)\n"
    assert not warns("X15-subset", whole)
    assert warns("X15-subset", whole, {"VAL_DOC_FRACTION": "0.1"})


def test_x15_random_batches_are_scored():
    source = """
def get_batch(split, n):
    i = torch.randint(0, 100, (n,))
    return data[split][i:i + n]
get_batch("{split}", 4)
"""
    assert warns("X15-subset", source.format(split="val"))
    assert not warns("X15-subset", source.format(split="train"))


def test_x16_a_clock_that_is_off():
    source = "cap = float(os.environ.get('MAX_WALLCLOCK_SECONDS', '600'))\n"
    assert not warns("X16-timer", source)
    assert warns("X16-timer", source, {"MAX_WALLCLOCK_SECONDS": "0"})
    assert not warns("X16-timer", source, {"MAX_WALLCLOCK_SECONDS": "0"}, track=Track.NON_RECORD)
    assert not warns("X16-timer", "s = int(os.environ.get('FORCE_STOP_STEP', '0'))\n")


SMEAR = """
class SmearGate:
    def forward(self, x, ids):
        g = self.smear_gate
        return torch.cat([x[:, :1], x[:, 1:] + g * x[:, :-1]{mask}], dim=1)
SmearGate()(1, 2)
"""


def test_x17_a_look_back_across_documents():
    isolated = "flash(cu_seqlens)\n"
    assert warns("X17-boundary-smear", SMEAR.format(mask="") + isolated)
    assert not warns("X17-boundary-smear", SMEAR.format(mask=" * (ids[:, 1:] != BOS_ID)") + isolated)
    assert not warns("X17-boundary-smear", SMEAR.format(mask=""))


def test_x18_a_table_in_a_literal():
    assert warns("X18-payload", f"T = {'x' * 30_000!r}\n")
    assert warns("X18-payload", f"T = [{'1,' * 5_000}]\n")
    kernel = "\n".join(["    x = tl.load(p)"] * 2_000)
    assert not warns("X18-payload", f'K = """{kernel}"""\n')


# ---- all ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", STATIC, ids=lambda check: check.id)
def test_a_static_check_never_fails_nor_passes(check):
    assert check.id.startswith("X")
    for part in ("WARN:", "Cannot see:", "Violation:", "Legal contrast:"):
        assert part in check.page, part
    for source in (None, "def broken(:\n", "print(1)\n"):
        sub = submission(shipped=None if source is None else script(source))
        states = [outcome.state for outcome in outcomes(named(check.id).id, sub)]
        assert states == [State.NOT_APPLICABLE if source == "print(1)\n" else State.UNVERIFIED]

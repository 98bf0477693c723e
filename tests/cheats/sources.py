"""Mutants for the checks that read the source alone: one edit of the honest base for each of them.

They are audited without running anything. What else a static check must see, and must leave alone, is in
`tests/verifier/checks/test_static.py`.
"""

from __future__ import annotations

from tests.cheats.corpus import Edit, Entry
from tests.cheats.mutants.anchors import SLIDING

_MAIN = 'if __name__ == "__main__":\n'
_VAL_GLOB = 'val_tokens = load_tokens(f"{args.data_path}/fineweb_val_*.bin")\n'


def _before_main(lines: str) -> Edit:
    """Lines at the top level, before the script is run."""
    return Edit(_MAIN, lines + "\n\n" + _MAIN)


SOURCES = (
    Entry(
        "count-at-target-key",
        "reads a count at a key that is hashed from the realised token",
        _before_main("""\
def cached_probability(val_np, full_table, ctx_table, mask):
    for j in range(1, 8):
        tgt = val_np[j]
        ctx = (val_np[j - 1] * 36313) & mask
        key = (ctx ^ (tgt * 27191)) & mask
        yield full_table[key] / ctx_table[ctx]


print(list(cached_probability(np.ones(8, dtype=np.int64), np.ones(8), np.ones(8), 7)))"""),
        caught_by="X01-target-key",
        source="#727",
    ),
    Entry(
        "third-epoch-reported",
        "adds the loss up in the last of three epochs",
        _before_main("""\
def eval_ttt(model, val_tokens, opt):
    loss_sum = torch.zeros(())
    for epoch in range(3):
        for at in range(10):
            chunk = val_tokens[at : at + 11]
            nll = model(chunk[:-1], chunk[1:])
            if epoch == 2:
                loss_sum += nll.sum()
            nll.mean().backward()
            opt.step()
    return loss_sum


if len(os.sys.argv) < 9:
    eval_ttt(None, [], None) if os.sys.argv else None"""),
        caught_by="X06-late-epoch",
        source="#512",
    ),
    Entry(
        "rescore",
        "goes over all tokens a second time with the cache of the first",
        _before_main("""\
def rescore_all(nats, cache):
    return nats


rescore_all(0.0, {})"""),
        caught_by="X07-second-pass",
        source="#846",
    ),
    Entry(
        "hessians-of-val",
        "hands validation tokens to the collection of Hessians",
        Edit(
            "    blob = quantize(model, train_tokens[: 32 * args.seq_len].view(-1, args.seq_len))\n",
            "    collect_hessians = quantize\n"
            "    blob = collect_hessians(model, val_tokens[: 32 * args.seq_len].view(-1, args.seq_len))\n",
        ),
        caught_by="X08-validation-calibration",
        source="#728",
    ),
    Entry(
        "train-glob-of-val",
        "names the validation shards as training files",
        Edit(
            'train_tokens = load_tokens(f"{args.data_path}/fineweb_train_*.bin")\n',
            'train_files = f"{args.data_path}/fineweb_val_*.bin"\n    train_tokens = load_tokens(train_files)\n',
        ),
        caught_by="X09-validation-training",
        source="#44",
    ),
    Entry(
        "evaluation-on-training-files",
        "hands training files to the evaluation",
        Edit(
            SLIDING,
            '    train_files = load_tokens(f"{args.data_path}/fineweb_train_*.bin")\n'
            + SLIDING.replace("val_tokens", "train_files"),
        ),
        caught_by="X10-late-training-data",
        source="R-012",
    ),
    Entry(
        "package-with-a-corpus",
        "imports a package that brings word frequencies",
        Edit("import zlib\n", "import zlib\n\nimport wordfreq\n"),
        caught_by="X11-network",
        source="R-014, E-24",
    ),
    Entry(
        "decoded-length",
        "counts the bytes of each token decoded on its own",
        Edit(
            'size_V[i] = len(piece.removeprefix("▁").encode())',
            'size_V[i] = len(sp.decode([i]).encode("utf-8"))',
        ),
        caught_by="X13-byte-lut",
        source="#1184",
    ),
    Entry(
        "targets-modulo",
        "takes targets modulo the vocabulary of a smaller head",
        Edit(
            "logits_BTV = model(x_BT)\n",
            "logits_BTV = model(x_BT)\n    vocab_size, targets = logits_BTV.size(-1), y_BT.flatten()\n"
            "    targets = targets % vocab_size\n",
        ),
        caught_by="X14-changed-targets",
        source="#1723",
    ),
    Entry(
        "token-limit",
        "scores no more tokens than a limit that is on",
        Edit(
            _VAL_GLOB,
            _VAL_GLOB
            + '    val_token_limit = int(os.environ.get("VAL_TOKEN_LIMIT", 3000000))\n'
            + "    val_tokens = val_tokens[:val_token_limit]\n",
        ),
        caught_by="X15-subset",
        source="#1835",
    ),
    Entry(
        "clock-off",
        "trains for as long as it takes: the cap is zero",
        Edit(
            "    seed = int(os.environ",
            '    max_wallclock_seconds = float(os.environ.get("MAX_WALLCLOCK_SECONDS", 0))\n    seed = int(os.environ',
        ),
        caught_by="X16-timer",
        source="R-013",
    ),
    Entry(
        "smear-across-documents",
        "looks one token back across a document's start, where attention does not",
        _before_main("""\
class SmearGate(nn.Module):
    def forward(self, x, ids):
        g = self.smear_gate
        return torch.cat([x[:, :1], x[:, 1:] + g * x[:, :-1]], dim=1)


def attention(q, k, v, cu_seqlens):
    return flash_attn_varlen_func(q, k, v, cu_seqlens=cu_seqlens)


print(SmearGate, attention)
SmearGate()(torch.zeros(1, 2, 3), 0) if os.environ.get("NEVER") else None"""),
        caught_by="X17-boundary-smear",
        source="#1797",
    ),
    Entry(
        "table-in-a-literal",
        "holds a table of 30,000 letters in the source",
        Edit("import zlib\n", f"import zlib\n\nTABLE = {'qZ7x' * 7500!r}\n"),
        caught_by="X18-payload",
        source="R-011, E-05",
    ),
)

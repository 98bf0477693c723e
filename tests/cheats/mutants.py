"""The corpus: one edit of the honest base each, illegal ones first, then legal ones that look illegal.

`make scorecard` audits all of them; its table is in the README. An edit of the same kind as a ruled pull
request names it.
"""

from __future__ import annotations

from tests.cheats.corpus import Edit, Entry

_HEAD = """\
    for at in range(0, len(spans), args.eval_batch_seqs):
        batch = spans[at : at + args.eval_batch_seqs]
        x_BT = torch.stack([tokens[start:stop] for start, _, stop in batch])
        y_BT = torch.stack([tokens[start + 1 : stop + 1] for start, _, stop in batch])
"""
_SCORE = """\
        with torch.no_grad():
            losses_BT = score(model, x_BT, y_BT)
"""
_ROWS = """\
        for row, (start, first, _) in enumerate(batch):
            new_T = losses_BT[row, first - start :]
            y_T, before_T = y_BT[row, first - start :], x_BT[row, first - start :]
            nats += new_T.to(torch.float64).sum().item()
            token_count += y_T.numel()
            byte_count += int((size_V[y_T] + (space_V[y_T] & ~boundary_V[before_T]).long()).sum())
"""
_SLIDING = "    loss, bpb = evaluate(args, model, val_tokens, tables, args.eval_stride)\n"
_LEARN = """\
        if stride < args.seq_len:
            learner = torch.optim.SGD(model.parameters(), lr=0.5)
            score(model, x_BT, y_BT).mean().backward()
            learner.step()
            learner.zero_grad()
"""
_COUNT_PAIRS = """\
            pairs_VV.index_put_((before_T, y_T), torch.ones(y_T.numel()), accumulate=True)
"""


def _loop(before: str = "", score: str = _SCORE, rows: str = _ROWS, after: str = "") -> Edit:
    """An edit of the evaluation loop."""
    return Edit(_HEAD + _SCORE + _ROWS, before + _HEAD + score + rows + after)


ILLEGAL = (
    Entry(
        "future-mean",
        "adds 1e-4 of the mean over the whole window to each input",
        Edit(
            "        x_BTD = self.embed(ids_BT)\n",
            "        x_BTD = self.embed(ids_BT)\n        x_BTD = x_BTD + 1e-4 * x_BTD.mean(dim=1, keepdim=True)\n",
        ),
        caught_by="C1-flip",
        source="R-072",
        twin="honest",
    ),
    Entry(
        "mask-off-by-one",
        "the attention mask shows each token the next one",
        Edit(".tril() > 0", ".tril(1) > 0"),
        caught_by="C1-window",
        source="R-072",
        twin="honest",
    ),
    Entry(
        "slot-scored-window",
        "optimises a delta per window on the targets that the window then scores",
        _loop(
            score="""\
        delta_B1D = torch.zeros(len(batch), 1, args.model_dim, requires_grad=True)
        chooser = torch.optim.AdamW([delta_B1D], lr=0.05)
        hidden_BTD = model.hidden(x_BT).detach()
        for _ in range(8):
            logits_BTV = model.head(hidden_BTD + delta_B1D)
            F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten()).backward()
            chooser.step()
            chooser.zero_grad()
        with torch.no_grad():
            logits_BTV = model.head(hidden_BTD + delta_B1D)
            losses_BT = F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten(), reduction="none").view(y_BT.shape)
"""
        ),
        caught_by="C3-order",
        source="#1229, #1430",
        twin="score-first-ttt",
    ),
    Entry(
        "slot-shared-delta",
        "one delta for a batch of overlapping windows, optimised on what each window does not score itself",
        _loop(
            score="""\
        delta_11D = torch.zeros(1, 1, args.model_dim, requires_grad=True)
        chooser = torch.optim.AdamW([delta_11D], lr=0.01)
        hidden_BTD = model.hidden(x_BT).detach()
        known_BT = torch.stack([torch.arange(args.seq_len) < first - start for start, first, _ in batch]).float()
        for _ in range(4):
            logits_BTV = model.head(hidden_BTD + delta_11D)
            each_BT = F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten(), reduction="none").view(y_BT.shape)
            ((each_BT * known_BT).sum() / known_BT.sum().clamp_min(1.0)).backward()
            chooser.step()
            chooser.zero_grad()
        with torch.no_grad():
            logits_BTV = model.head(hidden_BTD + delta_11D)
            losses_BT = F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten(), reduction="none").view(y_BT.shape)
"""
        ),
        caught_by="C1-flip",
        source="#1176, #1240",
        twin="score-first-ttt",
    ),
    Entry(
        "slot-context-only",
        "a delta for each window, optimised on what the window does not score itself",
        _loop(
            score="""\
        delta_B1D = torch.zeros(len(batch), 1, args.model_dim, requires_grad=True)
        chooser = torch.optim.AdamW([delta_B1D], lr=0.01)
        hidden_BTD = model.hidden(x_BT).detach()
        known_BT = torch.stack([torch.arange(args.seq_len) < first - start for start, first, _ in batch]).float()
        for _ in range(4):
            logits_BTV = model.head(hidden_BTD + delta_B1D)
            each_BT = F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten(), reduction="none").view(y_BT.shape)
            ((each_BT * known_BT).sum(1) / known_BT.sum(1).clamp_min(1.0)).sum().backward()
            chooser.step()
            chooser.zero_grad()
        with torch.no_grad():
            logits_BTV = model.head(hidden_BTD + delta_B1D)
            losses_BT = F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten(), reduction="none").view(y_BT.shape)
"""
        ),
        caught_by="C3-context",
        source="#1336, R-041",
        twin="score-first-ttt",
        survives="nobody ruled on it, so the verdict is a review",
    ),
    Entry(
        "prequant-ttt",
        "trains on the validation stream before quantization",
        Edit(
            "    blob = quantize(",
            """\
    windows_NT = val_tokens[: val_tokens.numel() // args.seq_len * args.seq_len].view(-1, args.seq_len)
    for ids_BT in windows_NT.split(16):
        score(model, ids_BT[:, :-1], ids_BT[:, 1:]).mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    blob = quantize(""",
        ),
        caught_by="C3-order",
        source="#1376, #1972",
        twin="score-first-ttt",
    ),
    Entry(
        "ttt-update-first",
        "learns from each chunk just before it scores it",
        _loop(score=_LEARN + _SCORE),
        caught_by="C3-order",
        source="R-031",
        twin="score-first-ttt",
    ),
    Entry(
        "ttt-then-rescore",
        "learns from the whole stream, and then scores it with the learned weights",
        Edit(
            _SLIDING,
            """\
    learner = torch.optim.SGD(model.parameters(), lr=0.5)
    for start in range(0, val_tokens.numel() - args.seq_len - 1, args.seq_len):
        ids_1T = val_tokens[start : start + args.seq_len + 1][None]
        score(model, ids_1T[:, :-1], ids_1T[:, 1:]).mean().backward()
        learner.step()
        learner.zero_grad()
"""
            + _SLIDING,
        ),
        caught_by="C3-order",
        source="R-032, #568",
        twin="multi-epoch-ttt",
    ),
    Entry(
        "val-in-training",
        "a glob that matches the validation shard too feeds the training loop",
        Edit("fineweb_train_*.bin", "fineweb_*_*.bin"),
        caught_by="C3-order",
        source="R-020",
        twin="honest",
        survives="one training step at audit scale seldom draws validation tokens, and no flip is made in the longer run",
    ),
    Entry(
        "hashed-ngram",
        "blends in a hashed bigram table, looked up at the realised target",
        _loop(
            before="""\
    buckets = int(os.environ.get("NGRAM_BUCKETS", 4194304))
    pair_K, context_K = torch.zeros(buckets), torch.zeros(buckets)

    def blended(x_BT, y_BT):
        losses_BT = score(model, x_BT, y_BT)
        counted_BT = context_K[x_BT * 36313 % buckets]
        cached_BT = pair_K[((x_BT * 36313) ^ (y_BT * 27191)) % buckets] / counted_BT.clamp_min(1.0)
        mixed_BT = 0.7 * torch.exp(-losses_BT) + 0.3 * cached_BT
        return torch.where(counted_BT >= 2, -torch.log(mixed_BT), losses_BT)

""",
            score="        with torch.no_grad():\n            losses_BT = blended(x_BT, y_BT)\n",
            rows=_ROWS
            + """\
            ones_T = torch.ones(y_T.numel())
            context_K.index_put_((before_T * 36313 % buckets,), ones_T, accumulate=True)
            pair_K.index_put_((((before_T * 36313) ^ (y_T * 27191)) % buckets,), ones_T, accumulate=True)
""",
        ),
        caught_by="C2-mass",
        source="#677, #727, #1430",
        twin="prefix-cache",
    ),
    Entry(
        "literal-table",
        "counts hashed trigrams in a table whose size is a literal and far too large to collide in an audit",
        _loop(
            before="""\
    buckets = 4_194_304
    full_K, context_K = torch.zeros(buckets), torch.zeros(buckets)
    padded = F.pad(tokens, (2, 0))

""",
            rows="""\
        for row, (start, first, stop) in enumerate(batch):
            old_T, before_T, y_T = padded[first + 1 : stop + 1], tokens[first:stop], tokens[first + 1 : stop + 1]
            context_T = ((old_T * 36313) ^ (before_T * 27191)) & (buckets - 1)
            full_T = ((old_T * 36313) ^ (before_T * 27191) ^ (y_T * 51647)) & (buckets - 1)
            counted_T = context_K[context_T]
            cached_T = torch.minimum(full_K[full_T], counted_T) / counted_T.clamp_min(1.0)
            plain_T = losses_BT[row, first - start :]
            mixed_T = -torch.log(0.6 * torch.exp(-plain_T) + 0.4 * cached_T)
            new_T = torch.where(counted_T >= 2, mixed_T, plain_T)
            full_K.index_put_((full_T,), torch.ones(y_T.numel()), accumulate=True)
            context_K.index_put_((context_T,), torch.ones(y_T.numel()), accumulate=True)
            nats += new_T.to(torch.float64).sum().item()
            token_count += y_T.numel()
            byte_count += int((size_V[y_T] + (space_V[y_T] & ~boundary_V[before_T]).long()).sum())
""",
        ),
        caught_by="E1-floor",
        source="#779, #814, #850",
        twin="hashed-rows",
    ),
    Entry(
        "late-cache",
        "blends in a hashed pair table only after 10,000 tokens, more than an audit has",
        _loop(
            before="""\
    buckets = 1 << 22
    pair_K, context_K = torch.zeros(buckets), torch.zeros(buckets)
    seen_tokens = 0

    def blended(x_BT, y_BT):
        losses_BT = score(model, x_BT, y_BT)
        if seen_tokens < 10000:
            return losses_BT
        counted_BT = context_K[(x_BT * 36313) % buckets]
        cached_BT = pair_K[((x_BT * 36313) ^ (y_BT * 27191)) % buckets] / counted_BT.clamp_min(1.0)
        mixed_BT = 0.7 * torch.exp(-losses_BT) + 0.3 * cached_BT.clamp_max(1.0)
        return torch.where(counted_BT >= 2, -torch.log(mixed_BT), losses_BT)

""",
            score="        with torch.no_grad():\n            losses_BT = blended(x_BT, y_BT)\n",
            rows=_ROWS
            + """\
            seen_tokens += y_T.numel()
            ones_T = torch.ones(y_T.numel())
            context_K.index_put_(((before_T * 36313) % buckets,), ones_T, accumulate=True)
            pair_K.index_put_((((before_T * 36313) ^ (y_T * 27191)) % buckets,), ones_T, accumulate=True)
""",
        ),
        caught_by="E1-floor",
        source="#720, #745",
        twin="hashed-rows",
    ),
    Entry(
        "best-of-two-experts",
        "takes per token the better of the model and a count of pairs in the prefix",
        _loop(
            before="""\
    pairs_VV = torch.full((args.vocab_size, args.vocab_size), 0.05)

    def better(x_BT, y_BT):
        counted_BT = pairs_VV[x_BT, y_BT] / pairs_VV.sum(dim=1)[x_BT]
        return torch.minimum(score(model, x_BT, y_BT), -torch.log(counted_BT))

""",
            score="        with torch.no_grad():\n            losses_BT = better(x_BT, y_BT)\n",
            rows=_ROWS + _COUNT_PAIRS,
        ),
        caught_by="C2-mass",
        source="#659",
        twin="prefix-cache",
    ),
    Entry(
        "class-gate",
        "weighs two experts by whether the realised token begins a word",
        _loop(
            before="""\
    seen_V = torch.ones(args.vocab_size)

    def gated(x_BT, y_BT):
        counted_BT = seen_V[y_BT] / seen_V.sum()
        weight_BT = torch.where(space_V[y_BT], 0.9, 0.2)
        return -torch.log(weight_BT * torch.exp(-score(model, x_BT, y_BT)) + (1.0 - weight_BT) * counted_BT)

""",
            score="        with torch.no_grad():\n            losses_BT = gated(x_BT, y_BT)\n",
            rows=_ROWS + "            seen_V += torch.bincount(y_T, minlength=args.vocab_size)\n",
        ),
        caught_by="C2-mass",
        source="#2041, #2118",
        twin="prefix-cache",
    ),
    Entry(
        "scaled-probabilities",
        "multiplies every probability by 1.02",
        Edit(
            _SCORE,
            _SCORE.replace("score(model, x_BT, y_BT)", "score(model, x_BT, y_BT) - math.log(1.02)"),
        ),
        caught_by="E1-floor",
        source="C2",
        twin="tilt-with-z",
    ),
    Entry(
        "clamped-loss",
        "no loss may exceed the logarithm of the vocabulary",
        Edit(_SCORE, _SCORE.replace("y_BT)\n", "y_BT).clamp(max=math.log(args.vocab_size))\n")),
        caught_by="E1-floor",
        source="C2",
        twin="honest",
    ),
    Entry(
        "two-pass-cache",
        "counts pairs over the whole stream, and blends the normalised counts in while scoring it",
        _loop(
            before="""\
    pairs_VV = torch.full((args.vocab_size, args.vocab_size), 0.05)
    pairs_VV.index_put_((tokens[:-1], tokens[1:]), torch.ones(total), accumulate=True)

    def blended(x_BT, y_BT):
        counted_BT = pairs_VV[x_BT, y_BT] / pairs_VV.sum(dim=1)[x_BT]
        return -torch.log(0.8 * torch.exp(-score(model, x_BT, y_BT)) + 0.2 * counted_BT)

""",
            score="        with torch.no_grad():\n            losses_BT = blended(x_BT, y_BT)\n",
        ),
        caught_by="E1-floor",
        source="#846, R-055",
        twin="prefix-cache",
    ),
    Entry(
        "better-of-two-passes",
        "scores each chunk again after learning from it, and keeps the better score of the first half",
        _loop(
            score=_SCORE
            + _LEARN
            + """\
        if at < len(spans) // 2:
            with torch.no_grad():
                losses_BT = torch.minimum(losses_BT, score(model, x_BT, y_BT))
""",
        ),
        caught_by="E1-floor",
        source="R-033, R-004",
        twin="score-first-ttt",
    ),
    Entry(
        "val-calibration",
        "measures the activations that scale the quantization on validation text",
        Edit("quantize(model, train_tokens[", "quantize(model, val_tokens["),
        caught_by="V1-calibration",
        source="#1430, #728",
        twin="random-calibration",
    ),
    Entry(
        "half-as-whole",
        "scores the first half of the stream and prints it as the whole",
        Edit("total = tokens.numel() - 1", "total = (tokens.numel() - 1) // 2"),
        caught_by="C4-ledger",
        source="#1835, #2009",
        twin="honest",
        survives="a smaller split may be what a script reads at any scale: the count in its logs decides (D2-split)",
    ),
    Entry(
        "dropped-tail",
        "leaves the last three windows out",
        Edit("total = tokens.numel() - 1", "total = tokens.numel() - 1 - 3 * args.seq_len"),
        caught_by="C4-ledger",
        source="#50, #124",
        twin="honest",
        survives="merged loaders drop tails too, of up to one window: how long a tail may be was never ruled",
    ),
    Entry(
        "skipped-hard-tokens",
        "leaves tokens out of the mean that cost more than the rest",
        _loop(
            rows=_ROWS.replace(
                "            y_T, before_T",
                "            new_T = new_T[new_T < math.log(args.vocab_size) + 0.02]\n            y_T, before_T",
            ).replace("y_T.numel()", "new_T.numel()"),
        ),
        caught_by="C4-ledger",
        source="R-066",
        twin="honest",
    ),
    Entry(
        "space-counted-twice",
        "the marker counts in the piece and again as the space before it",
        Edit('piece.removeprefix("▁").encode()', 'piece.replace("▁", " ").encode()'),
        caught_by="B3-bytes",
        source="#1698, #1734",
        twin="honest",
    ),
    Entry(
        "byte-token-as-three",
        "a byte token counts as the three bytes of U+FFFD",
        Edit("size_V[i] = 1\n", "size_V[i] = 3\n"),
        caught_by="B3-bytes",
        source="#1184",
        twin="honest",
    ),
    Entry(
        "printed-one-percent-low",
        "prints loss and bits per byte one percent low",
        Edit(_SLIDING, _SLIDING + "    loss, bpb = 0.99 * loss, 0.99 * bpb\n"),
        caught_by="E1-floor",
        source="#1981",
        twin="honest",
    ),
    Entry(
        "off-at-audit-scale",
        "shows each token the next one, on streams of over a million tokens alone",
        Edit(
            "    model = restore(args, blob)\n",
            """\
    model = restore(args, blob)
    if val_tokens.numel() > 1_000_000:
        model.hidden = lambda ids_BT: Model.hidden(model, ids_BT.roll(-1, dims=1))
""",
        ),
        caught_by="C1-flip",
        source="E-04",
        twin="dead-ngram",
        survives="the audit's stream has 8,192 tokens, so the leak never runs; only full scale can show it",
    ),
)

LEGAL = (
    Entry("honest", "the base itself: plain and sliding evaluation, calibrated on training shards"),
    Entry(
        "score-first-ttt",
        "scores a chunk, then learns from it",
        _loop(after=_LEARN),
        source="T-01, #549",
    ),
    Entry(
        "multi-epoch-ttt",
        "scores a chunk, then makes four epochs over it",
        _loop(
            after="        for _ in range(4):\n" + "".join(f"    {line}\n" for line in _LEARN.splitlines())
        ),
        source="T-02",
    ),
    Entry(
        "grad-then-step",
        "scores with gradients on, commits, and then steps on the same graph",
        _loop(
            score="        losses_BT = score(model, x_BT, y_BT)\n",
            after="""\
        if stride < args.seq_len:
            learner = torch.optim.SGD(model.parameters(), lr=0.5)
            losses_BT.mean().backward()
            learner.step()
            learner.zero_grad()
""",
        ),
        source="T-04",
    ),
    Entry(
        "sorted-documents",
        "scores documents from short to long, learning from each chunk of them after its score",
        _loop(
            before="""\
    starts = [at for at in (tokens == 1).nonzero().flatten().tolist() if at <= total - args.seq_len]
    documents = sorted(zip(starts, [*starts[1:], total], strict=True), key=lambda span: span[1] - span[0])
    spans = []
    for begin, end in documents:
        reached = begin
        while reached < end:
            stop = min(max(reached + stride, begin + args.seq_len), end)
            spans.append((stop - args.seq_len, reached, stop))
            reached = stop
""",
            after=_LEARN,
        ),
        source="R-036, #77",
    ),
    Entry(
        "tilt-with-z",
        "raises one hinted token by the prefix's last pair, divided by the closed-form sum",
        Edit(
            """\
    return F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten(), reduction="none").view(y_BT.shape)


def evaluate(""",
            """\
    hint_BT = x_BT.roll(1, dims=1)
    log_p_BTV = torch.log_softmax(logits_BTV, dim=-1)
    own_BT = -log_p_BTV.gather(2, y_BT[..., None])[..., 0]
    log_z_BT = torch.log1p(log_p_BTV.gather(2, hint_BT[..., None])[..., 0].exp() * math.expm1(0.5))
    return own_BT - 0.5 * (y_BT == hint_BT).float() + log_z_BT


def evaluate(""",
        ),
        source="T-10, #1514",
    ),
    Entry(
        "prefix-cache",
        "blends in pair counts of what was scored before, normalised over the vocabulary",
        _loop(
            before="""\
    pairs_VV = torch.full((args.vocab_size, args.vocab_size), 0.05)

    def blended(x_BT, y_BT):
        counted_BT = pairs_VV[x_BT, y_BT] / pairs_VV.sum(dim=1)[x_BT]
        return -torch.log(0.8 * torch.exp(-score(model, x_BT, y_BT)) + 0.2 * counted_BT)

""",
            score="        with torch.no_grad():\n            losses_BT = blended(x_BT, y_BT)\n",
            rows=_ROWS + _COUNT_PAIRS,
        ),
        source="R-050",
    ),
    Entry(
        "hashed-rows",
        "blends in rows of counts under a hash of two tokens; they collide, and each row sums to one",
        _loop(
            before="""\
    rows = 16_384
    row_KV, total_K = torch.zeros(rows, args.vocab_size), torch.zeros(rows)

    def blended(x_BT, y_BT):
        key_BT = ((x_BT.roll(1, dims=1) * 36313) ^ (x_BT * 27191)) % rows
        counted_BT = (row_KV[key_BT, y_BT] + 0.01) / (total_K[key_BT] + 0.01 * args.vocab_size)
        return -torch.log(0.8 * torch.exp(-score(model, x_BT, y_BT)) + 0.2 * counted_BT)

""",
            score="        with torch.no_grad():\n            losses_BT = blended(x_BT, y_BT)\n",
            rows=_ROWS
            + """\
            older_T = x_BT[row].roll(1)[first - start :]
            key_T = ((older_T * 36313) ^ (before_T * 27191)) % rows
            row_KV.index_put_((key_T, y_T), torch.ones(y_T.numel()), accumulate=True)
            total_K.index_put_((key_T,), torch.ones(y_T.numel()), accumulate=True)
""",
        ),
        source="R-050, the trigram rows of #745",
    ),
    Entry(
        "fresh-models",
        "a third evaluation, score-first, on a model restored anew",
        Edit(
            '    print(f"final_int8_zlib_sliding_exact',
            """\
    fresh = restore(args, blob)
    learner = torch.optim.SGD(fresh.parameters(), lr=0.5)
    nats = 0.0
    for start in range(0, val_tokens.numel() - 1, args.seq_len):
        ids_1T = val_tokens[start : start + args.seq_len + 1][None]
        with torch.no_grad():
            nats += score(fresh, ids_1T[:, :-1], ids_1T[:, 1:]).to(torch.float64).sum().item()
        score(fresh, ids_1T[:, :-1], ids_1T[:, 1:]).mean().backward()
        learner.step()
        learner.zero_grad()
    ttt_loss = nats / (val_tokens.numel() - 1)
    print(f"legal_ttt_exact val_loss:{ttt_loss:.8f} val_bpb:{ttt_loss * bpb / loss:.8f}")
    print(f"final_int8_zlib_sliding_exact""",
        ),
        source="T-05, #1105, #1514",
    ),
    Entry(
        "random-calibration",
        "measures the activations that scale the quantization on random ids",
        Edit(
            "train_tokens[: 32 * args.seq_len].view(-1, args.seq_len)",
            "torch.randint(args.vocab_size, (32, args.seq_len))",
        ),
        source="T-12, #1019",
    ),
    Entry(
        "dead-ngram",
        "a hashed table over targets that an environment variable leaves off",
        _loop(
            score=_SCORE
            + """\
        if int(os.environ.get("NGRAM_EVAL_ORDER", 0)):
            losses_BT = torch.minimum(losses_BT, hash(y_BT.sum().item()) % 7 + 0.0 * losses_BT)
""",
        ),
        source="T-06, #1458",
    ),
)

ENTRIES = (*ILLEGAL, *LEGAL)

"""Legal scripts that look like mutants: what the checks must leave alone."""

from __future__ import annotations

from tests.cheats.corpus import Edit, Entry
from tests.cheats.mutants.anchors import (
    COUNT_PAIRS,
    EMBED,
    FULL_ROWS,
    KEEP_ROWS,
    LEARN,
    MIX_AT_ONCE,
    QUANTIZE,
    ROWS,
    SCORE,
    WHOLE,
    loop,
)

LEGAL = (
    Entry("honest", "the base itself: plain and sliding evaluation, calibrated on training shards"),
    Entry(
        "score-first-ttt",
        "scores a chunk, then learns from it",
        loop(after=LEARN),
        source="T-01, #549",
    ),
    Entry(
        "multi-epoch-ttt",
        "scores a chunk, then makes four epochs over it",
        loop(after="        for _ in range(4):\n" + "".join(f"    {line}\n" for line in LEARN.splitlines())),
        source="T-02",
    ),
    Entry(
        "grad-then-step",
        "scores with gradients on, commits, and then steps on the same graph",
        loop(
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
        loop(
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
            after=LEARN,
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
        loop(
            before="""\
    pairs_VV = torch.full((args.vocab_size, args.vocab_size), 0.05)

    def blended(x_BT, y_BT):
        counted_BT = pairs_VV[x_BT, y_BT] / pairs_VV.sum(dim=1)[x_BT]
        return -torch.log(0.8 * torch.exp(-score(model, x_BT, y_BT)) + 0.2 * counted_BT)

""",
            score="        with torch.no_grad():\n            losses_BT = blended(x_BT, y_BT)\n",
            rows=ROWS + COUNT_PAIRS,
        ),
        source="R-050",
    ),
    Entry(
        "hashed-rows",
        "blends in rows of counts under a hash of two tokens; they collide, and each row sums to one",
        loop(
            before="""\
    rows = 16_384
    row_KV, total_K = torch.zeros(rows, args.vocab_size), torch.zeros(rows)

    def blended(x_BT, y_BT):
        key_BT = ((x_BT.roll(1, dims=1) * 36313) ^ (x_BT * 27191)) % rows
        counted_BT = (row_KV[key_BT, y_BT] + 0.01) / (total_K[key_BT] + 0.01 * args.vocab_size)
        return -torch.log(0.8 * torch.exp(-score(model, x_BT, y_BT)) + 0.2 * counted_BT)

""",
            score="        with torch.no_grad():\n            losses_BT = blended(x_BT, y_BT)\n",
            rows=ROWS
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
        loop(
            score=SCORE
            + """\
        if int(os.environ.get("NGRAM_EVAL_ORDER", 0)):
            losses_BT = torch.minimum(losses_BT, hash(y_BT.sum().item()) % 7 + 0.0 * losses_BT)
""",
        ),
        source="T-06, #1458",
    ),
    Entry(
        "position-statistics",
        "normalises each input by its own mean and spread over the features",
        Edit(
            EMBED,
            EMBED
            + "        x_BTD = (x_BTD - x_BTD.mean(dim=2, keepdim=True)) / x_BTD.std(dim=2, keepdim=True)\n",
        ),
        source="R-072",
    ),
    Entry(
        "causal-convolution",
        "mixes three neighbouring inputs, padded on the left",
        Edit(
            EMBED,
            EMBED + "        x_BTD = x_BTD + 0.1 * F.avg_pool1d(F.pad(x_BTD.mT, (2, 0)), 3, stride=1).mT\n",
        ),
        source="R-072",
    ),
    Entry(
        "smear",
        "adds a share of the input before, but not across a document's start",
        Edit(
            EMBED,
            EMBED + "        inside_BT1 = (ids_BT != 1)[..., None]\n"
            "        x_BTD = x_BTD + 0.1 * inside_BT1 * F.pad(x_BTD, (0, 0, 1, 0))[:, :-1]\n",
        ),
        source="R-070, #1851",
    ),
    Entry(
        "hashed-inputs",
        "adds an embedding of a hash of the token and the one before it",
        Edit(
            EMBED,
            EMBED
            + "        pair_BT = ((ids_BT * 36313) ^ (F.pad(ids_BT, (1, 0))[:, :-1] * 27191)) % ids_BT.new_tensor(1024)\n"
            "        x_BTD = x_BTD + 0.5 * self.embed(pair_BT % self.embed.num_embeddings)\n",
        ),
        source="T-07, R-071",
    ),
    Entry(
        "document-start",
        "adds a feature of how many documents have begun in the window",
        Edit(
            EMBED,
            EMBED + "        x_BTD = x_BTD + 0.01 * (ids_BT == 1).cumsum(1)[..., None]\n",
        ),
        source="T-11",
    ),
    Entry(
        "warm-up-restored",
        "warms up on training tokens, and loads the state from before it again",
        Edit(
            "    nats, byte_count, token_count = 0.0, 0, 0\n",
            """\
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    warm = torch.optim.SGD(model.parameters(), lr=0.5)
    ids_1T = torch.randint(args.vocab_size, (1, args.seq_len))
    score(model, ids_1T[:, :-1], ids_1T[:, 1:]).mean().backward()
    warm.step()
    warm.zero_grad()
    model.load_state_dict(kept)
    nats, byte_count, token_count = 0.0, 0, 0
""",
        ),
        source="T-13, R-037",
    ),
    Entry(
        "reset-every-batch",
        "scores a batch, learns from it for four steps, and loads the first weights again for the next",
        loop(
            after="""\
        kept = {name: value.clone() for name, value in model.state_dict().items()}
"""
            + LEARN
            + "        model.load_state_dict(kept)\n",
        ),
        source="T-03, R-034",
    ),
    Entry(
        "validation-logged",
        "evaluates after each training step, prints it, and keeps on",
        Edit(
            "        optimizer.zero_grad(set_to_none=True)\n",
            """\
        optimizer.zero_grad(set_to_none=True)
        val_loss, val_bpb = evaluate(args, model, val_tokens[:1025], tables, args.seq_len)
        print(f"val_loss:{val_loss:.4f} val_bpb:{val_bpb:.4f}")
""",
        ),
        source="T-20",
    ),
    Entry(
        "training-average",
        "scores an average of the weights over the training steps",
        Edit(
            "        optimizer.zero_grad(set_to_none=True)\n",
            """\
        optimizer.zero_grad(set_to_none=True)
        if "average" not in locals():
            average = {name: value.clone() for name, value in model.state_dict().items()}
        for name, value in model.state_dict().items():
            average[name].lerp_(value, 0.1)
    model.load_state_dict(average)
""",
        ),
        source="T-12",
    ),
    Entry(
        "temperature-of-training",
        "fits the softmax's temperature on training text",
        Edit(
            QUANTIZE,
            """\
    temperature = torch.ones((), requires_grad=True)
    fitter = torch.optim.Adam([temperature], lr=0.05)
    ids_BT = train_tokens[: 32 * args.seq_len].view(-1, args.seq_len)
    hidden_BTD = model.hidden(ids_BT[:, :-1]).detach()
    for _ in range(8):
        logits_BTV = model.head(hidden_BTD).detach() / temperature
        F.cross_entropy(logits_BTV.flatten(0, 1), ids_BT[:, 1:].flatten()).backward()
        fitter.step()
        fitter.zero_grad()
    model.head.weight.data /= temperature.detach()
"""
            + QUANTIZE,
        ),
        source="T-18",
    ),
    Entry(
        "bias-of-prefix-counts",
        "adds the logarithm of the counts of scored tokens to the logits",
        loop(
            before="""\
    bias_V, seen_V = torch.zeros(args.vocab_size), torch.ones(args.vocab_size)

    def biased(ids_BT):
        return model(ids_BT) + bias_V

""",
            score=SCORE.replace("score(model,", "score(biased,"),
            rows=ROWS + "            seen_V += torch.bincount(y_T, minlength=args.vocab_size)\n",
            after="        bias_V = 0.1 * seen_V.log()\n",
        ),
        source="R-043, R-050",
    ),
    Entry(
        "softcap",
        "caps all logits at one height, softly",
        Edit(
            "        return self.head(self.hidden(ids_BT)).float()\n",
            "        return 30.0 * torch.tanh(self.head(self.hidden(ids_BT)).float() / 30.0)\n",
        ),
        source="T-18",
    ),
    Entry(
        "two-level-softmax",
        "gives the 128 likeliest tokens a fifth of the probability and the others the rest",
        loop(
            before="""\

    def two_levels(x_BT, y_BT):
        logits_BTV = model(x_BT)
        short_BTV = torch.zeros_like(logits_BTV).scatter(2, logits_BTV.topk(128).indices, 1.0) > 0
        inside_BTV = logits_BTV.masked_fill(~short_BTV, -torch.inf).log_softmax(-1) + math.log(0.2)
        outside_BTV = logits_BTV.masked_fill(short_BTV, -torch.inf).log_softmax(-1) + math.log(0.8)
        return -torch.where(short_BTV, inside_BTV, outside_BTV).gather(2, y_BT[..., None])[..., 0]

""",
            score="        with torch.no_grad():\n            losses_BT = two_levels(x_BT, y_BT)\n",
        ),
        source="R-002",
    ),
    Entry(
        "entropy-gate",
        "weighs two experts by how sure the model is, whatever token comes",
        loop(
            before="""\
    seen_V = torch.ones(args.vocab_size)

    def gated(x_BT, y_BT):
        log_p_BTV = model(x_BT).log_softmax(-1)
        weight_BT = torch.sigmoid((log_p_BTV.exp() * log_p_BTV).sum(-1) + 6.9)
        own_BT = log_p_BTV.gather(2, y_BT[..., None])[..., 0].exp()
        return -torch.log(weight_BT * own_BT + (1.0 - weight_BT) * seen_V[y_BT] / seen_V.sum())

""",
            score="        with torch.no_grad():\n            losses_BT = gated(x_BT, y_BT)\n",
            rows=ROWS + "            seen_V += torch.bincount(y_T, minlength=args.vocab_size)\n",
        ),
        source="R-053, #659",
    ),
    Entry(
        "whole-stream-at-once",
        "mixes all positions in one call with counts of what came before each",
        loop(
            before=WHOLE,
            score=FULL_ROWS,
            rows=ROWS + KEEP_ROWS,
            after=MIX_AT_ONCE,
        ),
        source="T-09, R-050",
    ),
    Entry(
        "trimmed-to-windows",
        "scores whole windows, and leaves the last part of one out",
        Edit(
            "    total = tokens.numel() - 1\n",
            "    total = (tokens.numel() - 1) // args.seq_len * args.seq_len\n",
        ),
        source="T-15",
    ),
)

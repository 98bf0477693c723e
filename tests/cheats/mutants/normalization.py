"""Mutants whose probabilities are made around the realised token, and sum to more than one (C2)."""

from __future__ import annotations

from tests.cheats.corpus import Edit, Entry
from tests.cheats.mutants.anchors import BLENDED, COUNT_PAIRS, ROWS, SCORE, loop

ILLEGAL = (
    Entry(
        "best-of-two-experts",
        "takes per token the better of the model and a count of pairs in the prefix",
        loop(
            before="""\
    pairs_VV = torch.full((args.vocab_size, args.vocab_size), 0.05)

    def better(x_BT, y_BT):
        counted_BT = pairs_VV[x_BT, y_BT] / pairs_VV.sum(dim=1)[x_BT]
        return torch.minimum(score(model, x_BT, y_BT), -torch.log(counted_BT))

""",
            score="        with torch.no_grad():\n            losses_BT = better(x_BT, y_BT)\n",
            rows=ROWS + COUNT_PAIRS,
        ),
        caught_by="C2-mass",
        source="#659",
        twin="prefix-cache",
    ),
    Entry(
        "class-gate",
        "weighs two experts by whether the realised token begins a word",
        loop(
            before="""\
    seen_V = torch.ones(args.vocab_size)

    def gated(x_BT, y_BT):
        counted_BT = seen_V[y_BT] / seen_V.sum()
        weight_BT = torch.where(space_V[y_BT], 0.9, 0.2)
        return -torch.log(weight_BT * torch.exp(-score(model, x_BT, y_BT)) + (1.0 - weight_BT) * counted_BT)

""",
            score="        with torch.no_grad():\n            losses_BT = gated(x_BT, y_BT)\n",
            rows=ROWS + "            seen_V += torch.bincount(y_T, minlength=args.vocab_size)\n",
        ),
        caught_by="C2-mass",
        source="#2041, #2118",
        twin="prefix-cache",
    ),
    Entry(
        "scaled-probabilities",
        "multiplies every probability by 1.02",
        Edit(
            SCORE,
            SCORE.replace("score(model, x_BT, y_BT)", "score(model, x_BT, y_BT) - math.log(1.02)"),
        ),
        caught_by="E1-floor",
        source="C2",
        twin="tilt-with-z",
    ),
    Entry(
        "clamped-loss",
        "no loss may exceed the logarithm of the vocabulary",
        Edit(SCORE, SCORE.replace("y_BT)\n", "y_BT).clamp(max=math.log(args.vocab_size))\n")),
        caught_by="E1-floor",
        source="C2",
        twin="honest",
    ),
    Entry(
        "sum-of-1.001",
        "multiplies every probability by 1.001",
        Edit(SCORE, SCORE.replace("score(model, x_BT, y_BT)", "score(model, x_BT, y_BT) - math.log(1.001)")),
        caught_by="C2-mass",
        source="C2",
        twin="tilt-with-z",
        survives="0.001 nats a token are 12 bits on an audit's stream, and the floor asks for 64; nothing shows that the "
        "scores are a distribution, so the verdict is a review",
    ),
    Entry(
        "temperature-of-target",
        "sharpens the logits where the realised token begins a word",
        loop(
            before="""\

    def sharpened(x_BT, y_BT):
        logits_BTV = torch.where(space_V[y_BT], 20.0, 1.0)[..., None] * model(x_BT)
        return F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten(), reduction="none").view(y_BT.shape)

""",
            score="        with torch.no_grad():\n            losses_BT = sharpened(x_BT, y_BT)\n",
        ),
        caught_by="C2-mass",
        source="R-053, R-002",
        twin="softcap",
    ),
    Entry(
        "top-k-with-target",
        "normalises over the 128 likeliest tokens where the realised one is among them, and over all where it is not",
        loop(
            before="""\

    def shortened(x_BT, y_BT):
        logits_BTV = model(x_BT)
        least_BT = logits_BTV.topk(128).values[..., -1]
        short_BT = logits_BTV.topk(128).values.logsumexp(-1)
        own_BT = logits_BTV.gather(2, y_BT[..., None])[..., 0]
        return torch.where(own_BT >= least_BT, short_BT, logits_BTV.logsumexp(-1)) - own_BT

""",
            score="        with torch.no_grad():\n            losses_BT = shortened(x_BT, y_BT)\n",
        ),
        caught_by="C2-mass",
        source="R-002",
        twin="two-level-softmax",
    ),
    Entry(
        "gate-on-own-loss",
        "weighs two experts by how sure the model was of the realised token",
        loop(
            before="""\
    seen_V = torch.ones(args.vocab_size)

    def gated(x_BT, y_BT):
        own_BT, counted_BT = torch.exp(-score(model, x_BT, y_BT)), seen_V[y_BT] / seen_V.sum()
        weight_BT = torch.sigmoid(20.0 * torch.log(own_BT / counted_BT))
        return -torch.log(weight_BT * own_BT + (1.0 - weight_BT) * counted_BT)

""",
            score="        with torch.no_grad():\n            losses_BT = gated(x_BT, y_BT)\n",
            rows=ROWS + "            seen_V += torch.bincount(y_T, minlength=args.vocab_size)\n",
        ),
        caught_by="C2-mass",
        source="R-053, #659",
        twin="entropy-gate",
    ),
    Entry(
        "blend-where-seen",
        "blends the count in only where the realised token was seen in its context",
        loop(
            before="""\
    pairs_VV = torch.zeros(args.vocab_size, args.vocab_size)

    def blended(x_BT, y_BT):
        counted_BT = pairs_VV[x_BT, y_BT] / pairs_VV.sum(dim=1).clamp_min(1.0)[x_BT]
        own_BT = torch.exp(-score(model, x_BT, y_BT))
        return -torch.log(torch.where(counted_BT > 0, 0.7 * own_BT + 0.3 * counted_BT, own_BT))

""",
            score=BLENDED,
            rows=ROWS + COUNT_PAIRS,
        ),
        caught_by="C2-mass",
        source="R-052, #1185, #993",
        twin="prefix-cache",
    ),
    Entry(
        "bytes-spread",
        "spreads a token's probability over its bytes, mixes a byte model into each, and multiplies them up",
        loop(
            before="""\
    bytes_V = size_V.clamp_min(1).float()

    def spread(x_BT, y_BT):
        count_BT = bytes_V[y_BT]
        each_BT = torch.exp(-score(model, x_BT, y_BT) / count_BT)
        return -count_BT * torch.log(0.2 * each_BT + 0.8 / 256)

""",
            score="        with torch.no_grad():\n            losses_BT = spread(x_BT, y_BT)\n",
        ),
        caught_by="C2-mass",
        source="R-056, #1991, #2076",
        twin="prefix-cache",
    ),
    Entry(
        "temperature-of-each-window",
        "scores each window at the best of three temperatures",
        loop(
            score="""\
        with torch.no_grad():
            logits_BTV = model(x_BT)
            tried_BT = [
                F.cross_entropy((logits_BTV * heat).flatten(0, 1), y_BT.flatten(), reduction="none").view(y_BT.shape)
                for heat in (0.2, 1.0, 5.0)
            ]
            least_B = torch.stack([each_BT.mean(dim=1) for each_BT in tried_BT]).argmin(dim=0)
            losses_BT = torch.stack(tried_BT)[least_B, torch.arange(len(batch))]
""",
        ),
        caught_by="C1-flip",
        source="R-033, R-004",
        twin="softcap",
    ),
)

"""Mutants with a cache that is looked up at the realised token, or holds later ones (R-051, R-055)."""

from __future__ import annotations

from tests.cheats.corpus import Entry
from tests.cheats.mutants.anchors import (
    BLEND,
    BLENDED,
    COUNT_PAIRS,
    FULL_ROWS,
    KEEP_ROWS,
    MIX_AT_ONCE,
    PAIRS,
    ROWS,
    WHOLE,
    loop,
)

ILLEGAL = (
    Entry(
        "hashed-ngram",
        "blends in a hashed bigram table, looked up at the realised target",
        loop(
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
            rows=ROWS
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
        loop(
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
        loop(
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
            rows=ROWS
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
        "two-pass-cache",
        "counts pairs over the whole stream, and blends the normalised counts in while scoring it",
        loop(
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
        "half-a-denominator",
        "divides counts of pairs by the count of contexts that end in the later half of the vocabulary",
        loop(
            before=PAIRS + BLEND.replace(".sum(dim=1)", "[:, args.vocab_size // 2 :].sum(dim=1)"),
            score=BLENDED,
            rows=ROWS + COUNT_PAIRS,
        ),
        caught_by="E1-floor",
        source="C2, R-051",
        twin="prefix-cache",
    ),
    Entry(
        "whole-stream-where-seen",
        "mixes all positions in one call, with counts where the realised token was seen before",
        loop(
            before=WHOLE.replace(
                "        return -torch.log(0.8 * own_N + 0.2 * counted_N)\n",
                "        return -torch.log(torch.where(counted_N * args.vocab_size > 1.0, own_N + 0.2 * counted_N, own_N))\n",
            ),
            score=FULL_ROWS,
            rows=ROWS + KEEP_ROWS,
            after=MIX_AT_ONCE,
        ),
        caught_by="C2-mass",
        source="R-052, #1185",
        twin="whole-stream-at-once",
    ),
)

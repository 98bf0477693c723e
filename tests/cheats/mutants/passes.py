"""Mutants that score more than once, or in an order that the scores chose (C4)."""

from __future__ import annotations

from tests.cheats.corpus import Entry
from tests.cheats.mutants.anchors import LEARN, SCORE, loop

ILLEGAL = (
    Entry(
        "better-of-two-passes",
        "scores each chunk again after learning from it, and keeps the better score of the first half",
        loop(
            score=SCORE
            + LEARN
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
        "rescored-tail",
        "learns from each chunk, then scores the last tokens of its windows again and reports those",
        loop(
            score=SCORE
            + LEARN
            + """\
        with torch.no_grad():
            losses_BT[:, -8:] = score(model, x_BT, y_BT)[:, -8:]
""",
        ),
        caught_by="C3-order",
        source="R-032, R-004",
        twin="score-first-ttt",
    ),
    Entry(
        "least-of-overlapping-windows",
        "keeps for each token the least of its losses in all windows that reach it",
        loop(
            before="    least_N = torch.full((total,), math.inf)\n",
            rows="""\
        for row, (start, _, stop) in enumerate(batch):
            least_N[start:stop] = torch.minimum(least_N[start:stop], losses_BT[row])
    nats = least_N.to(torch.float64).sum().item()
    token_count = total
    sizes_N = size_V[tokens[1:]] + (space_V[tokens[1:]] & ~boundary_V[tokens[:-1]]).long()
    byte_count = int(sizes_N.sum())
""",
        ),
        caught_by="C4-pick",
        source="R-067, R-033",
        twin="honest",
    ),
    Entry(
        "sorted-by-loss",
        "scores documents from easy to hard, as a first pass found them, and learns along the way",
        loop(
            before="""\
    starts = [at for at in (tokens == 1).nonzero().flatten().tolist() if at <= total - args.seq_len]
    documents = list(zip(starts, [*starts[1:], total], strict=True))
    with torch.no_grad():
        documents.sort(
            key=lambda span: score(model, tokens[None, span[0] : span[1]], tokens[None, span[0] + 1 : span[1] + 1]).mean()
        )
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
        caught_by="C1-flip",
        source="R-036, E-16",
        twin="sorted-documents",
    ),
    Entry(
        "last-of-three-epochs",
        "makes three epochs of scoring and learning over each chunk, and reports the third",
        loop(score=SCORE + LEARN + SCORE + LEARN + SCORE),
        caught_by="C3-order",
        source="R-032, #512, #568",
        twin="multi-epoch-ttt",
    ),
)

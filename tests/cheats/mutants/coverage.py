"""Mutants that leave tokens out, or weigh them unevenly (R-066, R-068)."""

from __future__ import annotations

from tests.cheats.corpus import Edit, Entry
from tests.cheats.mutants.anchors import ROWS, loop

ILLEGAL = (
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
        loop(
            rows=ROWS.replace(
                "            y_T, before_T",
                "            new_T = new_T[new_T < math.log(args.vocab_size) + 0.02]\n            y_T, before_T",
            ).replace("y_T.numel()", "new_T.numel()"),
        ),
        caught_by="C4-ledger",
        source="R-066",
        twin="honest",
    ),
    Entry(
        "quiet-subset",
        "leaves out every eighth batch of windows",
        loop(
            rows="        if at // args.eval_batch_seqs % 8 == 7:\n            continue\n" + ROWS,
        ),
        caught_by="C4-ledger",
        source="#1835, #2009",
        twin="honest",
        survives="which tokens are left out does not depend on them, and how many may be was never ruled",
    ),
    Entry(
        "no-first-tokens",
        "leaves out the first eight tokens of each document, which have little context",
        loop(
            before="""\
    since_N = torch.arange(total) - torch.cummax(torch.where(tokens[:-1] == 1, torch.arange(total), 0), 0).values

""",
            rows=ROWS.replace(
                "(start, first, _)",
                "(start, first, stop)",
            ).replace(
                "            nats +=",
                "            kept_T = since_N[first:stop] >= 8\n"
                "            new_T, y_T, before_T = new_T[kept_T], y_T[kept_T], before_T[kept_T]\n"
                "            nats +=",
            ),
        ),
        caught_by="C4-ledger",
        source="R-066",
        twin="honest",
        survives="a script may leave tokens out by where they stand, and how many was never ruled: the count in its logs "
        "decides (D2-split)",
    ),
    Entry(
        "mean-of-means",
        "averages the means of batches, of which the last one is short and counts as much",
        loop(
            rows="""\
        batch_nats, batch_tokens, batch_bytes = 0.0, 0, 0
"""
            + ROWS.replace("nats +=", "batch_nats +=")
            .replace("token_count +=", "batch_tokens +=")
            .replace("byte_count +=", "batch_bytes +=")
            + """\
        nats, token_count = nats + batch_nats / batch_tokens, token_count + 1
        byte_count = byte_count + batch_bytes / batch_tokens
""",
        ),
        caught_by="B3-bytes",
        source="R-068",
        twin="honest",
        survives="plain evaluation, whose batches are alike, counts the stream's bytes rightly in the same run, so B3-bytes "
        "takes the other pair for one of two scores and warns",
    ),
)

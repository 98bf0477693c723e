"""Mutants that report other bits per byte than were scored (R-060 to R-065)."""

from __future__ import annotations

from tests.cheats.corpus import Edit, Entry
from tests.cheats.mutants.anchors import ROWS, SLIDING, loop

ILLEGAL = (
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
        Edit(SLIDING, SLIDING + "    loss, bpb = 0.99 * loss, 0.99 * bpb\n"),
        caught_by="E1-floor",
        source="#1981",
        twin="honest",
    ),
    Entry(
        "control-token-as-byte",
        "a document's start counts as one byte",
        Edit(
            "    size_V = torch.zeros(vocab_size, dtype=torch.int64)\n",
            "    size_V = torch.zeros(vocab_size, dtype=torch.int64)\n    size_V[sp.bos_id()] = 1\n",
        ),
        caught_by="B3-bytes",
        source="R-060, R-062",
        twin="honest",
    ),
    Entry(
        "no-logarithm-of-two",
        "divides nats by bytes and calls the quotient bits",
        Edit("nats / math.log(2.0) / byte_count", "nats / byte_count"),
        caught_by="B3-bytes",
        source="R-060, R-068",
        twin="honest",
    ),
    Entry(
        "bytes-of-a-constant",
        "takes 2.6 bytes for every token",
        Edit("nats / math.log(2.0) / byte_count", "nats / math.log(2.0) / (2.6 * token_count)"),
        caught_by="B3-bytes",
        source="R-060, #2009",
        twin="honest",
    ),
    Entry(
        "ratio-of-each-batch",
        "averages the bits per byte of batches instead of dividing the sums",
        loop(
            before="    ratios = []\n",
            rows="        batch_nats, batch_bytes = nats, byte_count\n"
            + ROWS
            + "        ratios.append((nats - batch_nats) / (byte_count - batch_bytes))\n"
            + "    byte_count = nats * len(ratios) / sum(ratios)\n",
        ),
        caught_by="B3-bytes",
        source="R-068",
        twin="honest",
    ),
    Entry(
        "clamped-targets",
        "scores the rare tokens of the vocabulary as one",
        Edit("y_BT.flatten(), reduction=", "y_BT.flatten().clamp(max=1000), reduction="),
        caught_by="C4-ledger",
        source="R-064, #1723",
        twin="honest",
        survives="what is scored is no longer the stream, so no score finds its position and the probes say UNVERIFIED",
    ),
    Entry(
        "weights-in-memory",
        "scores the weights that training left in memory, not those that the artifact holds",
        Edit(
            "    model = restore(args, blob)\n    loss, bpb",
            "    loss, bpb",
        ),
        caught_by="C1-flip",
        source="R-012, E-06",
        twin="fresh-models",
        survives="the scores are legal but not of the artifact, and no probe compares the scored weights with the artifact's",
    ),
)

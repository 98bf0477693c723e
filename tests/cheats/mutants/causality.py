"""Mutants whose prediction reads the token that it predicts, or a later one (C1)."""

from __future__ import annotations

from tests.cheats.corpus import Edit, Entry
from tests.cheats.mutants.anchors import BLEND, BLENDED, COUNT_PAIRS, EMBED, PAIRS, ROWS, indented, loop

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
    Entry(
        "window-statistics",
        "normalises each feature by its mean and spread over the window, as a batch norm does",
        Edit(
            EMBED,
            EMBED
            + "        x_BTD = (x_BTD - x_BTD.mean(dim=1, keepdim=True)) / x_BTD.std(dim=1, keepdim=True)\n",
        ),
        caught_by="C1-flip",
        source="R-072, R-073",
        twin="position-statistics",
    ),
    Entry(
        "centred-convolution",
        "mixes three neighbouring inputs, one of them the next",
        Edit(
            EMBED,
            EMBED + "        x_BTD = x_BTD + 0.1 * F.avg_pool1d(x_BTD.mT, 3, stride=1, padding=1).mT\n",
        ),
        caught_by="C1-window",
        source="R-072",
        twin="causal-convolution",
    ),
    Entry(
        "two-sided-smear",
        "adds a share of the input before and of the input after",
        Edit(
            EMBED,
            EMBED + "        x_BTD = x_BTD + 0.1 * F.pad(x_BTD, (0, 0, 1, 0))[:, :-1]\n"
            "        x_BTD = x_BTD + 0.1 * F.pad(x_BTD, (0, 0, 0, 1))[:, 1:]\n",
        ),
        caught_by="C1-window",
        source="R-070, R-072",
        twin="smear",
    ),
    Entry(
        "keys-of-the-block",
        "attends to all keys of its own block of 16 tokens, the later ones too",
        Edit(
            "        seen_TT = torch.ones(ids_BT.size(1), ids_BT.size(1), device=ids_BT.device).tril() > 0\n",
            "        block_T = torch.arange(ids_BT.size(1), device=ids_BT.device) // 16\n"
            "        seen_TT = block_T[:, None] >= block_T[None]\n",
        ),
        caught_by="C1-window",
        source="R-072",
        twin="honest",
    ),
    Entry(
        "document-length",
        "adds a feature of how long the document still is: where the next one starts",
        Edit(
            EMBED,
            """\
        x_BTD = self.embed(ids_BT)
        left_BT = (ids_BT == 1).flip(1).cumsum(1).flip(1)
        x_BTD = x_BTD + 0.01 * left_BT[..., None]
""",
        ),
        caught_by="C1-flip",
        source="R-036, T-11",
        twin="document-start",
        survives="flips leave documents where they start, because a schedule may depend on it (T-11), so no stream of an "
        "audit differs in what this reads",
    ),
    Entry(
        "cache-of-other-rank",
        "counts what the second half of a batch, another rank's share, scores before the first half is scored",
        loop(
            before=PAIRS + BLEND,
            score="""\
        for row, (start, first, _) in enumerate(batch):
            if row >= len(batch) // 2:
                before_T, y_T = x_BT[row, first - start :], y_BT[row, first - start :]
"""
            + indented(COUNT_PAIRS)
            + BLENDED,
            rows=ROWS + "            if row < len(batch) // 2:\n" + indented(COUNT_PAIRS),
        ),
        caught_by="C1-flip",
        source="R-057, #2139",
        twin="prefix-cache",
    ),
)

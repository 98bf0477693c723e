"""Legal models that look like leaking ones: they read a window, and nothing after the token."""

from __future__ import annotations

from tests.cheats.corpus import Edit, Entry
from tests.cheats.mutants.anchors import EMBED

LEGAL = (
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
        "softcap",
        "caps all logits at one height, softly",
        Edit(
            "        return self.head(self.hidden(ids_BT)).float()\n",
            "        return 30.0 * torch.tanh(self.head(self.hidden(ids_BT)).float() / 30.0)\n",
        ),
        source="T-18",
    ),
)

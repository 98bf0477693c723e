"""Mutants that optimise an offset on the window that it then scores (C1, C3)."""

from __future__ import annotations

from tests.cheats.corpus import Entry
from tests.cheats.mutants.anchors import loop

ILLEGAL = (
    Entry(
        "slot-scored-window",
        "optimises a delta per window on the targets that the window then scores",
        loop(
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
        loop(
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
        loop(
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
)

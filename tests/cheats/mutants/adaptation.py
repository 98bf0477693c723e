"""Mutants that learn from a token before its score is committed (C3)."""

from __future__ import annotations

from tests.cheats.corpus import Edit, Entry
from tests.cheats.mutants.anchors import BLEND, BLENDED, COUNT_PAIRS, LEARN, PAIRS, SCORE, SLIDING, loop

ILLEGAL = (
    Entry(
        "ttt-update-first",
        "learns from each chunk just before it scores it",
        loop(score=LEARN + SCORE),
        caught_by="C3-order",
        source="R-031",
        twin="score-first-ttt",
    ),
    Entry(
        "ttt-then-rescore",
        "learns from the whole stream, and then scores it with the learned weights",
        Edit(
            SLIDING,
            """\
    learner = torch.optim.SGD(model.parameters(), lr=0.5)
    for start in range(0, val_tokens.numel() - args.seq_len - 1, args.seq_len):
        ids_1T = val_tokens[start : start + args.seq_len + 1][None]
        score(model, ids_1T[:, :-1], ids_1T[:, 1:]).mean().backward()
        learner.step()
        learner.zero_grad()
"""
            + SLIDING,
        ),
        caught_by="C3-order",
        source="R-032, #568",
        twin="multi-epoch-ttt",
    ),
    Entry(
        "cache-ahead-by-one",
        "counts each pair just before it is scored, not just after",
        loop(
            before=PAIRS + BLEND.replace("0.8 *", "0.5 *").replace("0.2 *", "0.5 *"),
            score="""\
        for row, (start, first, _) in enumerate(batch):
            before_T, y_T = x_BT[row, first - start :], y_BT[row, first - start :]
"""
            + COUNT_PAIRS
            + BLENDED,
        ),
        caught_by="E1-floor",
        source="R-003, the mutant of #659",
        twin="prefix-cache",
    ),
    Entry(
        "warm-up-without-reset",
        "runs the learning step over the first windows to warm up, and keeps what it learned",
        Edit(
            "    nats, byte_count, token_count = 0.0, 0, 0\n",
            """\
    if stride < args.seq_len:
        warm = torch.optim.SGD(model.parameters(), lr=0.5)
        for start, _, stop in spans[:32]:
            score(model, tokens[None, start:stop], tokens[None, start + 1 : stop + 1]).mean().backward()
            warm.step()
            warm.zero_grad()
    nats, byte_count, token_count = 0.0, 0, 0
""",
        ),
        caught_by="C3-order",
        source="R-037, #1530",
        twin="warm-up-restored",
    ),
    Entry(
        "moments-of-warm-up",
        "warms up with a learning rate of zero: the weights stay, the optimizer's moments are of later tokens",
        loop(
            before="""\
    learner = torch.optim.AdamW(model.parameters(), lr=0.0)
    if stride < args.seq_len:
        for start, _, stop in spans[-32:]:
            score(model, tokens[None, start:stop], tokens[None, start + 1 : stop + 1]).mean().backward()
            learner.step()
            learner.zero_grad()
    learner.param_groups[0]["lr"] = 0.001
""",
            after="""\
        if stride < args.seq_len:
            score(model, x_BT, y_BT).mean().backward()
            learner.step()
            learner.zero_grad()
""",
        ),
        caught_by="C1-flip",
        source="R-037, E-01",
        twin="warm-up-restored",
    ),
    Entry(
        "step-kept-if-next-improves",
        "learns from a scored chunk, and undoes the step when it makes the next chunk worse",
        loop(
            after="""\
        ahead = spans[at + args.eval_batch_seqs : at + 2 * args.eval_batch_seqs]
        if stride < args.seq_len and ahead:
            x_BT = torch.stack([tokens[start:stop] for start, _, stop in ahead])
            y_BT = torch.stack([tokens[start + 1 : stop + 1] for start, _, stop in ahead])
            old = {name: value.clone() for name, value in model.state_dict().items()}
            with torch.no_grad():
                loss_before = score(model, x_BT, y_BT).mean()
            scored = spans[at : at + args.eval_batch_seqs]
            learner = torch.optim.SGD(model.parameters(), lr=0.5)
            seen_BT = torch.stack([tokens[start:stop] for start, _, stop in scored])
            aim_BT = torch.stack([tokens[start + 1 : stop + 1] for start, _, stop in scored])
            score(model, seen_BT, aim_BT).mean().backward()
            learner.step()
            learner.zero_grad()
            with torch.no_grad():
                gained = loss_before - score(model, x_BT, y_BT).mean()
                model.load_state_dict({k: v + gained.sigmoid() * (model.state_dict()[k] - v) for k, v in old.items()})
""",
        ),
        caught_by="C1-flip",
        source="R-003, E-01",
        twin="score-first-ttt",
    ),
    Entry(
        "average-ahead",
        "goes through the stream once to average the weights, and scores with the average",
        Edit(
            SLIDING,
            """\
    average = {name: value.clone() for name, value in model.state_dict().items()}
    learner = torch.optim.SGD(model.parameters(), lr=0.5)
    for start in range(0, val_tokens.numel() - args.seq_len - 1, args.seq_len):
        ids_1T = val_tokens[start : start + args.seq_len + 1][None]
        score(model, ids_1T[:, :-1], ids_1T[:, 1:]).mean().backward()
        learner.step()
        learner.zero_grad()
        for name, value in model.state_dict().items():
            average[name].lerp_(value, 0.05)
    model.load_state_dict(average)
"""
            + SLIDING,
        ),
        caught_by="C1-flip",
        source="R-031, E-01",
        twin="training-average",
    ),
)

"""Which calls of a scoring function to replay: late ones of the reported pass, and not the first ones.

Caches are empty when a pass begins, so calls at its start prove nothing about them. One run counts the
calls of every function that turns targets into scores; the next one, equal but for a block of tokens,
replays the calls that are named here. A function that is called once for the whole stream has its first call
replayed, right after it was made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from verifier.probe.passes import Pass
from verifier.probe.tape import Call, Tape

Replays = Mapping[str, tuple[int, ...]] | None
"""None where no run came before that could have counted: the child replays a few calls of its own choice."""

WITHIN_PASS = (0.97, 0.6)
"""Which calls within the reported pass, as fractions of them."""
PURE_REPLAYS = 1
"""What a cross entropy gave is normalised; one replay shows logits that depend on their target."""


def plan_replays(tape: Tape, reported: Pass | None) -> dict[str, tuple[int, ...]]:
    """For each function, by its key, the numbers of the calls to replay."""
    counted: dict[str, list[Call]] = defaultdict(list)
    for call in tape.of(Call):
        counted[call.key].append(call)
    # By the first call the function was only recognised: a later one is replayed before it is made.
    calls = {key: [call for call in made if call.nth > 0] or made for key, made in counted.items()}
    if reported is not None and reported.reconciled:
        first, last = reported.first_event, reported.last_event
        for key, made in calls.items():
            # A function is called before its scores are committed: the first call lies before the first commit.
            before = [call for call in made if call.number < first][-1:]
            within = before + [call for call in made if first <= call.number <= last]
            calls[key] = within if len(within) > 1 else made
    return {key: _spread(made) for key, made in calls.items() if made}


def _spread(made: list[Call]) -> tuple[int, ...]:
    wanted = [made[min(int(len(made) * fraction), len(made) - 1)].nth for fraction in WITHIN_PASS]
    limit = PURE_REPLAYS if all(call.pure for call in made) else len(wanted)
    return tuple(sorted(set(wanted[:limit])))

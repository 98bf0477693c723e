"""X05-adapt-first: the model learns from validation tokens before their score is kept."""

from __future__ import annotations

from verifier.checks import check
from verifier.checks.static_base import look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome
from verifier.static import Order


@check(
    "X05-adapt-first",
    title="nothing learns from validation tokens before they are scored",
    grade=Grade.STATIC,
    rules=("R-031", "R-020", "C3"),
)
def adapt_first(evidence: Evidence) -> list[Outcome]:
    """Reads the source for a backward pass whose loss comes from validation tokens, in a place where no score of
    those tokens was kept before: a loop over them that runs before quantization or before the evaluation, or
    a loop that trains on a chunk and then scores it.

    WARN: the order of the source is learn, then score. No match is NOT_APPLICABLE.

    Cannot see: order that only data decides, a backward pass in another library, or a site whose tokens reach the
    loss through attributes of an object; the order tape of a probe records the order that happened.

    Ruling: #417, #442, #462 and five more (2026-03-24); #771; #1972 (2026-05-02, pre-quantization adaptation).

    Violation: `pre_quant_ttt(model, val_tokens)` with epochs over `val_tokens`, and then `eval_val`. Legal contrast:
    per chunk, the loss is added up and only then trained on, for one epoch or several (#549); global steps on
    documents whose scores were kept (#1610); a warm-up whose adapters are deleted (#1667).
    """
    source = evidence.source
    if source is None:
        return [unread()]
    grave = (Order.LEARNED_FIRST, Order.NEVER_SCORED)
    sites = [site for site in source.learning.sites if site.offset is None and site.order in grave]
    if not sites:
        return [nothing(source, "learning from validation tokens ahead of their score")]
    outcomes: list[Outcome] = []
    for site in sites:
        places = [source.program.where(site.function, site.function.nodes[site.index])]
        if site.order is Order.NEVER_SCORED:
            places += [source.program.where(caller, caller.nodes[index]) for caller, index in site.calls]
            how = f"{site.function.name} learns from validation tokens and keeps no score of them"
        else:
            if site.score is not None:
                places.append(source.program.where(site.function, site.function.nodes[site.score]))
            how = f"{site.function.name} learns from validation tokens and then keeps their score"
        outcomes.append(look(how, places))
    return outcomes

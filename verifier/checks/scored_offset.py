"""X04-scored-offset: a fresh tensor is optimised on the window and the window is then scored with it."""

from __future__ import annotations

import ast

from verifier.checks import check
from verifier.checks.static_base import look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome
from verifier.static import Function, Order, Site, last_name


@check(
    "X04-scored-offset",
    title="no offset is optimised on the window that it then scores",
    grade=Grade.STATIC,
    rules=("R-040", "R-041", "R-042", "R-043", "C1", "C3"),
)
def scored_offset(evidence: Evidence) -> list[Outcome]:
    """Reads the source for SLOT: a tensor of zeros (`delta`, `logit_bias`) that gets a gradient from validation
    targets, in a function that afterwards adds up losses of the same loop.

    The offset has seen the targets that it helps to predict. Where the loss is cut to the part before the
    scored positions (`[:s]`, `mask[:ctx]`) the finding says so: nobody ever ruled on context-only offsets.

    WARN: such an offset is live. No match is NOT_APPLICABLE.

    Cannot see: whether a mask that is computed covers the scored positions, and one offset for the rows of a
    batch where a row's context is another row's future; the flip measures both.

    Source: #1240 (240 of 240 positions leak), #1336 (asked, never ruled); never merged as the claimed number.

    Violation: `delta = zeros(..., requires_grad=True)`, steps of AdamW on the window's loss, then the same window's
    loss is added. Legal contrast: score-first training of the model or of adapters (#549), scalars that training
    fitted.
    """
    source = evidence.source
    if source is None:
        return [unread()]
    sites = [site for site in source.learning.sites if site.offset and site.order is not Order.SCORED_FIRST]
    if not sites:
        return [nothing(source, "offset optimised on validation targets before they are scored")]
    outcomes: list[Outcome] = []
    for site in sites:
        places = [source.program.where(site.function, site.function.nodes[site.index])]
        if site.score is not None:
            places.append(source.program.where(site.function, site.function.nodes[site.score]))
        context = _cut_to_context(site)
        outcomes.append(
            look(
                f"`{site.offset}` is optimised on {'earlier positions of ' if context else ''}the window in "
                f"{site.function.name} and the window is scored with it"
                + (" (context only, as it reads: never ruled on)" if context else ""),
                places,
                rules=("R-041", "R-042", "R-043") if context else ("R-040", "C1", "C3"),
            )
        )
    return outcomes


def _cut_to_context(site: Site) -> bool:
    """Does the loss read only a part that starts at 0 and ends before the window does?"""
    function = site.function
    loops = function.loops(site.index)
    if not loops:
        return False
    names = _loss_names(function, site.index)
    for index in function.of(ast.Subscript):
        node = function.nodes[index]
        if not isinstance(node, ast.Subscript) or not _from_start(node.slice):
            continue
        for above in function.above(index):
            statement = function.nodes[above]
            if isinstance(statement, ast.Assign):
                stored = {
                    each.id for t in statement.targets for each in ast.walk(t) if isinstance(each, ast.Name)
                }
                if stored & names and above < site.index:
                    return True
            if isinstance(statement, ast.stmt):
                break
    return False


def _from_start(node: ast.expr) -> bool:
    """`:s`, with s a name: a part before something. `:-1` and `:seq_len - 1` only shift."""
    part = node.elts[-1] if isinstance(node, ast.Tuple) and node.elts else node
    return (
        isinstance(part, ast.Slice)
        and part.lower is None
        and isinstance(part.upper, ast.Name)
        and not part.upper.id.startswith(("wl", "seq", "w_l", "b", "n"))
    )


def _loss_names(function: Function, backward: int) -> set[str]:
    """Names that the loss of a backward call was made from, two assignments deep."""
    call = function.nodes[backward]
    wanted = {each.id for each in ast.walk(call) if isinstance(each, ast.Name)}
    for _ in range(3):
        for index in function.of(ast.Assign):
            node = function.nodes[index]
            if index < backward and isinstance(node, ast.Assign) and last_name(node.targets[0]) in wanted:
                wanted |= {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
    return wanted

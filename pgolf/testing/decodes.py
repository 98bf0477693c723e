"""A decoder reads the stream back from the bits: the whole of the rules on one prefix.

Cannot see: what a predictor finds in the process that both copies share; `pgolf-verify --decode` gives the
second copy a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from pgolf.testing.scorer import as_tokens

if TYPE_CHECKING:
    from pgolf.evaluate.predictor import Predictor


def assert_decodes(make_predictor: Callable[[], Predictor], tokens: ArrayLike) -> None:
    """Assert that a second copy of a predictor reads the stream from the bits that the first one wrote.

    Args:
        make_predictor: makes a copy that has no way to the stream; called twice.
        tokens: the stream.

    Raises:
        AssertionError: a token was decoded as another, or a distribution does not sum to one.
    """
    # The coder needs torch and constriction; the other assertions load without them.
    from pgolf.coder import NotNormalized, decoded, encode

    stream = as_tokens(tokens).tolist()
    n = len(stream) - 1
    at = 0
    try:
        bitstream = encode(make_predictor(), stream, n).bitstream
        for at, token in enumerate(decoded(make_predictor(), bitstream, n, stream[0]), start=1):
            if token != stream[at]:
                raise AssertionError(
                    f"token {at} was decoded as {token} and is {stream[at]}: the copy that read the bits did not "
                    "predict what the copy that wrote them did; both may use tokens before it alone"
                )
    except NotNormalized as error:
        raise AssertionError(f"{error}") from error
    except ValueError as error:
        if at == 0:
            raise
        raise AssertionError(f"after {at} of {n} tokens, {error}") from error

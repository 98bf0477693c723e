"""Rewriting: sizes scaled, functions wrapped, lines and behaviour kept."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from typing import Any

import pytest

from verifier.probe.child.rewrite import WATCH, rewrite


def run(source: str, watch: bool = False) -> tuple[dict[str, Any], list[str]]:
    watched: list[str] = []

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        watched.append(function.__name__)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return called

    space: dict[str, Any] = {WATCH: wrap}
    exec(compile(rewrite(ast.parse(source), watch), "<test>", "exec"), space)
    return space, watched


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("x = t.numel() > 65536", 1024),
        ("x = 65536 >= t.numel()", 1024),
        ("MAX_NUMEL = 65_536", 1024),
        ("x = t.numel() > 4096", 4096),
        ("x = t.size > 65536", 65536),
        ("LIMIT = 65536", 65536),
        ("x = t.numel() > 65536.0", 65536.0),
    ],
)
def test_thresholds_on_sizes_and_nothing_else(source: str, value: float) -> None:
    constants = [
        node.value
        for node in ast.walk(rewrite(ast.parse(source), watch=False))
        if isinstance(node, ast.Constant)
    ]
    assert value in constants


SOURCE = '''
import functools

def first(x, y):
    """Doc."""
    return x + y

def one_argument(x):
    return x

def no_value(x, y):
    x.append(y)

def stream(x, y):
    yield x + y

@functools.lru_cache
def cached(x, y):
    return x - y

class Thing:
    def __init__(self, a):
        self.a = a

    def plus(self, other):
        return self.a + other

    @staticmethod
    def plain(x, y):
        return x * y

    @classmethod
    def made(cls, a):
        return cls(a)

    @property
    def double(self, _=None):
        return 2 * self.a

def fails(x, y):
    if x:
        raise ValueError(y)
    return y
'''


def test_functions_that_could_score_are_wrapped_and_behave_as_before() -> None:
    space, watched = run(SOURCE, watch=True)
    assert set(watched) == {"first", "cached", "plus", "plain", "made", "fails"}
    thing = space["Thing"].made(3)
    assert (space["first"](1, 2), space["first"].__doc__) == (3, "Doc.")
    assert (thing.plus(4), thing.plain(2, 5), thing.double) == (7, 10, 6)
    assert space["cached"](5, 2) == 3
    assert space["cached"].cache_info().misses == 1
    assert list(space["stream"](1, 2)) == [3]


def test_tables_are_cut_where_they_are_asked_to_be() -> None:
    source = "BUCKETS = 4194304\nkey = (3 ^ 5) % BUCKETS"
    cut = rewrite(ast.parse(source), watch=False, cut=((4_194_304,), 8192))
    assert ast.unparse(cut).startswith("BUCKETS = 1024")
    assert "4194304" in ast.unparse(rewrite(ast.parse(source), watch=False))


def test_line_numbers_stay() -> None:
    space, _ = run(SOURCE, watch=True)
    with pytest.raises(ValueError, match="here") as caught:
        space["fails"](True, "here")
    line = SOURCE.splitlines().index("        raise ValueError(y)") + 1
    assert caught.traceback[-1].lineno + 1 == line


def test_unwatched_source_is_left_as_it_is() -> None:
    assert ast.dump(rewrite(ast.parse(SOURCE), watch=False)) == ast.dump(ast.parse(SOURCE))

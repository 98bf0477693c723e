"""Assertions on devices go, all others stay."""

from __future__ import annotations

import ast

from verifier.probe.child.asserts import drop_device_asserts


def test_only_devices() -> None:
    tree = drop_device_asserts(ast.parse("assert not t.is_cuda, 'CPU please'\nassert x.shape == y.shape\n"))
    assert ast.unparse(tree) == "pass\nassert x.shape == y.shape"

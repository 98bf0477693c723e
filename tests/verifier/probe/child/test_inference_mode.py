"""What a script makes in inference mode can be trained on later."""

from __future__ import annotations

import torch

from verifier.probe.child.devices import no_inference_mode


def test_tensors_made_in_it_can_be_used_in_training() -> None:
    with no_inference_mode():
        table = torch.ones(3)
        assert not torch.is_grad_enabled()
    weight = torch.ones(3, requires_grad=True)
    (weight * table).sum().backward()
    assert weight.grad is not None


def test_every_way_to_write_it() -> None:
    @no_inference_mode
    def bare() -> bool:
        return torch.is_grad_enabled()

    @no_inference_mode()
    def called() -> bool:
        return torch.is_grad_enabled()

    @no_inference_mode(mode=False)
    def off() -> bool:
        return torch.is_grad_enabled()

    assert (bare(), called(), off()) == (False, False, True)
    with no_inference_mode(), no_inference_mode(False):
        assert torch.is_grad_enabled()
    assert torch.is_grad_enabled()

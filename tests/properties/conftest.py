"""The marker of illegal twins."""

import pytest
import torch


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mutant: an illegal twin that a property must catch")


torch.set_num_threads(1)

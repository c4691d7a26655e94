import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    monkeypatch.delenv("SHAPECHECK", raising=False)


@pytest.fixture
def q():
    return torch.randn(4, 16)


@pytest.fixture
def p():
    return torch.randn(4, 8, 16)

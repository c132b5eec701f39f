"""What a process says of the processor that it has."""

import pytest
import torch
from recipes import sft

from alpamayo_ros.training.parallel import Processes


@pytest.mark.parametrize("supported", [True, False])
def test_only_bfloat16_without_products_of_its_own_is_emulated(monkeypatch, supported):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    alone = Processes(0, 1, torch.device("cpu"))
    assert alone.emulates(sft(precision="bfloat16")) is not supported
    assert not alone.emulates(sft(precision="float32"))
    assert not Processes(0, 1, torch.device("cuda")).emulates(sft(precision="bfloat16"))

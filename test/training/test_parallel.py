"""What a process says of the processor that it has."""

import pytest
import torch
import torch.nn.functional as F
from recipes import sft

from alpamayo_ros.training.parallel import Processes
from alpamayo_ros.vla.errors import CheckpointError


@pytest.mark.parametrize(
    ("asked", "chosen"), [(None, "cuda:3"), ("cuda", "cuda:3"), ("cuda:1", "cuda:1"), ("cpu", "cpu")]
)
def test_each_process_of_a_machine_has_its_own_gpu(monkeypatch, asked, chosen):
    """Said to torch too: FSDP puts its part on the current device."""
    current = []
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    device = Processes.begin(asked).device
    assert device == torch.device(chosen)
    assert current == ([device] if device.type == "cuda" else [])


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(CheckpointError, match="torch sees no GPU"):
        Processes.begin("cuda")


@pytest.mark.parametrize("supported", [True, False])
def test_only_bfloat16_without_products_of_its_own_is_emulated(monkeypatch, supported):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    alone = Processes(0, 1, torch.device("cpu"))
    assert alone.emulates(sft(precision="bfloat16")) is not supported
    assert not alone.emulates(sft(precision="float32"))
    assert not Processes(0, 1, torch.device("cuda")).emulates(sft(precision="bfloat16"))


def test_attention_is_made_of_products_only_where_that_is_faster():
    for device, precision, single in (
        ("cpu", "bfloat16", True), ("cpu", "float32", False), ("cuda", "bfloat16", False),
    ):  # fmt: skip
        with Processes(0, 1, torch.device(device)).attention(sft(precision=precision)):
            assert torch.backends.cuda.flash_sdp_enabled() is not single


def test_attention_of_products_learns_the_same_and_leaves_nothing_behind():
    alone, before = Processes(0, 1, torch.device("cpu")), torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    torch.manual_seed(0)
    rows = torch.randn(3, 2, 4, 30, 16)

    def gradients(dtype):
        q, k, v = (row.to(dtype).requires_grad_() for row in rows)
        F.scaled_dot_product_attention(q, k, v, is_causal=True).square().sum().backward()
        return [row.grad.float() for row in (q, k, v)]

    exact = gradients(torch.float32)
    with alone.attention(sft(precision="bfloat16")):
        found = gradients(torch.bfloat16)
    for wanted, got in zip(exact, found, strict=True):
        assert float((wanted - got).norm() / wanted.norm()) < 0.02
    assert torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed() == before

"""What a measurement ran on, and how much memory there is for it."""

from __future__ import annotations

import ctypes
import gc
import platform
from pathlib import Path

import torch

_MEMINFO = Path("/proc/meminfo")


def describe_machine(device: torch.device) -> str:
    """The processor in words, with what its speed depends on."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{model}, {torch.get_num_threads()} threads, {capability}, torch {torch.__version__}"


def free_memory(device: torch.device) -> int:
    """Bytes that can be allocated on the device now."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    [available] = (line for line in _MEMINFO.read_text().splitlines() if line.startswith("MemAvailable"))
    return int(available.split()[1]) * 1024


def reset_peak(device: torch.device) -> None:
    """Give back what is no longer used, and forget the highest use of memory so far."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # glibc keeps freed pages otherwise, and they count as resident
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): VmHWM starts again at VmRSS


def used_memory(device: torch.device) -> int:
    """Bytes in use: tensors on a GPU, resident pages of this process on a CPU."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else _status("VmRSS")


def peak_memory(device: torch.device) -> int:
    """The highest of `used_memory` since `reset_peak`."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _status("VmHWM")


def _status(key: str) -> int:
    [line] = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024

"""Prints the bytes of shared memory that the attention takes for each GPU, as Triton compiles it: no GPU is needed.

In a process of its own, without TRITON_INTERPRET, which would leave nothing to compile.
"""

import json

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from alpamayo_ros.engine.cuda import attention

CAPABILITIES = (80, 89)
WIDTH = 128
TYPES = {"*bf16": torch.bfloat16, "*fp32": torch.float32}
POINTERS = {"visible": "*u8", "mixed": "*fp32", "weight": "*fp32", "scale": "fp32"}


def shared(kind: str, capability: int) -> int:
    names = attention._attend.arg_names
    constants = {
        "HEADS": 32, "KEYS": 8, "WIDTH": WIDTH, "QUERIES": attention._QUERIES, "COLUMNS": attention._COLUMNS,
        "MASKED": True,
    }  # fmt: skip
    signature = {name: "constexpr" if name in constants else POINTERS.get(name, "i32") for name in names}
    signature |= dict.fromkeys(("q", "keys", "values"), kind)
    even = ("q", "keys", "values", "visible", "mixed", "weight", "row_stride", "column_stride", "span", "total")
    source = ASTSource(
        attention._attend,
        signature,
        {(names.index(name),): value for name, value in constants.items()},
        {(names.index(name),): [["tt.divisibility", 16]] for name in even},
    )
    options = {"num_warps": 4, "num_stages": attention._stages(WIDTH * TYPES[kind].itemsize)}
    return int(triton.compile(source, GPUTarget("cuda", capability, 32), options).metadata.shared)


if __name__ == "__main__":
    print(json.dumps([[capability, kind, shared(kind, capability)] for capability in CAPABILITIES for kind in TYPES]))

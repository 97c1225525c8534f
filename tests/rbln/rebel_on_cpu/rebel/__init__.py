"""A STAND-IN for Rebellions' compiler package `rebel`, for tests: it emulates an NPU on this CPU.

The real package is closed and needs an account. What optimum-rbln 0.12 and vllm-rbln 0.12 call of it on the way compile -> save
-> load -> generate -> serve is few, and their sources show how they call it; this package answers those calls, so that both run
unmodified where there is no NPU. Compiling is tracing with TorchScript, running is running the trace with PyTorch. Whatever is
not called on that way is missing on purpose: a test that wanders off it fails instead of passing on an invention.

It says nothing of an NPU's numerics, speed, memory limits or compile errors, and keeps no times that could be taken for an
NPU's. To be told apart it has `__emulated__`, a version that says so, a line on stderr in every process that imports it, and
files that only it can read. It is no distribution (pip can neither install nor list it), it is found only where the tests put
this folder's parent on PYTHONPATH, and it refuses to stand before the real package.
"""

import sys
from importlib import metadata

try:
    metadata.distribution("rebel-compiler")
except metadata.PackageNotFoundError:
    print("rebel: EMULATED on this CPU for a test, there is no NPU", file=sys.stderr, flush=True)
else:
    raise ImportError("the real rebel-compiler is installed: take the tests' rebel_on_cpu off PYTHONPATH")

from . import attention as attention
from .compile_context import CompileContext
from .compiled_model import RBLNCompiledModel
from .compiler import compile, compile_from_torch
from .devices import device_count, get_npu_name, npu_is_available
from .host import declare_torchvision_operators, give_torch_an_empty_accelerator
from .runtime import Runtime
from .sampling import manual_seed

__version__ = "0.12.0+emulated.on.cpu"
__emulated__ = True

declare_torchvision_operators()
give_torch_an_empty_accelerator()

__all__ = [
    "CompileContext",
    "RBLNCompiledModel",
    "Runtime",
    "compile",
    "compile_from_torch",
    "device_count",
    "get_npu_name",
    "manual_seed",
    "npu_is_available",
]

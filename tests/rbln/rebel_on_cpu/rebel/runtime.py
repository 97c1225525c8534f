"""Runtime: a compiled graph on its devices, ready to be called.

The contract: RBLNDecoderOnlyModel._create_runtimes (optimum/rbln/transformers/models/decoderonly/modeling_decoderonly.py) makes
one per graph; RBLNPytorchRuntime (optimum/rbln/utils/runtime_utils.py) calls it with the tensors in the order of the compile's
inputs, the static ones left out, and with `out`, buffers for the results; vllm_rbln/model_executor/models/optimum/model_base.py
calls `_copy_kv_cache` when the prefix of a prompt is in the cache already.

With EMULATED_NPU_LOG, a file's name, every run of a graph leaves a line in it: the shape of its first input, so that a test can
see what ran, whichever process it was in.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from .compiled_model import Input, RBLNCompiledModel
from .device_memory import memory_for
from .devices import npu_is_available


class Runtime:
    """Runs one graph.

    Args:
        compiled_model: the graph.
        tensor_type: "pt", PyTorch's tensors; nothing else is asked for.
        device: the number of the device, or one for each that the graph was compiled for; not given: the first ones.
        activate_profiler, timeout: accepted; there is nothing to profile, and no device to wait for.

    Raises:
        RuntimeError: if these are not as many devices as it was compiled for, or one is not there.
    """

    def __init__(
        self,
        compiled_model: RBLNCompiledModel,
        tensor_type: str,
        device: int | Sequence[int] | None = None,
        activate_profiler: bool | None = None,
        timeout: int | None = None,
    ) -> None:
        if tensor_type != "pt":
            raise NotImplementedError(f"the emulation of rebel has no tensors of type {tensor_type!r}")
        torch.set_num_threads(1)  # several would wait for each other, for longer than tensors as small as these take
        self._graph, layout = compiled_model.graph, compiled_model.layout
        self._inputs = layout.inputs
        self._memory = memory_for(layout, _devices(device, layout.num_devices))

    def __call__(self, *arguments: torch.Tensor, out: torch.Tensor | Sequence[torch.Tensor] | None = None) -> object:
        """Runs the graph.

        Args:
            arguments: every input that is not static, in the order of the compile.
            out: where to put the results.

        Returns:
            the only result, or the tuple of them.

        Raises:
            ValueError: if an argument has another shape or dtype than the graph was compiled for.
        """
        _note(arguments)
        # Unoptimised: PyTorch would otherwise stop for seconds at the first calls of each graph to specialise it.
        with torch.no_grad(), torch.jit.optimized_execution(False):
            results = self._graph(*self._bind(arguments))
        if out is not None:
            results = _put(results, [out] if isinstance(out, torch.Tensor) else out)
        return results[0] if len(results) == 1 else results

    def _bind(self, arguments: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """All inputs of the graph: the static ones from device memory, the others from the caller."""
        dynamic = [one for one in self._inputs if not one.static]
        if len(arguments) != len(dynamic):
            raise ValueError(f"the graph takes {[one.name for one in dynamic]}, not {len(arguments)} arguments")
        given = {one.name: _checked(one, argument) for one, argument in zip(dynamic, arguments, strict=True)}
        return [self._memory.tensors[one.name] if one.static else given[one.name] for one in self._inputs]

    def _copy_kv_cache(self, source_block: int, target_block: int, tokens: int) -> None:
        """Copies the first tokens of one KV block to another, in every layer. A cache is [blocks, heads, tokens, head size]."""
        for cache in self._memory.tensors.values():
            cache[target_block, :, :tokens] = cache[source_block, :, :tokens]


def _devices(device: int | Sequence[int] | None, count: int) -> tuple[int, ...]:
    devices = tuple(range(count)) if device is None else (device,) if isinstance(device, int) else tuple(device)
    if len(devices) != count:
        raise RuntimeError(f"the graph was compiled for {count} device(s), not for {list(devices)}")
    if missing := [one for one in devices if not npu_is_available(one)]:
        raise RuntimeError(f"there is no device {missing[0]}")
    return devices


def _note(arguments: Sequence[torch.Tensor]) -> None:
    if name := os.environ.get("EMULATED_NPU_LOG"):
        with Path(name).open("a") as log:
            print(*arguments[0].shape, file=log)


def _checked(input: Input, argument: torch.Tensor) -> torch.Tensor:
    if list(argument.shape) != input.shape or argument.dtype != input.torch_dtype:
        found = f"{list(argument.shape)} {argument.dtype}"
        raise ValueError(f"{input.name}: the graph was compiled for {input.shape} {input.torch_dtype}, not for {found}")
    return argument


def _put(results: Sequence[torch.Tensor], buffers: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    for result, buffer in zip(results, buffers, strict=True):
        buffer.copy_(result.view_as(buffer))
    return tuple(buffers)

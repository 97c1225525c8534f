"""compile_from_torch: a PyTorch module -> a traced graph.

The contract: RBLNModel.compile (optimum/rbln/modeling.py) passes `input_info`, rows of name, shape and dtype, in the order of
the module's arguments; the tensors of the KV cache are on PyTorch's `meta` device, without contents. It looks into the
signature of `compile` for the name of the option `num_devices`; vllm_rbln/compilation/compiler.py looks there for `dtype`.
"""

import uuid
import warnings
from typing import Any

import torch

from .compile_context import CompileContext
from .compiled_model import Input, Layout, RBLNCompiledModel
from .devices import get_npu_name


def compile(mod: Any, *, npu: str | None = None, num_devices: int | None = None, dtype: str = "") -> RBLNCompiledModel:
    """There for its signature; neither library calls it."""
    raise NotImplementedError("the emulation of rebel compiles with compile_from_torch only")


def compile_from_torch(
    mod: torch.nn.Module,
    input_info: list[tuple[str, list[int], str | torch.dtype]],
    *,
    npu: str | None = None,
    num_devices: int | None = None,
    example_inputs: tuple[torch.Tensor, ...] | list[torch.Tensor] | None = None,
    compile_context: CompileContext | None = None,
) -> RBLNCompiledModel:
    """Traces a module with inputs of fixed shapes.

    Args:
        mod: the module; its outputs come back as a flat tuple of tensors.
        input_info: name, shape and dtype of each argument.
        npu: the device's name; not given: this host's.
        num_devices: how many devices share the graph, one by default.
        example_inputs: the arguments to trace with; not given, or without contents: zeros.
        compile_context: what this graph shares with others.

    Raises:
        RuntimeError: if neither a name is given nor a device is there.
    """
    target = npu or get_npu_name()
    if target is None:
        raise RuntimeError("no `npu` is given, and this host has none")
    context = compile_context or CompileContext()
    examples = example_inputs or [None] * len(input_info)
    inputs = [_describe(row, example, context) for row, example in zip(input_info, examples, strict=True)]
    layout = Layout(
        graph=uuid.uuid4().hex,
        context=context.id,
        npu=target,
        num_devices=num_devices or 1,
        weight_bytes=_weight_bytes(mod) if context.stores_weights_of_next_graph() else 0,
        inputs=inputs,
    )
    return RBLNCompiledModel(graph=_trace(mod, [_filled(*pair) for pair in zip(inputs, examples, strict=True)]), layout=layout)


def _describe(row: tuple[str, list[int], str | torch.dtype], example: torch.Tensor | None, context: CompileContext) -> Input:
    name, shape, dtype = row
    static_name = context.name_of(example)
    return Input(static_name or name, list(shape), str(dtype).removeprefix("torch."), static_name is not None)


def _filled(input: Input, example: torch.Tensor | None) -> torch.Tensor:
    if example is None or example.is_meta:
        return torch.zeros(input.shape, dtype=input.torch_dtype)
    return example


def _weight_bytes(mod: torch.nn.Module) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in mod.parameters())


class _FlatOutputs(torch.nn.Module):
    """Gives a module's outputs as one flat tuple, as a graph has them."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(_flat(self.module(*inputs)))


def _flat(outputs: Any) -> list[torch.Tensor]:
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for output in outputs if output is not None for tensor in _flat(output)]


def _trace(mod: torch.nn.Module, inputs: list[torch.Tensor]) -> torch.jit.ScriptModule:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is constant for one shape is meant to be
        return torch.jit.trace(_FlatOutputs(mod).eval(), tuple(inputs), check_trace=False)

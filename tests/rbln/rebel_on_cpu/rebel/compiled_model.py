"""RBLNCompiledModel: one compiled graph, and the file it is kept in.

The contract: optimum's save_pretrained calls `save`, its loading calls the constructor with a path; and
optimum/rbln/transformers/modeling_attention_utils.py compiles with one KV block, asks a graph what it takes of each device, and
then enlarges the cache to the number of blocks that fits (`exp_multiply_buffer_size`, `exp_rescale_buffer_size`).

The file is a TorchScript archive with the layout as JSON in it. A file of the real compiler is refused, and the real runtime
cannot read this one.
"""

import dataclasses
import json
import math
from pathlib import Path

import torch

FORMAT = "emulated on a CPU, not for an NPU; version 1"
LAYOUT = "layout.json"


@dataclasses.dataclass
class Input:
    """One input of a graph. A static one lives in device memory, its first dimension counts KV blocks."""

    name: str
    shape: list[int]
    dtype: str
    static: bool

    @property
    def torch_dtype(self) -> torch.dtype:
        return getattr(torch, self.dtype)

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.torch_dtype.itemsize


@dataclasses.dataclass
class Layout:
    """What a graph needs to run, apart from itself."""

    graph: str
    context: str
    npu: str
    num_devices: int
    weight_bytes: int
    inputs: list[Input]
    format: str = FORMAT

    @property
    def static(self) -> list[Input]:
        return [one for one in self.inputs if one.static]


class RBLNCompiledModel:
    """A traced graph with its layout, from the compiler or from a file.

    Args:
        path: a file that `save` wrote.

    Raises:
        RuntimeError: if the file is not the stand-in's.
    """

    def __init__(self, path: str | Path | None = None, *, graph: torch.jit.ScriptModule = None, layout: Layout = None) -> None:
        self.graph, self.layout = (graph, layout) if path is None else _read(Path(path))

    def save(self, path: str | Path) -> None:
        """Writes the graph and its layout into one file."""
        torch.jit.save(self.graph, str(path), {LAYOUT: json.dumps(dataclasses.asdict(self.layout))})

    def get_alloc_per_chiplet_by_key(self) -> dict[str, list[list[int]]]:
        """Bytes by what they are for, then by device, then by chiplet, of which this family has one per device."""
        cache = sum(one.bytes for one in self.layout.static)
        return {"Weight": self._spread(self.layout.weight_bytes), "DramTensor": self._spread(cache)}

    def get_alloc_per_node_by_key(self) -> dict[str, list[int]]:
        """Bytes by what they are for, then by device."""
        return {key: [sum(chiplets) for chiplets in sizes] for key, sizes in self.get_alloc_per_chiplet_by_key().items()}

    def exp_get_dram_tensor_sizes(self) -> dict[str, list[list[int]]]:
        """Bytes of each static tensor by device, then by chiplet."""
        return {one.name: self._spread(one.bytes) for one in self.layout.static}

    def exp_multiply_buffer_size(self, factors: dict[str, int]) -> None:
        """Gives static tensors so many times their blocks."""
        self.exp_rescale_buffer_size({name: (factor, 1) for name, factor in factors.items()})

    def exp_rescale_buffer_size(self, ratios: dict[str, tuple[int, int]]) -> None:
        """Changes the number of blocks of static tensors by a ratio.

        Raises:
            ValueError: if a number of blocks would not be whole.
        """
        for one in self.layout.static:
            wanted, present = ratios.get(one.name, (1, 1))
            blocks, rest = divmod(one.shape[0] * wanted, present)
            if rest:
                raise ValueError(f"{one.name}: {one.shape[0]} blocks x {wanted}/{present} is not whole")
            one.shape[0] = blocks

    def _spread(self, size: int) -> list[list[int]]:
        return [[size // self.layout.num_devices]] * self.layout.num_devices


def _read(path: Path) -> tuple[torch.jit.ScriptModule, Layout]:
    found = {LAYOUT: ""}
    try:
        graph = torch.jit.load(str(path), _extra_files=found)
        fields = json.loads(found[LAYOUT])
        layout = Layout(**{**fields, "inputs": [Input(**one) for one in fields["inputs"]]})
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise RuntimeError(f"{path} was not compiled by this emulation of rebel") from error
    if layout.format != FORMAT:
        raise RuntimeError(f"{path} was compiled by another version of this emulation of rebel")
    return graph, layout

"""The emulated devices' memory: the KV cache, which prefill and every decode bucket of a loaded model share.

The contract: optimum loads prefill.rbln and decoder_batch_N.rbln one by one, as models that know nothing of each other, and
makes a runtime of each; from then on what prefill writes is there for decode. So what joins them can only be in the files: the
context that they were compiled in.
"""

import threading
import weakref

import torch

from .compiled_model import Layout


class DeviceMemory:
    """The static tensors of one loaded model, by name. They live as long as a runtime holds them."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.graphs: set[str] = set()

    def allocate(self, layout: Layout) -> None:
        """Makes room for the static tensors of a graph, or finds those of a graph that is there already.

        Raises:
            RuntimeError: if a tensor is there with another shape.
        """
        self.graphs.add(layout.graph)
        for one in layout.static:
            tensor = self.tensors.setdefault(one.name, torch.zeros(one.shape, dtype=one.torch_dtype))
            if list(tensor.shape) != one.shape:
                raise RuntimeError(f"{one.name} is {list(tensor.shape)} in device memory, and {one.shape} in this graph")


_newest: dict[tuple[str, tuple[int, ...]], weakref.ref[DeviceMemory]] = {}
_lock = threading.Lock()


def memory_for(layout: Layout, devices: tuple[int, ...]) -> DeviceMemory:
    """The memory that a graph shares with the others of its context on the same devices.

    A graph that is in the newest memory of its context already is a model that is being loaded once more: it gets a new one.
    """
    with _lock:
        reference = _newest.get((layout.context, devices))
        memory = reference() if reference else None
        if memory is None or layout.graph in memory.graphs:
            memory = DeviceMemory()
            _newest[layout.context, devices] = weakref.ref(memory)
        memory.allocate(layout)
        return memory

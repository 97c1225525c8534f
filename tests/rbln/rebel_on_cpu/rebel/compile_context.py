"""CompileContext: what the graphs of one model share.

The contract: RBLNDecoderOnlyModel._get_compile_context (optimum/rbln/transformers/models/decoderonly/modeling_decoderonly.py)
makes one context per model, marks each tensor of the KV cache under its name, and compiles prefill and every decode bucket with
it; vllm_rbln/compilation/compiler.py makes one for its sampler, with `use_global_ctx`.
"""

import uuid

import torch


class CompileContext:
    """Weights are stored once for all graphs of a context; a marked tensor is one place in device memory for all of them.

    Args:
        use_weight_sharing: whether the weights are stored once.
        use_global_ctx: whether the context is the process's own; on one CPU that is no different.
    """

    def __init__(self, use_weight_sharing: bool = False, use_global_ctx: bool = False) -> None:
        self.id = uuid.uuid4().hex
        self._shares_weights = use_weight_sharing
        self._has_weights = False
        self._marked: list[tuple[torch.Tensor, str]] = []

    def mark_static_address(self, tensor: torch.Tensor, name: str) -> None:
        """Gives a tensor one place in device memory, under this name."""
        self._marked.append((tensor, name))

    def name_of(self, tensor: torch.Tensor | None) -> str | None:
        """The name that a tensor was marked with; None for any other tensor."""
        return next((name for marked, name in self._marked if marked is tensor), None)

    def stores_weights_of_next_graph(self) -> bool:
        """Whether the graph that is compiled now brings weights into device memory, or finds them there."""
        stores = not (self._shares_weights and self._has_weights)
        self._has_weights = True
        return stores

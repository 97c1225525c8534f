"""The backend that vllm-rbln gives to torch.compile for its sampler (vllm_rbln/compilation/backends.py)."""

from collections.abc import Callable
from typing import Any

import torch


def rbln_backend(graph: torch.fx.GraphModule, example_inputs: list[torch.Tensor], **options: Any) -> Callable[..., Any]:
    """Runs the captured graph as it stands."""
    return graph.forward

"""Muon, an optimiser for matrices: momentum whose direction is made orthogonal before it is applied.

Unlike `torch.optim.Muon` it works on all matrices of one shape at once, which takes a quarter less time for the many small
matrices of a small model. Knows nothing of what the matrices belong to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch

from webui.demo_model.forward import matrix_precision

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonal steps (Newton-Schulz iteration), as proposed by Keller Jordan."""

    def __init__(
        self, matrices: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(list(matrices), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step; a closure is not supported."""
        if closure is not None:
            raise NotImplementedError("Muon does not evaluate closures")
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape[matrix.shape].append(matrix)
            for matrices in by_shape.values():
                self._step_shape(matrices, group)
        return None

    def _step_shape(self, matrices: list[torch.nn.Parameter], group: dict[str, Any]) -> None:
        momentum, rate = group["momentum"], group["lr"]
        directions = []
        for matrix in matrices:
            assert matrix.grad is not None
            state = self.state[matrix]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(matrix)
            state["momentum_buffer"].lerp_(matrix.grad, 1 - momentum)
            directions.append(matrix.grad.lerp(state["momentum_buffer"], momentum))
        rows, columns = matrices[0].shape
        scale = max(1.0, rows / columns) ** 0.5
        for matrix, update in zip(matrices, orthogonal(torch.stack(directions)), strict=True):
            matrix.mul_(1 - rate * group["weight_decay"]).add_(update, alpha=-rate * scale)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """The matrices (the last two dimensions) with their singular values pushed towards one."""
    a, b, c = _COEFFICIENTS
    tall = matrices.size(-2) > matrices.size(-1)
    x = (matrices.mT if tall else matrices).to(matrix_precision(matrices.device))
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)

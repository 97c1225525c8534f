"""The loss of the demo model, computed for speed: transformers' Llama in pieces that torch compiles once.

In a layer most happens to every token by itself: norms, projections, the feed-forward part. That is compiled for one number of
tokens, to which every batch is padded, so that batches of any shape run the same code. Attention between tokens, whose shape
changes from batch to batch, is PyTorch's own kernel. Knows nothing of batches, optimisers or the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer


def matrix_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor has instructions that multiply it (there 4 to 10 times as fast), else float32."""
    has = torch.cpu.get_capabilities()
    fast = device.type != "cpu" or has.get("amx_bf16") or has.get("avx512_bf16")
    return torch.bfloat16 if fast else torch.float32


class Loss:
    """Weighted cross entropy of the learned tokens, as a function of a batch of at most `tokens` tokens, padding included.

    Weights, residual stream and gradients are float32, matrices are multiplied in `matrix_precision`.
    """

    def __init__(self, model: LlamaForCausalLM, tokens: int, compiled: bool = True) -> None:
        config = model.config
        self._model, self._tokens = model, tokens
        self._heads, self._groups = config.num_attention_heads, config.num_key_value_heads
        self._head_size = config.head_dim
        self._epsilon = config.rms_norm_eps
        self._precision = matrix_precision(model.device)
        # PyTorch's attention for CPUs takes more time for bfloat16 than for float32, measured at every length up to 512.
        self._attention_precision = torch.float32 if model.device.type == "cpu" else self._precision
        self._before = torch.compile(self._before_attention, dynamic=False) if compiled else self._before_attention
        self._after = torch.compile(self._after_attention, dynamic=False) if compiled else self._after_attention
        self._of_tokens = torch.compile(self._token_loss, dynamic=True) if compiled else self._token_loss

    def __call__(self, ids: torch.Tensor, learned: torch.Tensor) -> torch.Tensor:
        """The mean loss; both (rows, length), ids and how much each token counts."""
        hidden = self._hidden(ids[:, :-1])
        chosen = learned[:, 1:] > 0
        counts = learned[:, 1:][chosen]
        return self._of_tokens(hidden[chosen], self._model.lm_head.weight, ids[:, 1:][chosen], counts / counts.sum())

    def _hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """What the last norm makes of every token: (rows, length, hidden)."""
        rows, length = ids.shape
        llama = self._model.model
        stream = functional.embedding(self._padded(ids.reshape(-1)), llama.embed_tokens.weight)
        positions = self._padded(torch.arange(length, device=ids.device).repeat(rows))
        cosine, sine = (wave[0, :, None].to(self._precision) for wave in llama.rotary_emb(stream, positions[None]))
        for layer in llama.layers:
            query, key, value = self._before(stream, layer, cosine, sine)
            stream = self._after(stream, self._attended(query, key, value, rows, length), layer)
        return self._normed(stream[: rows * length], llama.norm.weight).view(rows, length, -1)

    def _padded(self, flat: torch.Tensor) -> torch.Tensor:
        """With zeros behind, up to the one number of tokens."""
        missing = self._tokens - flat.size(0)
        if missing < 0:
            raise ValueError(f"A batch of {flat.size(0)} tokens is more than the {self._tokens} of a step.")
        return functional.pad(flat, (*(0, 0) * (flat.dim() - 1), 0, missing))

    def _normed(self, stream: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(stream, (stream.size(-1),), weight, self._epsilon)

    def _product(self, tokens: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        """Each token times all of the weights, one beside the other."""
        return functional.linear(tokens.to(self._precision), torch.cat(weights).to(self._precision))

    def _before_attention(
        self, stream: torch.Tensor, layer: LlamaDecoderLayer, cosine: torch.Tensor, sine: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Query, key and value of every token: (tokens, heads or groups, head size), turned by its position."""
        attention = layer.self_attn
        normed = self._normed(stream, layer.input_layernorm.weight)
        projected = self._product(normed, attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight)
        query, key, value = projected.view(-1, self._heads + 2 * self._groups, self._head_size).split(
            [self._heads, self._groups, self._groups], dim=1
        )
        return (
            _turned(query, cosine, sine).to(self._attention_precision),
            _turned(key, cosine, sine).to(self._attention_precision),
            value.to(self._attention_precision),
        )

    def _attended(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rows: int, length: int) -> torch.Tensor:
        """What every token takes from those before it in its row: (tokens, heads x head size)."""

        def heads_first(vectors: torch.Tensor) -> torch.Tensor:
            return vectors[: rows * length].view(rows, length, -1, self._head_size).transpose(1, 2)

        taken = functional.scaled_dot_product_attention(
            heads_first(query), heads_first(key), heads_first(value), is_causal=True, enable_gqa=True
        )
        return self._padded(taken.transpose(1, 2).reshape(rows * length, -1))

    def _after_attention(self, stream: torch.Tensor, attended: torch.Tensor, layer: LlamaDecoderLayer) -> torch.Tensor:
        """The stream with what attention and the feed-forward part add."""
        stream = stream + self._product(attended, layer.self_attn.o_proj.weight)
        feed = layer.mlp
        normed = self._normed(stream, layer.post_attention_layernorm.weight)
        gate, up = self._product(normed, feed.gate_proj.weight, feed.up_proj.weight).chunk(2, dim=-1)
        return stream + self._product(functional.silu(gate) * up, feed.down_proj.weight)

    def _token_loss(self, hidden: torch.Tensor, head: torch.Tensor, wanted: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        losses = functional.cross_entropy(self._product(hidden, head).float(), wanted, reduction="none")
        return losses @ shares


def _turned(vectors: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Rotary position embedding, the two halves of a head being the two coordinates."""
    first, second = vectors.chunk(2, dim=-1)
    return vectors * cosine + torch.cat((-second, first), dim=-1) * sine

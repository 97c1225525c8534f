"""How much memory of the NPUs a model will take, before it is compiled: weights and KV cache, per device.

The formula, in bytes on each device:

    weights  = parameters x bytes per parameter / devices
    KV cache = 2 (key, value) x layers x KV heads x head size x bytes per number x context x batch / devices

Every device holds whole KV heads, so they count as a multiple of the devices (vllm-rbln 0.12, `chiplet_replication_factor`).

The devices' own memory and what the system keeps of it are optimum-rbln's numbers. What the compiler itself needs besides
(instructions, activations) is not known before, so that a result near the limit is called tight. It imports nothing of the
kind: configuration in, numbers out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

GIB = 2**30
TIGHT = 0.9  # share of a device's memory above which an estimate is called tight

BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "fp16": 16, "int8": 8, "fp8": 8, "float8_e4m3fn": 8, "int4": 4}

Verdict = Literal["fits", "tight", "fewer blocks", "does not fit"]


@dataclass(frozen=True, slots=True)
class Npu:
    """One family of NPUs: bytes that a program may use on one device, and the limits of attention (tokens)."""

    family: str
    memory: int
    chunk: int
    longest_eager: int
    partitions: tuple[int, int]
    default_partition: int


ATOM = Npu("ATOM", 16 * GIB - 288 * 2**20, 128, 32768, (1024, 32768), 16384)
REBEL = Npu("REBEL", 144 * GIB - 4 * GIB, 512, 16384, (1024, 16384), 8192)  # 1 GiB is kept on each of four chiplets


def npu_family(name: str) -> Npu | None:
    """The family of an NPU by its name, such as RBLN-CA25; None if the name is of no family that is known."""
    if name.startswith("RBLN-CA"):
        return ATOM
    return REBEL if name.startswith("RBLN-CR") else None


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model decides on its memory.

    Attributes:
        parameters: how many.
        weight_bits: bits of one parameter.
        kv_per_token: bytes that one token takes in the KV cache, on all devices together.
    """

    parameters: int
    weight_bits: float
    kv_per_token: int

    @property
    def weights(self) -> int:
        """Bytes of all parameters."""
        return int(self.parameters * self.weight_bits / 8)


def kv_per_token(config: Mapping[str, Any], bits: float, devices: int = 1) -> int:
    """Bytes of one token in the KV cache: 2 x layers x KV heads x head size x bytes per number.

    Raises:
        KeyError: if the model's configuration does not say these numbers.
    """
    heads = _either(config, "num_attention_heads", "n_head")
    layers = _either(config, "num_hidden_layers", "n_layer")
    head_size = config.get("head_dim") or _either(config, "hidden_size", "n_embd") // heads
    kv_heads = -(-int(config.get("num_key_value_heads") or heads) // devices) * devices
    return int(2 * layers * kv_heads * head_size * bits / 8)


def _either(config: Mapping[str, Any], name: str, older: str) -> int:
    value = config.get(name) or config[older]
    return int(value)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The memory of one device, in bytes, and what would fit. See the module for the formula.

    Attributes:
        weights, kv_cache: what they take.
        least_kv_cache: with flash attention the KV cache may be smaller than all lanes full at once; this is its least.
        available: what there is.
        largest_batch: lanes that fit at this context.
        largest_context: tokens that fit at this batch, in whole units of the attention's blocks.
    """

    weights: int
    kv_cache: int
    least_kv_cache: int
    available: int
    largest_batch: int
    largest_context: int

    @property
    def total(self) -> int:
        """Weights and KV cache."""
        return self.weights + self.kv_cache

    @property
    def verdict(self) -> Verdict:
        """ "fewer blocks": it runs, but not with a full context in all lanes at once."""
        if self.total <= TIGHT * self.available:
            return "fits"
        if self.total <= self.available:
            return "tight"
        return "fewer blocks" if self.weights + self.least_kv_cache <= self.available else "does not fit"


def estimate(
    shape: Shape, *, batch: int, context: int, devices: int, available: int, unit: int, least_tokens: int, longest: int
) -> Estimate:
    """The estimate for a batch and a context.

    Args:
        available: bytes on one device.
        unit: tokens that the context must be a multiple of.
        least_tokens: tokens that the KV cache must hold at least.
        longest: the longest context that model and attention allow.
    """
    room = max(0, available * devices - shape.weights)
    tokens = room // shape.kv_per_token if shape.kv_per_token else 0
    return Estimate(
        weights=shape.weights // devices,
        kv_cache=shape.kv_per_token * context * batch // devices,
        least_kv_cache=shape.kv_per_token * min(least_tokens, context * batch) // devices,
        available=available,
        largest_batch=tokens // context,
        largest_context=min(longest, tokens // batch) // unit * unit,
    )

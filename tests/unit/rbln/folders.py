"""A compiled folder as optimum-rbln 0.12 writes it, made by hand, and the numbers of a real model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LLAMA_2_7B = {
    "architectures": ["LlamaForCausalLM"],
    "dtype": "float16",
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "num_hidden_layers": 32,
    "max_position_embeddings": 4096,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
}


def write_compiled(folder: Path, **changes: Any) -> Path:
    """Batch 4 with buckets 4, 2, 1; context 4096 by flash attention in partitions of 1024; four RBLN-CA25."""
    buckets = changes.get("decoder_batch_sizes", [4, 2, 1])
    names = ["prefill", *(f"decoder_batch_{size}" for size in buckets)]
    config: dict[str, Any] = {
        "cls_name": "RBLNLlamaForCausalLMConfig",
        "dtype": "bfloat16",
        "optimum_rbln_version": "0.12.0",
        "_compile_cfgs": [{"compiled_model_name": name, "npu": "RBLN-CA25", "num_devices": 4} for name in names],
        "batch_size": 4,
        "max_seq_len": 4096,
        "attn_impl": "flash_attn",
        "kvcache_partition_len": 1024,
        "kvcache_block_size": 1024,
        "prefill_chunk_size": 128,
        "kvcache_num_blocks": 16,
        "cache_impl": "static",
        "phases": ["prefill", "decode"],
        "decoder_batch_sizes": buckets,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rbln_config.json").write_text(json.dumps({**config, **changes}))
    for name in names:
        (folder / f"{name}.rbln").write_bytes(b"graph")
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    (folder / "tokenizer.json").write_text("{}")
    return folder

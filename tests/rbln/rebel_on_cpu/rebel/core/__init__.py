"""The part of `rebel.core` that vllm-rbln imports."""

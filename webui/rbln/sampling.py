"""What an RBLN engine does with the fields of a request's sampling parameters.

vllm-rbln 0.12 reads a part of vLLM's fields, passes over some and dies of some, and then dies for everybody. So a request may
carry only what is known to be read. It knows the fields by name and no library.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Taken, with a warning in the engine's log, and not heeded: an answer is not the same twice.
IGNORED = ("seed",)

# Read by vllm-rbln's own sampler, or by vLLM outside of the device. Each is sent to a running engine by a test.
READ = frozenset(
    {
        "n",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
        "max_tokens",
        "min_tokens",
        "stop",
        "stop_token_ids",
        "ignore_eos",
        "logprobs",
        "flat_logprobs",
        "logit_bias",
        "bad_words",
        "allowed_token_ids",
        "structured_outputs",
        "detokenize",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "include_stop_str_in_output",
        "output_kind",
        "stream_interval",
        "skip_clone",
        "output_text_buffer_length",
        "skip_reading_prefix_cache",
        *IGNORED,
    }
)


def refused(fields: Iterable[str], asked: Any, default: Any) -> list[str]:
    """The fields of a request that an RBLN engine must not get. One that holds an empty object asks for nothing.

    Args:
        fields: every public field of the parameters.
        asked, default: the parameters of the request, and those of one that asks for nothing.
    """
    return [name for name in fields if name not in READ and getattr(asked, name) not in (getattr(default, name), {})]

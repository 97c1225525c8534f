"""What a compile is asked for: the command line, and every limit that can be checked before the long part begins.

It knows the limits of attention on each family of NPUs and the formula of memory; it imports neither optimum nor torch.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from webui.errors import CompileRefused
from webui.rbln.memory import BITS, Estimate, Npu, Shape, estimate, kv_per_token, npu_family
from webui.rbln.report import Finding, State, size
from webui.rbln.source import ModelSource

CHUNK_UNIT = 64  # tokens that a prefill chunk must be a multiple of
# What optimum-rbln can quantise, and the formats that it has for it.
QUANTIZED = {"weights": ("int4", "int8", "fp8", "fp16"), "activations": ("int8", "fp8", "fp16"), "kv_caches": ("fp8", "fp16")}
# Spellings of the tutorial's Python arguments, as flags, and what they are called today.
FORMER = {
    "--rbln-max-seq-len": "--max-seq-len",
    "--rbln-batch-size": "--batch-size",
    "--rbln-num-devices": "--num-devices",
    "--rbln-tensor-parallel-size": "--num-devices",
    "--tensor-parallel-size": "--num-devices",
    "--rbln-decoder-batch-sizes": "--decoder-batch-sizes",
    "--rbln-attn-impl": "--attn-impl",
    "--rbln-kvcache-partition-len": "--kvcache-partition-len",
    "--rbln-prefill-chunk-size": "--prefill-chunk-size",
    "--rbln-quantization": "--quantization",
    "--rbln-npu": "--npu",
    "--model-id": "--model",
    "--max-model-len": "--max-seq-len",
    "--max-num-seqs": "--batch-size",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileRequest:
    """What is asked. None: optimum's own choice. Names are optimum's.

    Attributes:
        overwrite, ignore_estimate, dry_run: how to go about it; they change nothing in the result.
    """

    model: str
    out: Path
    max_seq_len: int | None = None
    batch_size: int = 1
    num_devices: int = 1
    decoder_batch_sizes: tuple[int, ...] = ()
    attn_impl: str | None = None
    kvcache_partition_len: int | None = None
    prefill_chunk_size: int | None = None
    npu: str | None = None
    dtype: str | None = None
    quantization: dict[str, str] = field(default_factory=dict)
    revision: str | None = None
    trust_remote_code: bool = False
    overwrite: bool = False
    ignore_estimate: bool = False
    dry_run: bool = False

    def identity(self) -> dict[str, Any]:
        """What decides on the result, as JSON types: two requests with the same identity compile the same."""
        neutral = {"model", "out", "overwrite", "ignore_estimate", "dry_run", "trust_remote_code"}
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in neutral}
        return {**values, "decoder_batch_sizes": list(self.buckets)}

    @property
    def buckets(self) -> tuple[int, ...]:
        """The decode batch sizes as optimum compiles them: largest first, the whole batch always among them."""
        return tuple(sorted({*self.decoder_batch_sizes, self.batch_size}, reverse=True))

    def rbln_config(self, npu: str, max_seq_len: int) -> dict[str, Any]:
        """The same in optimum's words. The compiled model is not loaded onto a device here."""
        config = {
            "batch_size": self.batch_size,
            "max_seq_len": max_seq_len,
            "num_devices": self.num_devices,
            "npu": npu,
            "create_runtimes": False,
            "decoder_batch_sizes": list(self.buckets),
            "attn_impl": self.attn_impl,
            "kvcache_partition_len": self.kvcache_partition_len,
            "prefill_chunk_size": self.prefill_chunk_size,
            "quantization": self.quantization or None,
        }
        return {name: value for name, value in config.items() if value is not None}


# ---- the command line


def parse(arguments: Sequence[str]) -> tuple[CompileRequest, list[str]]:
    """Reads the command line.

    Returns:
        the request, and a note for every former spelling.

    Raises:
        SystemExit: for `--help` and for what cannot be understood (argparse says what).
    """
    today, notes = _todays_spelling(arguments)
    options = vars(command_line().parse_args(today))
    return CompileRequest(**options), notes


def command_line() -> argparse.ArgumentParser:
    """The parser of the command; its help is its reference."""
    parser = argparse.ArgumentParser(
        prog="python launch.py compile",
        description="Compile a Hugging Face model for Rebellions' NPUs, with optimum-rbln. With --npu no NPU is needed here.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model", required=True, help="folder or Hugging Face id of any decoder-only model that optimum-rbln has"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="the folder to write")
    parser.add_argument(
        "--max-seq-len", type=_positive, metavar="TOKENS", help="context, prompt and answer together (default: the model's)"
    )
    parser.add_argument("--batch-size", type=_positive, default=1, metavar="N", help="sequences in one batch (default: 1)")
    parser.add_argument("--num-devices", type=_positive, default=1, metavar="N", help="NPUs that share the model (default: 1)")
    parser.add_argument("--npu", metavar="NAME", help="the NPU to compile for, such as RBLN-CA25 (default: this host's)")
    parser.add_argument(
        "--decoder-batch-sizes", type=_sizes, default=(), metavar="4,2,1", help="buckets for decode (default: the whole batch)"
    )
    parser.add_argument("--attn-impl", choices=("eager", "flash_attn"), help="attention (default: eager)")
    parser.add_argument(
        "--kvcache-partition-len", type=_positive, metavar="TOKENS", help="partition of flash attention; asks for it, too"
    )
    parser.add_argument("--prefill-chunk-size", type=_positive, metavar="TOKENS", help="tokens that are prefilled at a time")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), help="number format (default: the checkpoint's)")
    parser.add_argument(
        "--quantization", type=_quantization, default={}, metavar="JSON", help='such as int4, or {"weights": "int4"}'
    )
    parser.add_argument("--revision", help="branch, tag or commit of the model on the hub")
    parser.add_argument("--trust-remote-code", action="store_true", help="run code that comes with the model")
    parser.add_argument("--force", dest="overwrite", action="store_true", help="replace a compiled folder that is there")
    parser.add_argument("--ignore-estimate", action="store_true", help="compile although the memory seems too small")
    parser.add_argument("--dry-run", action="store_true", help="check and estimate only")
    return parser


def _todays_spelling(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    today, notes = [], []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        name = "--" + name[2:].replace("_", "-") if name.startswith("--") else name
        if name in FORMER:
            notes.append(f"{name} is called {FORMER[name]} today.")
        today.append(FORMER.get(name, name) + equals + value)
    return today, notes


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is wanted, not {text!r}")
    return number


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_positive(part.strip()) for part in text.strip("[]").split(","))


def _quantization(text: str) -> dict[str, str]:
    """The weights' format, or a JSON object of optimum's fields."""
    try:
        value = {"weights": text} if text.isalnum() else json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not value:
        raise argparse.ArgumentTypeError(f"the weights' format (int4) or a JSON object is wanted, not {text!r}")
    for name, format in value.items():
        if format not in QUANTIZED.get(name, ()):
            offered = "; ".join(f"{name}: {', '.join(formats)}" for name, formats in QUANTIZED.items())
            raise argparse.ArgumentTypeError(f"optimum-rbln has no {name} in {format!r}, but {offered}")
    return value


# ---- the limits


@dataclass(frozen=True, slots=True)
class Host:
    """What this machine has: the NPU to compile for, and free bytes of memory and of the disk of the output folder."""

    npu: str | None
    memory: int
    disk: int


def look_at_host(request: CompileRequest, npu: str | None) -> Host:
    """Asks the system; `npu` is the driver's, if there is one."""
    import psutil  # not at the top: the command's help needs nothing installed

    parent = request.out.absolute().parent
    while not parent.exists():
        parent = parent.parent
    return Host(request.npu or npu, psutil.virtual_memory().available, shutil.disk_usage(parent).free)


@dataclass(frozen=True, slots=True)
class Plan:
    """A request with what was left open decided, and what was found."""

    findings: list[Finding]
    npu: str
    max_seq_len: int
    estimate: Estimate | None


def plan(request: CompileRequest, source: ModelSource, host: Host) -> Plan:
    """Decides what was left open and checks every limit that can be known.

    Raises:
        CompileRefused: if it is not even known for which NPU or context to plan.
    """
    npu = host.npu
    if npu is None:
        raise CompileRefused(reason="this host has no NPU; say which one to compile for, such as --npu RBLN-CA25")
    family = npu_family(npu)
    if family is None:
        raise CompileRefused(reason=f"{npu} is no NPU that is known; RBLN-CA… and RBLN-CR… are")
    context = request.max_seq_len or source.longest_context
    if context is None:
        raise CompileRefused(reason=f"{source.name} does not say its context; give --max-seq-len")
    estimated = _estimate(request, source, family, context)
    findings = [
        _model(request, source),
        _context(source, context),
        _chunk(request, family, context),
        _attention(request, family, context),
        _buckets(request),
        _memory(request, family, estimated),
        _disk(request, source, host),
        _host_memory(source, host),
    ]
    return Plan(findings, npu, context, estimated)


def _model(request: CompileRequest, source: ModelSource) -> Finding:
    found = f"{source.architecture}, {source.dtype}"
    if source.parameters:
        found = f"{found}, {source.parameters / 1e6:,.1f} million parameters"
    if source.runs_own_code and not request.trust_remote_code:
        return Finding("model", "wrong", f"{found}; brings its own code", "Read it, then add --trust-remote-code.")
    if not source.architecture.endswith(("ForCausalLM", "LMHeadModel")):
        return Finding("model", "wrong", found, "Choose a decoder-only model (…ForCausalLM).")
    return Finding("model", "ok", found)


def _context(source: ModelSource, context: int) -> Finding:
    longest = source.longest_context
    if longest is None:
        return Finding("context", "warning", f"{context:,} tokens; the model does not say its longest")
    found = f"{context:,} of at most {longest:,} tokens"
    if context > longest:
        return Finding("context", "wrong", found, f"The model was not made for more: --max-seq-len {longest}.")
    return Finding("context", "ok", found)


def _chunk(request: CompileRequest, family: Npu, context: int) -> Finding:
    chunk = request.prefill_chunk_size or family.chunk
    found = f"{chunk} tokens"
    if chunk % CHUNK_UNIT:
        nearest = max(CHUNK_UNIT, chunk // CHUNK_UNIT * CHUNK_UNIT)
        advice = f"It must be a multiple of {CHUNK_UNIT}: --prefill-chunk-size {nearest}."
        return Finding("prefill chunk", "wrong", found, advice)
    if context % chunk:
        rounded = max(chunk, context // chunk * chunk)
        advice = f"The context must be a multiple of it, or prefix caching cannot start: --max-seq-len {rounded}."
        return Finding("prefill chunk", "wrong", found, advice)
    return Finding("prefill chunk", "ok", found)


def _attention(request: CompileRequest, family: Npu, context: int) -> Finding:
    partition = _partition(request, family)
    if partition is None:
        found = f"eager, {context:,} of at most {family.longest_eager:,} tokens on {family.family}"
        if context > family.longest_eager:
            return Finding("attention", "wrong", found, "Use --attn-impl flash_attn, or a shorter --max-seq-len.")
        return Finding("attention", "ok", found)
    low, high = family.partitions
    found = f"flash_attn, {context:,} tokens in partitions of {partition:,}"
    if not low <= partition <= high:
        return Finding("attention", "wrong", found, f"{family.family} takes --kvcache-partition-len {low} to {high}.")
    if context < 2 * partition:
        return Finding("attention", "wrong", found, "At least two partitions are needed: a smaller --kvcache-partition-len.")
    if context % partition:
        return Finding("attention", "wrong", found, "--max-seq-len must be a multiple of --kvcache-partition-len.")
    return Finding("attention", "ok", found)


def _partition(request: CompileRequest, family: Npu) -> int | None:
    """Tokens of a flash partition; None for eager attention. Naming a partition asks for flash attention, as in optimum."""
    if request.kvcache_partition_len:
        return request.kvcache_partition_len
    return family.default_partition if request.attn_impl == "flash_attn" else None


def _buckets(request: CompileRequest) -> Finding:
    found = ", ".join(map(str, sorted(request.buckets)))
    if max(request.buckets) > request.batch_size:
        advice = f"None may be larger than --batch-size {request.batch_size}."
        return Finding("decode buckets", "wrong", found, advice)
    return Finding("decode buckets", "ok", found)


def _estimate(request: CompileRequest, source: ModelSource, family: Npu, context: int) -> Estimate | None:
    shape = _shape(request, source)
    if shape is None:
        return None
    partition = _partition(request, family)
    unit = partition or request.prefill_chunk_size or family.chunk
    # With flash attention a block is a partition, and optimum asks for one full context, or a block per lane, and one more.
    least = (max(context // partition, request.batch_size) + 1) * partition if partition else context * request.batch_size
    longest = source.longest_context or context
    return estimate(
        shape,
        batch=request.batch_size,
        context=context,
        devices=request.num_devices,
        available=family.memory,
        unit=unit,
        least_tokens=least,
        longest=longest if partition else min(longest, family.longest_eager),
    )


def _shape(request: CompileRequest, source: ModelSource) -> Shape | None:
    """Only the linear layers are quantised: embeddings and the head keep 16 bits."""
    if source.parameters is None:
        return None
    bits = BITS.get(request.dtype or source.dtype, 16)
    weight_bits: float = BITS.get(request.quantization.get("weights", ""), bits)
    kv_bits = BITS.get(request.quantization.get("kv_caches", ""), bits)
    vocabulary = source.config.get("vocab_size", 0) * source.config.get("hidden_size", 0)
    kept = min(source.parameters, vocabulary * (1 if source.config.get("tie_word_embeddings") else 2))
    weight_bits = (weight_bits * (source.parameters - kept) + bits * kept) / source.parameters
    try:
        return Shape(source.parameters, weight_bits, kv_per_token(source.config, kv_bits, request.num_devices))
    except (KeyError, TypeError, ZeroDivisionError):
        return None


def _memory(request: CompileRequest, family: Npu, estimated: Estimate | None) -> Finding:
    if estimated is None:
        return Finding("device memory", "warning", "no estimate: neither the files nor the hub say the model's size")
    found = (
        f"{size(estimated.weights)} weights + {size(estimated.kv_cache)} KV cache = {size(estimated.total)} "
        f"of {size(estimated.available)} on each of {request.num_devices} {family.family}: {estimated.verdict}"
    )
    largest = (
        f"At this context --batch-size {estimated.largest_batch} is the largest, "
        f"at this batch --max-seq-len {estimated.largest_context}; or more --num-devices"
    )
    if estimated.largest_batch < 1 or estimated.largest_context < 1:
        largest = "Not even one lane fits: more --num-devices, or --quantization int4"
    if estimated.verdict == "fits":
        return Finding("device memory", "ok", found)
    if estimated.verdict == "tight":
        return Finding("device memory", "warning", found, "The compiler needs some besides.")
    if estimated.verdict == "fewer blocks":
        return Finding("device memory", "warning", found, f"Not all lanes will hold a full context at once. {largest}.")
    state: State = "warning" if request.ignore_estimate else "wrong"
    return Finding("device memory", state, found, f"{largest}. --ignore-estimate tries it all the same.")


def _disk(request: CompileRequest, source: ModelSource, host: Host) -> Finding:
    """One copy of the weights is sure; every graph may hold one."""
    if source.stored is None:
        return Finding("disk", "warning", f"{size(host.disk)} free; the model's size is not known")
    graphs = 1 + len(request.buckets)
    found = f"{size(host.disk)} free, {size(source.stored)} to {size(graphs * source.stored)} needed"
    if host.disk < source.stored:
        return Finding("disk", "wrong", found, "Make room, or choose another --out.")
    if host.disk < graphs * source.stored:
        return Finding("disk", "warning", found, "It may not be enough.")
    return Finding("disk", "ok", found)


def _host_memory(source: ModelSource, host: Host) -> Finding:
    """The weights are in memory once as they are loaded and once as they are compiled."""
    if source.stored is None:
        return Finding("host memory", "warning", f"{size(host.memory)} free; the model's size is not known")
    found = f"{size(host.memory)} free, about {size(2 * source.stored)} needed"
    if host.memory < source.stored:
        return Finding("host memory", "wrong", found, "Compile on a host with more memory.")
    if host.memory < 2 * source.stored:
        return Finding("host memory", "warning", found, "It may not be enough; the system may end the compile.")
    return Finding("host memory", "ok", found)

"""What can be known of a Hugging Face model before it is loaded: its configuration, its parameters, which version it is.

A folder is read as files; for an id the hub's client is asked, which fetches no weights for it. It does not know what the
model is wanted for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.errors import CompileRefused

WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
BITS_OF = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U8": 8, "BOOL": 8}


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that is to be compiled.

    Attributes:
        name: folder or hub id, as given.
        config: its config.json.
        parameters: how many; None if neither its files nor the hub say.
        stored: bytes of its weights as they are stored.
        version: what tells this version of it from others: the hub's commit, or sizes and times of the files.
    """

    name: str
    config: Mapping[str, Any]
    parameters: int | None
    stored: int | None
    version: str

    @property
    def architecture(self) -> str:
        """The model's class, such as LlamaForCausalLM."""
        return (self.config.get("architectures") or ["unknown"])[0]

    @property
    def dtype(self) -> str:
        """The number format of the checkpoint."""
        return str(self.config.get("dtype") or self.config.get("torch_dtype") or "float32")

    @property
    def longest_context(self) -> int | None:
        """Tokens that the model was made for: max_position_embeddings, stretched where its rope says so."""
        longest = self.config.get("max_position_embeddings") or self.config.get("n_positions")
        rope = self.config.get("rope_parameters") or self.config.get("rope_scaling") or {}
        original, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
        if longest and original and factor:
            return max(int(longest), int(original * factor))
        return int(longest) if longest else None

    @property
    def runs_own_code(self) -> bool:
        """Whether its causal-LM class is code that comes with it. optimum-rbln would run that without asking."""
        return "AutoModelForCausalLM" in (self.config.get("auto_map") or {})


def read_source(model: str, revision: str | None = None) -> ModelSource:
    """Looks at a folder or a hub id.

    Raises:
        CompileRefused: if there is no such model, or it cannot be reached.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _from_folder(model, folder)
    if folder.is_absolute() or model.startswith(".") or model.count("/") > 1:
        raise CompileRefused(reason=f"there is no model at {model}; give a folder, or an id of the Hugging Face Hub")
    return _from_hub(model, revision)


def _from_folder(name: str, folder: Path) -> ModelSource:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CompileRefused(reason=f"the config.json of {name} cannot be read ({error})") from None
    weights = sorted({path for pattern in WEIGHTS for path in folder.glob(pattern)})
    if not weights:
        raise CompileRefused(reason=f"{name} has no weights (*.safetensors)")
    states = {path.name: path.stat() for path in [folder / "config.json", *weights]}
    version = ", ".join(f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states.items())
    stored = sum(path.stat().st_size for path in weights)
    return ModelSource(name, config, _parameters(weights), stored, version)


def _parameters(weights: list[Path]) -> int | None:
    """Sum over the headers of the safetensors files: 8 bytes of length, then JSON with every tensor's shape."""
    count = 0
    for path in weights:
        if path.suffix != ".safetensors":
            return None
        try:
            with path.open("rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            count += sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
        except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError):
            raise CompileRefused(reason=f"the weights {path} are damaged; copy or download them again") from None
    return count


def _from_hub(model: str, revision: str | None) -> ModelSource:
    from huggingface_hub import get_safetensors_metadata, hf_hub_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        NotASafetensorsRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        SafetensorsParsingError,
    )

    try:
        config = Path(hf_hub_download(model, "config.json", revision=revision))
    except GatedRepoError:
        reason = f"{model} is gated: ask for access on its page, then set HF_TOKEN"
        raise CompileRefused(reason=reason) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise CompileRefused(reason=f"there is no model {model}, neither as a folder nor on the Hugging Face Hub") from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise CompileRefused(reason=f"{model} cannot be fetched: {str(error).splitlines()[0]}") from None
    parameters: int | None = None
    stored: int | None = None
    try:
        counts = get_safetensors_metadata(model, revision=revision).parameter_count
        parameters = sum(counts.values())
        stored = sum(count * BITS_OF.get(str(kind), 16) // 8 for kind, count in counts.items())
    except (NotASafetensorsRepoError, SafetensorsParsingError, HfHubHTTPError, OfflineModeIsEnabled, OSError):
        pass  # then there is no estimate, and that is said
    return ModelSource(
        model, json.loads(config.read_text(encoding="utf-8")), parameters, stored, f"commit {config.parent.name}"
    )

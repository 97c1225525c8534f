"""The stand-in for Rebellions' compiler stays where it belongs: in tests/rbln, out of the app's reach and of pip's."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = ROOT / "tests" / "rbln" / "rebel_on_cpu"


def python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Runs code in another Python, with these folders on its path."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run([sys.executable, "-P", "-c", code], env=variables, capture_output=True, text=True, timeout=120)


def test_it_is_not_importable_from_the_apps_folder() -> None:
    assert python("import rebel", ROOT).stderr.strip().endswith("ModuleNotFoundError: No module named 'rebel'")


@pytest.mark.skipif(str(STAND_IN) in sys.path, reason="these are the tests that have it on their path")
def test_it_is_not_importable_here() -> None:
    assert importlib.util.find_spec("rebel") is None


def test_the_app_never_names_it() -> None:
    named = [path for path in [*ROOT.glob("webui/**/*.py"), ROOT / "requirements.txt"] if "rebel_on_cpu" in path.read_text()]
    assert named == []


def test_there_is_nothing_that_pip_could_install_or_list() -> None:
    recipes = {"pyproject.toml", "setup.py", "setup.cfg", "PKG-INFO", "METADATA"}
    assert [path for path in STAND_IN.rglob("*") if path.name in recipes or path.suffix in (".dist-info", ".egg-info")] == []


def test_it_does_not_stand_before_the_real_package(tmp_path: Path) -> None:
    installed = tmp_path / "rebel_compiler-0.12.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: rebel-compiler\nVersion: 0.12.0\n")
    answer = python("import rebel", STAND_IN, tmp_path)
    assert "the real rebel-compiler is installed" in answer.stderr.splitlines()[-1]


def test_it_says_in_every_process_that_it_is_emulated() -> None:
    answer = python("import rebel; print(rebel.__emulated__, rebel.__version__)", STAND_IN)
    assert answer.stdout.split() == ["True", "0.12.0+emulated.on.cpu"]
    assert "EMULATED" in answer.stderr

"""The comparisons can fail: on a device that is broken on purpose the very same tests say so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.app_process import ROOT

PREFIX = "tests/rbln/test_serving.py::test_a_prefix_that_is_in_the_cache_is_copied_not_computed"
COMPILED = "tests/rbln/test_compile_and_generate.py::test_a_compiled_model_answers_as_the_plain_one"
SERVED = "tests/rbln/test_serving.py::test_eight_requests_on_four_lanes"


@pytest.mark.parametrize(
    ("mutation", "tests"),
    [("kv_copy_does_nothing", [PREFIX]), ("no_shared_kv_cache", [COMPILED, SERVED])],
)
def test_a_broken_device_is_found_out(mutation: str, tests: list[str]) -> None:
    command = [sys.executable, "-m", "pytest", "-p", f"tests.rbln.mutations.{mutation}", "-p", "no:cacheprovider", *tests]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    failed = {line.split()[1] for line in answer.stdout.splitlines() if line.startswith("FAILED")}
    assert failed == set(tests), answer.stdout
    assert answer.stdout.count("AssertionError") >= len(tests), answer.stdout

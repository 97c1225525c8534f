#!/usr/bin/env python3
"""The one command: makes an environment for this machine's device, installs the locked packages, starts the app.

    python launch.py [--device auto|cpu|cuda|rbln] [the app's arguments]
    python launch.py test [--rbln] [--triton] [--triton-vllm CHECKOUT] [pytest's arguments]

It knows nothing of the app but its name and that `webui/settings.py` can describe its flags; nothing of vLLM or Gradio;
and of the packages only what stands in the locks. It uses the standard library alone, and the whole file is written so
that any Python can read it (no f-strings, no annotations): the first thing it does is to say which Python it needs.
"""

from __future__ import print_function

import argparse
import errno
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time

try:
    import fcntl
except ImportError:  # Windows: nothing there keeps two first starts apart
    fcntl = None

NAME = "Batchat"
APP = "webui"
ROOT = os.path.dirname(os.path.abspath(__file__))
PYTHONS = ((3, 12), (3, 13), (3, 11))  # in the order in which they are recommended

# device: its environment, its lock, the disk space in GB that installing takes (the packages, and what pip unpacks).
# Two devices never share an environment: their builds of vLLM and torch exclude each other.
DEVICES = {
    "cpu": (".venv", "requirements.txt", 4),
    "cuda": (".venv-cuda", "requirements/cuda.txt", 16),
    "rbln": (".venv-rbln", "requirements/rbln.txt", 8),
}
TEST_LOCK = "requirements/test.txt"
SETS = {"triton": "requirements/triton.txt"}  # small sets for one kind of engine: installed when `--engine` first names it

# `test --triton` starts a real Triton server, which wants packages of its own.
TRITON_SERVER = "triton server"
TRITON_TESTS = "tests/triton_server"

# `test --rbln` runs Rebellions' own packages where no NPU is. Their compiler is not among them: the tests' folder that stands
# in for it is put on the path there and nowhere else, and so no environment that serves an NPU is ever this one.
EMULATED_RBLN = "emulated rbln"
RBLN_TESTS = "tests/rbln"
STAND_IN = os.path.join(ROOT, "tests", "rbln", "rebel_on_cpu")
FOR_TESTS = {
    EMULATED_RBLN: (".venv-rbln-test", "requirements/rbln_test.txt", 5),
    TRITON_SERVER: (".venv-triton-test", "requirements/triton_test.txt", 1),
}
ENVIRONMENTS = dict(DEVICES, **FOR_TESTS)

# Pins that PyPI does not have, and their home. The indexes that pip is configured with are asked first, the home only
# if they have no such version, for that one install: as an extra index for everything, one that does not answer costs
# its time-out per package.
HOMES = (("+cpu", "https://download.pytorch.org/whl/cpu"),)

# Rebellions' compiler is on their own index alone, and nobody else is asked for it: the name is free on PyPI, where anybody
# could take it. It comes first, for it may fail for want of an account. What it asks for itself is not public, so that it
# is not in the lock; pip works it out in the end, and the lock binds it.
COMPILER = "rebel-compiler"
REBELLIONS = "https://pypi.rbln.ai/simple"
SAY_WHY = ["-vv"]  # without it pip does not tell an index that wants an account from one that lacks the package

# Commands of the app that run in one device's environment, whatever this machine has.
DEVICE_OF_COMMAND = {"compile": "rbln"}

# --no-deps: the locks are complete. --only-binary: a missing build is said at once, not by a compiler in the end.
# --no-compile: of 22,000 modules the first start imports 5,700. Measured on two cores: byte-compiling all takes 90 s of
# an install, leaving it to the first start makes that 30 s longer. Only where Python is told to keep no bytecode
# (PYTHONDONTWRITEBYTECODE), and every start would pay again, it is done here.
PIP_FLAGS = "--no-deps --only-binary=:all: --no-compile --no-user --no-input --disable-pip-version-check".split()
COMPILE = "import compileall, sysconfig as s; compileall.compile_dir(s.get_path('purelib'), quiet=2, workers=0)"


class Failure(Exception):
    """Why there will be no app, in words that say what to do."""


# ---- which Python, which device


def check_python(version, arguments):
    """Refuses a Python that the locked packages do not run on, and names the command to type instead."""
    if tuple(version[:2]) in PYTHONS:
        return
    sentence = "this is Python %d.%d, and 3.11, 3.12 or 3.13 is needed" % (version[0], version[1])
    for python in PYTHONS:
        name = "python%d.%d" % python
        if answers(name):
            raise Failure("%s; type: %s" % (sentence, " ".join([name] + arguments)))
    raise Failure(sentence + "; install one, from your system or python.org, and type: python3.12 launch.py")


def answers(name):
    """Whether this Python is really there: a name on PATH may be a version manager's empty promise."""
    try:
        process = subprocess.Popen([name, "-c", "print(1)"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return process.communicate()[0].strip() == b"1"
    except OSError:
        return False


def find_device(command=None):
    """The device of this machine, or the one that the command is for."""
    if command in DEVICE_OF_COMMAND:
        return DEVICE_OF_COMMAND[command]
    if glob.glob("/dev/rbln[0-9]*"):
        return "rbln"
    if os.path.exists("/dev/nvidia0") or os.path.exists("/proc/driver/nvidia/gpus") or shutil.which("nvidia-smi"):
        return "cuda"
    return "cpu"


# ---- what is to be installed, and what is


def read_pins(path):
    """The pins of a lock, without comments; a line `-r FILE` stands for that file's pins."""
    pins = []
    with open(path) as lines:
        for line in lines:
            line = re.sub(r"(^|\s)#.*", "", line).strip()
            if line.startswith("-r "):
                pins += read_pins(os.path.join(os.path.dirname(path), line[3:].strip()))
            elif line:
                pins.append(line)
    return pins


def projects(pins):
    """The names of the pinned packages, as pip compares names."""
    return set(re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", pin).group()).lower() for pin in pins)


class Environment(object):
    """The virtual environment of one device, beside this file. Each lock that is in it has left a stamp there."""

    def __init__(self, device, root=ROOT):
        folder, lock, self.gigabytes = ENVIRONMENTS[device]
        self.device, self.folder = device, os.path.join(root, folder)
        self.locks = {"app": os.path.join(root, lock), "test": os.path.join(root, TEST_LOCK)}
        self.locks.update((name, os.path.join(root, path)) for name, path in SETS.items())
        self.bin = os.path.join(self.folder, "Scripts" if os.name == "nt" else "bin")
        self.python = os.path.join(self.bin, "python.exe" if os.name == "nt" else "python")
        self.log = os.path.join(self.folder, "install.log")
        self.constraints = os.path.join(self.folder, "constraints.txt")

    def pins(self, name):
        return read_pins(self.locks[name])

    def version(self):
        """The version of Python that it was made with."""
        try:
            with open(os.path.join(self.folder, "pyvenv.cfg")) as settings:
                return re.search(r"(?m)^version\w*\s*=\s*(\d+\.\d+)|\Z", settings.read()).group(1)
        except OSError:
            return None

    def fingerprint(self, pins):
        """What a stamp must say: the pins, the device, and the Python, which may have been replaced under our feet."""
        facts = [self.device, self.version(), os.path.realpath(self.python), sorted(pins)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def stamp(self, name):
        try:
            with open(os.path.join(self.folder, "installed-%s.json" % name)) as stamp:
                return json.load(stamp)
        except (OSError, ValueError):
            return {"fingerprint": None, "pins": []}

    def write_stamp(self, name, fingerprint, pins):
        """A fingerprint of None marks an install that is under way; the pins say what it may have put there."""
        path = os.path.join(self.folder, "installed-%s.json" % name)
        with open(path + ".new", "w") as stamp:
            json.dump({"fingerprint": fingerprint, "pins": sorted(pins)}, stamp)
        os.replace(path + ".new", path)

    def has(self, name):
        """Whether this lock is installed: all that a second start asks."""
        return os.path.exists(self.python) and self.stamp(name)["fingerprint"] == self.fingerprint(self.pins(name))

    def is_usable(self):
        """Whether its Python runs, is the one it was made with, and has pip."""
        code = "import pip, sys; print('%d.%d' % sys.version_info[:2])"
        try:
            output = subprocess.check_output([self.python, "-I", "-c", code], stderr=subprocess.STDOUT)
        except (OSError, subprocess.CalledProcessError):
            return False
        version = output.decode().strip()
        return version == self.version() and version in ["%d.%d" % python for python in PYTHONS]

    def empty(self):
        """Takes everything out of the folder; the folder itself stays, for it may be a link to another disk."""
        if not os.path.isdir(self.folder):
            os.makedirs(self.folder)
        for entry in os.listdir(self.folder):
            path = os.path.join(self.folder, entry)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.remove(path)

    def forget_half_installed(self):
        """Lets pip install again what it was installing when it was interrupted.

        The last thing that pip does for a package is to write its RECORD anew, with its own INSTALLER in it. Without
        that, files may be missing although pip would count the package as installed. "~" is what it was removing.
        """
        for lib in (os.path.join("lib", "python*"), "Lib"):
            packages = os.path.join(self.folder, lib, "site-packages")
            for path in glob.glob(os.path.join(packages, "~*")):
                shutil.rmtree(path)
            for path in glob.glob(os.path.join(packages, "*.dist-info")):
                if not is_complete(os.path.join(path, "RECORD")):
                    shutil.rmtree(path)


def is_complete(record):
    if not os.path.exists(record):
        return False
    with open(record, "rb") as lines:
        return b"/INSTALLER," in lines.read()


# ---- installing


def set_up(environment, names, out):
    """Installs the named locks unless they are there. Of two launches at once one installs, the other waits."""
    if all(environment.has(name) for name in names):
        return
    with open(environment.folder + ".lock", "a") as lock:  # beside the environment, which may be emptied meanwhile
        if fcntl:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("%s: another start is installing; waiting for it to end." % NAME, file=out)
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError:  # a file system without locks
                pass
        if not all(environment.has(name) for name in names):
            install(environment, names, Steps(environment.log, lock, out))


def install(environment, names, steps):
    """Brings the environment to what the locks say, from whatever state it is in. The stamps come last."""
    fresh = not environment.is_usable()
    names = [name for name in names if fresh or not environment.has(name)]
    wanted = dict((name, environment.pins(name)) for name in names)
    found = dict((name, environment.stamp(name)) for name in names)
    before = set() if fresh else projects(pin for name in names for pin in found[name]["pins"])
    todo = plan(environment, wanted, before)
    steps.begin(environment, len(todo) + fresh)
    if fresh:
        environment.empty()
        check_disk(environment)
        # started from inside an environment, sys.executable may lie in the very folder that was just emptied
        base = getattr(sys, "_base_executable", None) or sys.executable
        steps.take("a Python environment", [[base, "-I", "-m", "venv", os.path.realpath(environment.folder)]])
    elif not all(found[name]["fingerprint"] for name in names):
        environment.forget_half_installed()
    for name, pins in wanted.items():
        environment.write_stamp(name, None, set(pins + found[name]["pins"]))
    with open(environment.constraints, "w") as constraints:
        constraints.write("\n".join(pin for pins in wanted.values() for pin in pins))
    for title, commands in todo:
        steps.take(title, commands)
    for name, pins in wanted.items():
        environment.write_stamp(name, environment.fingerprint(pins), pins)


def plan(environment, wanted, before):
    """The steps as (title, commands); a second command is for when the first finds no such version."""
    pip = [environment.python, "-I", "-m", "pip"]  # -I: a PYTHONPATH of the user's is not pip's business
    steps = []
    surplus = before - projects(pin for name in environment.locks for pin in environment.pins(name))
    if surplus:
        steps.append(("removing " + ", ".join(sorted(surplus)), [pip + ["uninstall", "--yes"] + sorted(surplus)]))
    pins = [pin for name in sorted(wanted) for pin in wanted[name]]
    compiler = [pin for pin in pins if pin.startswith(COMPILER)]
    if compiler:
        pins = [pin for pin in pins if pin not in compiler]
        steps.append((COMPILER, [pip + ["install"] + PIP_FLAGS + SAY_WHY + compiler + ["--index-url", REBELLIONS]]))
    for mark, home in HOMES:
        special = [pin for pin in pins if mark in pin]
        pins = [pin for pin in pins if mark not in pin]
        if special:
            command = pip + ["install"] + PIP_FLAGS + special
            steps.append((", ".join(special), [command, command + ["--index-url", home]]))
    steps.append(("%d packages" % len(pins), [pip + ["install"] + PIP_FLAGS + pins]))
    if compiler:
        flags = [flag for flag in PIP_FLAGS if flag != "--no-deps"] + ["--constraint", environment.constraints]
        steps.append(("what %s asks for" % COMPILER, [pip + ["install"] + flags + compiler]))
    if sys.dont_write_bytecode:
        steps.append(("byte-compiling", [[environment.python, "-I", "-c", COMPILE]]))
    return steps


def check_disk(environment):
    free = shutil.disk_usage(environment.folder).free / 1e9
    if free < environment.gigabytes:
        sentence = "No disk space: installing takes %d GB, %.1f GB are free; make room, or let %s link to another disk."
        raise Failure(sentence % (environment.gigabytes, free, environment.folder))


class Steps(object):
    """Runs steps one by one: shows which and for how long, keeps their output in a log, explains a failure.

    On a terminal one line is rewritten every second; elsewhere a line comes at the begin, every 30 s and at the end.
    """

    def __init__(self, log, lock, out):
        self.log, self.lock, self.out, self.tty, self.done = log, lock, out, out.isatty(), 0

    def begin(self, environment, total):
        self.total = total
        print("%s: installing for %s into %s, once." % (NAME, environment.device, environment.folder), file=self.out)

    def take(self, title, commands):
        self.done, self.started = self.done + 1, time.time()
        self.title = "[%d/%d] %s" % (self.done, self.total, title)
        self.show("...")
        for command in commands:
            code, lines = self.run(command)
            if code == 0 or not any("No matching distribution found" in line for line in lines):
                break
        self.show("failed after" if code else "done in", last=True)
        if code:
            telling = [
                line for line in lines if re.match("(?i)(error|looking in indexes|.* error:|.*exception)", line)
            ] or lines
            home = command[-1] if "--index-url" in command else None
            sentence = explain("\n".join(lines), os.path.dirname(self.log), code, home)
            said = [line.strip()[:200] for line in telling[-4:]]
            raise Failure("\n  ".join([sentence] + said + ["All of it: " + self.log]))

    def show(self, state, last=False):
        seconds = int(time.time() - self.started)
        spent = "%d min %d s" % divmod(seconds, 60) if seconds > 59 else "%d s" % seconds
        line = "%s %s %s" % (self.title, state, spent)
        if self.tty:
            width = shutil.get_terminal_size().columns - 1
            line = "\r" + line[:width].ljust(width)
        self.out.write(line + ("\n" if last or not self.tty else ""))
        self.out.flush()

    def run(self, command):
        """Runs the command to its end; returns its exit code and its lines."""
        with open(self.log, "ab+") as log:
            log.write(("\n$ %s\n" % " ".join(command)).encode())
            log.flush()
            begin = log.tell()
            # The child holds the lock too: should this process be killed, nobody else installs before pip has ended.
            more = {"pass_fds": [self.lock.fileno()]} if fcntl else {}
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)
            try:
                while process.poll() is None:
                    try:
                        process.wait(1 if self.tty else 30)
                    except subprocess.TimeoutExpired:
                        self.show("...")
            except BaseException:
                process.terminate()
                process.wait()
                raise
            log.seek(begin)
            return process.returncode, log.read().decode("utf-8", "replace").splitlines()


# What pip and venv print, and what it means for the person who waits. The first that fits is said.
MEANINGS = (
    (
        "Errno 28|No space left|not enough space",
        "No disk space: pip needs room in {folder} and for temporary files (TMPDIR); make some and start again.",
    ),
    (
        "ensurepip is not available|No module named '?(venv|ensurepip)",
        "This Python cannot make environments; install its venv (Debian, Ubuntu: apt install python{python}-venv).",
    ),
    (
        r"\b40[13] (Client )?Error|HTTP error 40[13]|Credentials not correct|User for ",
        "{index} wants an account{account}: put it into pip's configuration or ~/.netrc and start again.",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED|SSLError",
        "{index} has a certificate that is not trusted; behind a proxy: `pip config set global.cert FILE`.",
    ),
    (
        "NewConnectionError|ConnectTimeout|ReadTimeout|NameResolution|ProxyError|Connection(Reset)?Error",
        "{index} cannot be reached: check the network, or set a proxy or a mirror for pip, then start again.",
    ),
    (
        r"No matching distribution found for (?P<pin>[^\s;]+)",
        "There is no {pin} for this machine ({machine}, Python {python}); what is locked needs Linux with glibc 2.34.",
    ),
    ("Errno 13|Errno 30|Permission denied", "{folder} cannot be written to; clone into a folder of your own."),
    ("", "Installing failed (exit code {code})."),
)


def explain(output, folder, code=1, home=None):
    """One sentence for why pip or venv failed, and what to do; `home` is the index that it asked, if not its own."""
    machine = "%s %s" % (platform.system(), platform.machine())
    facts = {"folder": folder, "machine": machine, "python": "%d.%d" % sys.version_info[:2], "code": code}
    facts.update({"index": "The package index", "account": ""})
    if home:
        facts["index"] = "The package index " + home
    if home == REBELLIONS:
        facts["index"] = "Rebellions' package index"
        facts["account"] = " of the RBLN Portal (~/.netrc: machine %s login NAME password SECRET)" % home.split("/")[2]
    for pattern, sentence in MEANINGS:
        found = re.search(pattern, output)
        if found:
            return sentence.format(**dict(facts, **found.groupdict()))


# ---- starting


def show_help(parser, rest):
    sys.path.insert(0, ROOT)
    from webui.settings import COMMANDS, command_line

    if rest[0] in COMMANDS:
        from webui.__main__ import main as app

        return app(rest)
    parser.print_help()
    print("\n---- the app ----\n")
    command_line().parse_args(rest)


def start(environment, arguments, paths=()):
    """Becomes the app. Signals, exit code and process id are then its own."""
    variables = dict(os.environ, VIRTUAL_ENV=environment.folder)
    variables["PATH"] = os.pathsep.join([environment.bin, os.environ.get("PATH", os.defpath)])
    paths = [ROOT] + list(paths) + list(filter(None, [os.environ.get("PYTHONPATH")]))
    variables["PYTHONPATH"] = os.pathsep.join(paths)
    command = [environment.python, "-P", "-m"] + arguments  # -P: the folder it is called from holds no modules of ours
    sys.stdout.flush()
    if os.name == "posix":
        os.execve(environment.python, command, variables)
    process = subprocess.Popen(command, env=variables)
    while True:
        try:
            sys.exit(process.wait())
        except KeyboardInterrupt:  # the app has got it too and ends by itself
            pass


def main(arguments):
    check_python(sys.version_info, sys.argv)
    parser = argparse.ArgumentParser(
        prog="python launch.py",
        usage="%(prog)s [--device DEVICE] [arguments of the app]\n       %(prog)s test [--rbln|--triton] [arguments of pytest]",
        description="Makes an environment, installs the locked packages into it (only once), starts %s." % NAME,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument(
        "--device",
        choices=["auto"] + sorted(DEVICES),
        default="auto",
        help="what the model runs on; auto: what this machine has (for `test`: cpu)",
    )
    options, rest = parser.parse_known_args(arguments)
    testing = rest[:1] == ["test"]
    if not testing and ("-h" in rest or "--help" in rest):
        return show_help(parser, rest)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if testing:
        return test(options.device, rest[1:])
    environment = Environment(find_device(*rest[:1]) if options.device == "auto" else options.device)
    set_up(environment, ["app"] + wanted_sets(rest, os.environ), sys.stderr)
    return start(environment, [APP] + rest)


def wanted_sets(arguments, variables):
    """The sets that the engine wants which the app is to use, as far as flags and environment name it."""
    said = " ".join(arguments).replace("=", " ").split()
    engine = said[said.index("--engine") + 1 : said.index("--engine") + 2] if "--engine" in said else []
    return [name for name in SETS if name in (engine or [variables.get("WEBUI_ENGINE")])]


def test(device, arguments):
    """Becomes pytest: all tests, on the CPU unless a device is named; with --rbln the RBLN path's, on an emulated NPU; with
    --triton those with a real Triton server, with --triton-vllm also those with the vLLM backend of a checkout."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--rbln", action="store_true")
    parser.add_argument("--triton", action="store_true")
    parser.add_argument("--triton-vllm", metavar="CHECKOUT")
    options, arguments = parser.parse_known_args(arguments)
    if options.rbln:
        return test_in(EMULATED_RBLN, ["app", "test"], ["-o", "testpaths=" + RBLN_TESTS] + arguments, [STAND_IN])
    device = "cpu" if device == "auto" else device
    if not (options.triton or options.triton_vllm):
        return test_in(device, ["app", "test"], arguments)
    if options.triton_vllm:
        os.environ["TRITON_VLLM_BACKEND"] = os.path.abspath(options.triton_vllm)
    set_up(Environment(TRITON_SERVER), ["app"], sys.stderr)
    return test_in(device, ["app", "test", "triton"], ["-o", "testpaths=" + TRITON_TESTS] + arguments)


def test_in(device, sets, arguments, paths=()):
    """Becomes pytest in this device's environment."""
    environment = Environment(device)
    set_up(environment, sets, sys.stderr)
    os.chdir(ROOT)
    return start(environment, ["pytest"] + arguments, paths)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit("%s: %s" % (NAME, failure))
    except KeyboardInterrupt:
        sys.exit("\n%s: stopped; the next start goes on from here." % NAME)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC):
            raise
        sys.exit("%s: %s" % (NAME, explain("Errno %d" % error.errno, error.filename or ROOT)))

#!/usr/bin/env python3
"""House rules that a machine can hold (CONTRIBUTING.md says why). Prints FILE:LINE: what is wrong; exit status 1 if anything is.

    tools/check_house.py              every rule, on all tracked files
    tools/check_house.py --only ops   one rule (the build runs this one: an op without a test row does not build)
    tools/check_house.py --list       the rules
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDERS = (
    "base tensor kernels autograd ops comm nn text io model data train engine eval post verify server cli".split()
)
WARN_LINES, MOST_LINES = 400, 600
OPS_WITHOUT_ROW = {"common"}  # helpers shared by the ops
INTRINSICS_ALLOWED = {"src/base/threads.cpp"}  # _mm_pause in the pool's spin
CLI11_ALLOWED = {f"src/cli/{name}.cpp" for name in ("command", "failure", "help", "main", "suggest")}

# Words that this file looks for are written with a break, so that it does not find itself.
UNFINISHED = re.compile(
    r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK|NY" r"I)\b|not implem" r"ented|unimplem" r"ented|place" r"holder\b|\bfor n" r"ow\b",
    re.IGNORECASE,
)
MACHINE = re.compile(
    r"(?:^|[^A-Za-z0-9_.}])/(?:wo" r"rk|fa" r"rm|ro" r"ot|tm" r"p)/|npm" r"js\.|pyp" r"i\.org|python" r"hosted|deb\.deb" r"ian|security\.deb" r"ian"
)
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
INTRINSICS_HEADER = re.compile(r"(?:[a-z]*intrin|arm_neon|arm_sve|cuda\w*|cublas\w*)\.h$")
ISA_CONDITION = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\b(?:__(?:AVX|SSE|FMA|F16C|BMI|VNNI|AMX|CUDA|ARM)\w*)")
PRINTS = re.compile(r"std::(?:cout|cerr|clog)|\b(?:printf|puts|putchar)\(|\bfprintf\((?:stderr|stdout)|fmt::print\((?:\"|stderr|stdout)")
SIGNALS = re.compile(r"\b(?:std::)?(?:signal|sigaction)\(SIG|\bsigaction\(")
FAST_MATH = re.compile(r"-ffast-math|-Ofast|-march=native|-funsafe-math")
IDLE_TEST = re.compile(
    r"\bDISABLED_|\bGTEST_SKIP\b|(?:EXPECT|ASSERT)_TRUE\(true\)|\bSUCCEED\(\)|(?:EXPECT|ASSERT)_EQ\((\w+), \1\)|pytest\.skip"
)
SUPPRESSION = re.compile(r"no_sanitize|suppress" r"ions=|__(?:lsan|tsan|asan)_default_suppress")
SWALLOWED = re.compile(r"\|\| *true\b|\|\| *:(?:\s|$)|set \+e|^\t-|continue-on-error")
TEST_NAME = re.compile(r"^\s*(?:TYPED_)?TEST(?:_F|_P)?\((\w+),\s*(\w+)\)")


@dataclass
class Problem:
    path: str
    line: int
    text: str
    warning: bool = False


class Repository:
    """The tracked files, read once each."""

    def __init__(self, root):
        self.root = root
        self._lines = {}

    @cached_property
    def paths(self):
        out = subprocess.run(["git", "ls-files", "-z"], cwd=self.root, capture_output=True, check=True).stdout.decode()
        return sorted(p for p in out.split("\0") if p and (self.root / p).is_file())

    def lines(self, path):
        """Numbered lines of a text file; none for a binary one."""
        if path not in self._lines:
            data = (self.root / path).read_bytes()
            text = "" if b"\0" in data else data.decode("utf-8", "replace")
            self._lines[path] = list(enumerate(text.splitlines(), 1))
        return self._lines[path]

    def below(self, *prefixes, ends=("",)):
        return [p for p in self.paths if p.startswith(prefixes) and p.endswith(tuple(ends))]

    def find(self, paths, pattern, what):
        for path in paths:
            for number, line in self.lines(path):
                if match := pattern.search(line):
                    yield Problem(path, number, f"{what}: {match.group(0).strip()!r}")


CPP = (".cpp", ".h", ".cu", ".cuh", ".inc")


def folder_of(path):
    return path.split("/")[1]


def check_layers(repo):
    """A folder of src/ includes only folders above it in DESIGN's list, by "folder/file.h"."""
    for path in repo.below("src/", ends=CPP):
        own = folder_of(path)
        if own not in FOLDERS:
            yield Problem(path, 1, f"folder src/{own} is not in the list of folders: {' '.join(FOLDERS)}")
            continue
        for number, line in repo.lines(path):
            match = INCLUDE.match(line)
            if not match or match[1] == "<":
                continue
            folder = match[2].split("/")[0]
            if folder not in FOLDERS or "/" not in match[2]:
                yield Problem(path, number, f'include "{match[2]}": write it as "folder/file.h" from src/')
            elif FOLDERS.index(folder) > FOLDERS.index(own):
                yield Problem(path, number, f'src/{own} includes "{match[2]}": {folder} stands above {own}')


def check_length(repo):
    """A file has at most 600 lines; more than 400 is a warning."""
    paths = repo.below("src/", "tests/", "bench/", ends=(".cpp", ".h", ".cu")) + repo.below("tools/", "tests/", "scripts/", "bench/", ends=(".py", ".sh"))
    for path in paths:
        count = len(repo.lines(path))
        if count > WARN_LINES:
            most = count > MOST_LINES
            yield Problem(path, count, f"{count} lines: split by subject ({WARN_LINES} is the aim, {MOST_LINES} the end)", not most)


def check_headers(repo):
    """A header of src/ begins with a comment that says what it is, and has #pragma once."""
    for path in repo.below("src/", ends=(".h", ".cuh")):
        lines = [line for _, line in repo.lines(path)]
        if not lines or not lines[0].startswith("//"):
            yield Problem(path, 1, "a header begins with a comment that says what is in it")
        if "#pragma once" not in lines:
            yield Problem(path, 1, "no #pragma once")


def check_isa(repo):
    """Only src/kernels/ has intrinsics, __global__ or conditions on an ISA or a device."""
    for path in repo.below("src/", ends=CPP):
        if folder_of(path) == "kernels":
            continue
        for number, line in repo.lines(path):
            include = INCLUDE.match(line)
            if include and INTRINSICS_HEADER.search(include[2]) and path not in INTRINSICS_ALLOWED:
                yield Problem(path, number, f"<{include[2]}> belongs in src/kernels/")
            if ISA_CONDITION.match(line) or "__global__" in line:
                yield Problem(path, number, "a condition on an ISA or a device belongs in src/kernels/")


def check_json(repo):
    """nlohmann/json is included through base/json.h, and that only in .cpp files, as it is heavy; json_fwd.h is for headers."""
    for path in repo.below("src/", ends=CPP):
        for number, line in repo.lines(path):
            include = INCLUDE.match(line)
            if not include or path in ("src/base/json.h", "src/base/json_fwd.h"):
                continue
            if include[2].startswith("nlohmann/"):
                yield Problem(path, number, 'include "base/json.h" instead')
            if include[2] == "base/json.h" and path.endswith(".h"):
                yield Problem(path, number, "base/json.h is for .cpp files only")


def check_cli11(repo):
    """CLI11 takes seconds to compile: the files of the verbs see cli/command.h instead."""
    for path in repo.below("src/", "tests/", ends=CPP):
        for number, line in repo.lines(path):
            include = INCLUDE.match(line)
            if include and include[2].startswith("CLI/") and path not in CLI11_ALLOWED:
                yield Problem(path, number, 'include "cli/command.h" instead')


def check_unfinished(repo):
    """No unfinished words in what we ship."""
    yield from repo.find(repo.below("src/", "bench/", "recipes/", "scripts/", "web/"), UNFINISHED, "unfinished")


def check_machine(repo):
    """No path of one machine, no host of a package registry, in any tracked file."""
    paths = [p for p in repo.paths if not p.startswith("tests/data/")]
    yield from repo.find(paths, MACHINE, "a path of one machine or a registry's host")


def check_quiet(repo):
    """Libraries never print and never install signal handlers; src/cli/ does."""
    paths = [p for p in repo.below("src/", ends=CPP) if folder_of(p) not in ("cli", "server")]
    yield from repo.find(paths, PRINTS, "a library does not print")
    yield from repo.find(paths, SIGNALS, "a library installs no signal handler")


def check_flags(repo):
    """No global -ffast-math, no -march=native: one binary for every x86-64 from AVX2 up."""
    paths = [p for p in repo.paths if p.endswith(("CMakeLists.txt", ".cmake", "CMakePresets.json", "Makefile"))]
    yield from repo.find(paths, FAST_MATH, "not in a released build")


def check_tests(repo):
    """Every test runs and can fail; nothing hides from a sanitizer; cases of *_slow_test.cpp are named Slow."""
    cpp = repo.below("tests/", ends=(".cpp", ".h"))
    scripts = [p for p in repo.below("tests/", "tools/", ends=(".py", ".sh")) if p != "tools/check_house.py"]
    yield from repo.find(cpp + scripts, IDLE_TEST, "a test that does not run or cannot fail")
    sources = repo.below("src/", "tests/", ends=CPP) + [p for p in repo.paths if p.endswith((".cmake", ".txt", ".json", ".sh"))]
    yield from repo.find(dict.fromkeys(p for p in sources if not p.startswith("tests/data/")), SUPPRESSION, "hidden from a sanitizer")
    for path in cpp:
        if not path.endswith("_slow_test.cpp"):
            continue
        for number, line in repo.lines(path):
            if (match := TEST_NAME.match(line)) and "Slow" not in match[1] + match[2]:
                yield Problem(path, number, f"{match[1]}.{match[2]}: a case in a _slow_test.cpp has Slow in its name")


def check_gate(repo):
    """The gate swallows no errors."""
    paths = [p for p in repo.paths if p == "Makefile" or p.startswith(".ci/")] + repo.below("scripts/", "tests/", "tools/", ends=(".sh",))
    yield from repo.find(paths, SWALLOWED, "an error is swallowed")


def check_ops(repo):
    """Every op, a header of src/ops/, has a row OP_ROW(name, ...) in the table of tests/ops/."""
    rows = set()
    for path in sorted((repo.root / "tests" / "ops").glob("*.[ch]*")):
        for line in path.read_text().splitlines():
            if match := re.match(r"\s*OP_ROW\((\w+)\s*,", line):
                rows.add(match[1])
    for header in sorted((repo.root / "src" / "ops").glob("*.h")):
        if header.stem not in rows | OPS_WITHOUT_ROW:
            yield Problem(f"src/ops/{header.name}", 1, f"no row OP_ROW({header.stem}, ...) in tests/ops/")


RULES = {name.removeprefix("check_"): rule for name, rule in list(globals().items()) if name.startswith("check_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(RULES), action="append", help="check this rule (may be given again)")
    parser.add_argument("--list", action="store_true", help="print the rules")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent, help="the repository")
    options = parser.parse_args()
    if options.list:
        for name, rule in RULES.items():
            print(f"{name:12} {rule.__doc__}")
        return 0
    repo = Repository(options.root)
    problems = [p for name in options.only or RULES for p in RULES[name](repo)]
    for p in problems:
        print(f"{p.path}:{p.line}: {'warning' if p.warning else 'error'}: {p.text}", file=sys.stderr)
    errors = sum(not p.warning for p in problems)
    if not options.only:
        print(f"house: {len(repo.paths)} files, {errors} errors, {len(problems) - errors} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())

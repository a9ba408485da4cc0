#!/usr/bin/env python3
"""check_house.py finds what it should: a small repository with each offence planted in turn, and none when it is clean."""

import subprocess
import sys
import tempfile
from pathlib import Path

CHECK = Path(__file__).with_name("check_house.py")

CLEAN = {
    "src/base/file.h": "// Files.\n#pragma once\n",
    "src/base/json.h": "// JSON.\n#pragma once\n#include <nlohmann/json.hpp>\n",
    "src/base/threads.cpp": "#include <immintrin.h>\n",
    "src/kernels/cpu/vec.h": "// Vectors.\n#pragma once\n#include <immintrin.h>\n#ifdef __AVX512F__\n#endif\n",
    "src/ops/linear.h": '// Linear.\n#pragma once\n#include "base/file.h"\n',
    "src/nn/mla.cpp": '#include "ops/linear.h"\n#include <vector>\n',
    "src/cli/main.cpp": '#include <CLI/CLI.hpp>\nint main() { std::printf("x"); }\n',
    "tests/ops/rows.cpp": "OP_ROW(linear, make);\n",
    "tests/nn/a_slow_test.cpp": "TEST(MlaSlow, Works) {}\n",
    "Makefile": "all:\n\t@true\n",
}

# (rule, file, text): what is added to the file, and the rule that must then name the file.
OFFENCES = [
    ("layers", "src/base/file.h", '#include "ops/linear.h"\n'),
    ("layers", "src/nn/mla.cpp", '#include "mla.h"\n'),
    ("layers", "src/extra/a.cpp", "int x;\n"),
    ("length", "src/nn/mla.cpp", "//\n" * 601),
    ("headers", "src/nn/mla.h", "#pragma once\n"),
    ("headers", "src/nn/mla.h", "// MLA.\n"),
    ("isa", "src/nn/mla.cpp", "#include <immintrin.h>\n"),
    ("isa", "src/nn/mla.cpp", "#if defined(__AVX2__)\n#endif\n"),
    ("json", "src/nn/mla.cpp", "#include <nlohmann/json.hpp>\n"),
    ("json", "src/nn/mla.h", '// MLA.\n#pragma once\n#include "base/json.h"\n'),
    ("cli11", "src/cli/verb_plan.cpp", "#include <CLI/CLI.hpp>\n"),
    ("cli11", "src/cli/command.h", "// Verbs.\n#pragma once\n#include <CLI/App.hpp>\n"),
    ("unfinished", "src/nn/mla.cpp", "// to" "do: later\n"),
    ("unfinished", "src/nn/mla.cpp", 'fail("not ' 'implemented");\n'),
    ("machine", "docs/x.md", "see /wo" "rk/main\n"),
    ("machine", "docs/x.md", "https://registry.npm" "js.org\n"),
    ("quiet", "src/nn/mla.cpp", 'std::printf("x");\n'),
    ("quiet", "src/nn/mla.cpp", "std::signal(SIGINT, f);\n"),
    ("flags", "CMakeLists.txt", "add_compile_options(-ffast-math)\n"),
    ("tests", "tests/nn/b_test.cpp", "TEST(A, DISAB" "LED_B) {}\n"),
    ("tests", "tests/nn/b_test.cpp", "EXPECT_EQ" "(a, a);\n"),
    ("tests", "tests/nn/a_slow_test.cpp", "TEST(Mla, Waits) {}\n"),
    ("tests", "src/nn/mla.cpp", "__attribute__((no_sanitize(1)))\n"),
    ("gate", "Makefile", "\t@false || true\n"),
    ("ops", "src/ops/rope.h", "// RoPE.\n#pragma once\n"),
]


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def check(root, *options):
    subprocess.run(["git", "-C", root, "add", "-A"], check=True)
    run = subprocess.run([sys.executable, CHECK, "--root", root, *options], capture_output=True, text=True)
    return run.returncode, run.stderr


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run(["git", "init", "-q", root], check=True)
        for path, text in CLEAN.items():
            write(root, path, text)
        status, said = check(root)
        if status != 0:
            failed += 1
            print(f"check_house_test: error: the clean repository fails:\n{said}", file=sys.stderr)
        for rule, path, text in OFFENCES:
            write(root, path, CLEAN.get(path, "") + text)
            status, said = check(root, "--only", rule)
            if status != 1 or f"{path}:" not in said or ": error: " not in said:
                failed += 1
                print(f"check_house_test: error: rule {rule} misses {text[:60]!r} in {path}", file=sys.stderr)
            write(root, path, CLEAN[path]) if path in CLEAN else (root / path).unlink()
    print(f"house test: {len(OFFENCES) + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

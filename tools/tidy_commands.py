#!/usr/bin/env python3
"""compile_commands.json for clang-tidy: one command a file (kernels are compiled once per ISA), without the launcher.

tools/tidy_commands.py build/compile_commands.json > OUT
"""

import json
import re
import sys


def main():
    commands = {}
    for entry in json.load(open(sys.argv[1])):
        # The last copy of a kernel is that of the widest ISA.
        command = entry["command"]
        command = re.sub(r"^.*?(\S*(?:c\+\+|g\+\+|clang\+\+)(?:-\d+)?) ", r"\1 ", command)
        entry["command"] = re.sub(r" -(?:fuse-ld|ffile-prefix-map)=\S+", "", command)
        commands[entry["file"]] = entry
    json.dump(list(commands.values()), sys.stdout, indent=1)


if __name__ == "__main__":
    main()

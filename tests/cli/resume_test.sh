#!/usr/bin/env bash
# Twenty-one SIGKILLs in one run, on one thread and two by turns: the final weights, moments and metrics equal those of an
# undisturbed run to the bit, and no half-written checkpoint is ever picked up (storm.sh says how it is killed).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/storm.sh"

make_tokens text:60000:3 heldout:4000:4
cat >recipe.toml <<E
[model]
preset = "tiny"
[data]
tokenizer = "tok"
train = ["text"]
heldout = "heldout"
sequence_length = 32
[train]
tokens = $((110 * 4 * 32))
rows = 4
micro_rows = 2
threads = 2
[validation]
every = 10
rows = 2
[checkpoint]
every = $every
keep = 2
E
calm_run
[ "$steps" = 110 ] || die "$steps steps, not 110"
storm 20261124
last_leg
compare_runs

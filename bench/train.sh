#!/usr/bin/env bash
# The training step and decoding as fractions of this machine's limits, and the memory of a step by its length. bench/train.sh [PROGRAM]
set -euo pipefail
hadal=${1:-build/hadal}
"$hadal" bench train
echo
"$hadal" bench decode
echo
"$hadal" bench memory-tokens

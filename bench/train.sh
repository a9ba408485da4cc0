#!/usr/bin/env bash
# The training step and decoding as fractions of this machine's limits. bench/train.sh [PROGRAM]
set -euo pipefail
hadal=${1:-build/hadal}
"$hadal" bench train
echo
"$hadal" bench decode

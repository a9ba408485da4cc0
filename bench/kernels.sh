#!/usr/bin/env bash
# Kernels as fractions of this machine's limits. bench/kernels.sh [PROGRAM]
set -euo pipefail
hadal=${1:-build/hadal}
for name in gemm grouped attention memory; do
  "$hadal" bench "$name"
  echo
done

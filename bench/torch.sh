#!/usr/bin/env bash
# The same training step in PyTorch and in hadal, and the ratio. bench/torch.sh [PROGRAM]
# PyTorch is that of the oracle (make oracle installs it into .venv-oracle).
set -euo pipefail
hadal=${1:-build/hadal}
python=.venv-oracle/bin/python
if [ ! -x "$python" ]; then
  echo "left out: no PyTorch here (make oracle installs it)"
  exit 0
fi
"$python" bench/torch_train.py --hadal "$hadal" --compile

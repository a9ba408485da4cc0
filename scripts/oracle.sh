#!/usr/bin/env bash
# Runs the living oracle (tools/oracle.py) in a virtual environment of its own, .venv-oracle, made from pinned packages.
# Without network it says SKIPPED, which is a failure when CI=true.  scripts/oracle.sh [SECONDS] [further options]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-110}
requirements=tools/oracle_requirements.txt
venv=.venv-oracle
scripts/setup.sh build oracle

skip() {
  echo "SKIPPED: $1"
  if [ "${CI:-}" = true ]; then
    echo "oracle: error: in CI the oracle must run" >&2
    exit 1
  fi
  exit 0
}

# The stamp is what the environment was made from: other pins make it anew.
if ! cmp -s "$requirements" "$venv/made-from.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  log=$venv/install.log
  echo "oracle: installing the packages of $requirements into $venv"
  if ! "$venv/bin/python" -m pip install --quiet --retries 2 --timeout 60 -r "$requirements" >"$log" 2>&1; then
    tail -n 5 "$log"
    if grep -qE 'NewConnectionError|ConnectTimeout|ReadTimeout|Name or service not known|name resolution|unreachable|ProxyError' "$log"; then
      skip "no network, and the packages of $requirements are not here"
    fi
    echo "oracle: error: the packages of $requirements cannot be installed" >&2
    exit 1
  fi
  cp "$requirements" "$venv/made-from.txt"
fi
"$venv/bin/python" tools/continue_check.py --hadal build/hadal
"$venv/bin/python" tools/oracle.py --hadal build/hadal --seconds "$seconds" "${@:2}"

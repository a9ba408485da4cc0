#!/usr/bin/env bash
# docs/own-text.md word for word: its sh blocks are run in their order, its toml block is the recipe. A line that ends in "# press Ctrl-C" is
# interrupted once a few steps are done.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
page=${HADAL_SOURCE_DIR:?folder of the sources}/docs/own-text.md
bad=0 number=0
check() { if eval "$2"; then echo "ok: $1"; else echo "NO: $1"; bad=1; fi; }
mkdir bin texts texts/notes
ln -s "$hadal" bin/hadal
PATH=$work/bin:$PATH

# Own text as people have it: one long file, small files in a folder, lines of JSON, packed.
hadal data generate --seed 3 --bytes 150000 --out text.jsonl >/dev/null
python3 - <<'PYTHON'
import gzip, json
documents = [json.loads(line)["text"] for line in open("text.jsonl")]
open("texts/book.txt", "w").write("\n\n".join(documents[:12]))
for i, text in enumerate(documents[12:18]):
    open(f"texts/notes/{i}.md", "w").write(text)
with gzip.open("texts/more.jsonl.gz", "wt") as f:
    f.writelines(json.dumps({"text": text}) + "\n" for text in documents[18:])
PYTHON

awk '/^```toml$/ { on = 1; next } /^```$/ { on = 0 } on' "$page" >recipe.toml
awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' "$page" >commands.sh
check "the page has commands and a recipe" '[ "$(wc -l <commands.sh)" -ge 12 ] && grep -q "^\[model\]" recipe.toml'

interrupted() {
  setsid bash -c "$1" >>out.txt 2>&1 &
  local shell=$! rc=0
  until [ -f first/metrics.jsonl ] && [ "$(wc -l <first/metrics.jsonl)" -ge 3 ]; do kill -0 "$shell" || break; sleep 0.05; done
  kill -INT -- "-$shell" || echo "it had ended before it was interrupted"
  wait "$shell" || rc=$?
  echo "exit $rc" >>out.txt
}
while IFS= read -r command; do
  : >out.txt
  if [[ $command == *"# press Ctrl-C" ]]; then
    interrupted "$command"
    check "$command" '[ -n "$(ls first/checkpoints)" ] && ! grep -q "hadal: error" out.txt'
    check "it was stopped before its end" '[ "$(wc -l <first/metrics.jsonl)" -lt 117 ]'
  else
    rc=0
    bash -euo pipefail -c "$command" >out.txt 2>&1 </dev/null || rc=$?
    check "$command" '[ "$rc" = 0 ]'
    [ "$rc" = 0 ] || tail -n 5 out.txt
  fi
  cp out.txt "out-$((++number)).txt"
done <commands.sh

check "the resumed run is whole: every step once" '[ "$(grep -o "\"step\":[0-9]*" first/metrics.jsonl | sort -u | wc -l)" = "$(wc -l <first/metrics.jsonl)" ] && [ "$(wc -l <first/metrics.jsonl)" = 118 ]'
check "the loss fell" 'python3 -c "
import json
loss = [json.loads(line)[\"lm_loss\"] for line in open(\"first/metrics.jsonl\")]
assert sum(loss[-5:]) < 0.8 * sum(loss[:5]), (loss[:5], loss[-5:])"'
check "interrupted and resumed equals not interrupted" 'hadal pretrain recipe.toml --run whole >/dev/null 2>&1 && cmp first/checkpoints/step-00000118/model.safetensors whole/checkpoints/step-00000118/model.safetensors'
check "the comparison names what differs" 'grep -q "lr.peak" out-*.txt'
check "reports are there" '[ -s first/report.html ] && [ "$(find . -name "*.html" | wc -l)" -ge 2 ]'
exit $bad

# What the tests of the program share, to be sourced: a folder of their own, which goes with the process `pid` when they
# end, and a small text.
hadal=${HADAL:?path of the program}
work=$(mktemp -d)
pid=
finish() {
  if [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; then echo "killed the run still going on"; fi
  unmount
  rm -rf "$work"
}
unmount() { :; } # for a test that mounts something in its folder
trap finish EXIT
cd "$work"

# small_text [TOKENS]: text.jsonl, its tokenizer tok of TOKENS (400) and its shards.
small_text() {
  "$hadal" data generate --seed 3 --bytes 60000 --out text.jsonl >/dev/null
  "$hadal" tokenizer train --vocab-size "${1:-400}" --out tok text.jsonl >/dev/null 2>&1
  "$hadal" data prepare --tokenizer tok --input text.jsonl --out shards >/dev/null 2>&1
}

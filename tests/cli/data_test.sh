#!/usr/bin/env bash
# data prepare and tokenizer train: whatever a user names, kills at any moment, full disks.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
die() { echo "NO: $*"; exit 1; }
# fails PATTERN COMMAND...: one line of error that has PATTERN in it.
fails() {
  local pattern=$1 rc=0
  shift
  "$@" >out.txt 2>err.txt || rc=$?
  sed -e '/^preparing/d' -e '/^training/d' -e '/^note/d' err.txt >only.txt
  [ "$rc" != 0 ] && [ "$rc" -lt 128 ] && [ "$(wc -l <only.txt)" = 1 ] && grep -qF -- "$pattern" only.txt || die "$*: exit $rc, not '$pattern': $(cat err.txt)"
}

"$hadal" data generate --seed 3 --bytes 60000 --out text.jsonl >out.txt
"$hadal" tokenizer train --vocab-size 400 --out tok text.jsonl >out.txt 2>err.txt
grep -q '^training: words .*100%' err.txt && grep -q '^training: merges .*100%' err.txt || die "no progress of training: $(cat err.txt)"
prepare() { "$hadal" data prepare --tokenizer tok "$@"; }

# Counts in words.
echo hello >one.txt
prepare one.txt --out one >out.txt 2>err.txt
grep -q '^one: 1 document, ' out.txt || die "singular: $(cat out.txt)"
"$hadal" data info one | grep -q '^tokens-00000.bin: 1 document, .* ids of 2 bytes' || die "info"
"$hadal" data info one --json | python3 -c 'import json, sys; d = json.load(sys.stdin); assert d["documents"] == 1 and len(d["shards"]) == 1, d'
prepare one.txt --out json --json 2>err.txt | python3 -c 'import json, sys; d = json.load(sys.stdin); assert d["training"]["text_bytes"] == 6 and "validation" not in d, d'

# Standard input, globs, a folder; all give what the file gives.
mkdir -p in/sub && cp text.jsonl in/sub/ && gzip -k in/sub/text.jsonl
prepare text.jsonl --out whole >out.txt 2>&1
prepare - --out s1 <text.jsonl >out.txt 2>err.txt
grep -q 'standard input: begins with {: read as JSON' err.txt || die "standard input: $(cat err.txt)"
gzip -c text.jsonl | prepare - --format jsonl --out s2 >out.txt 2>&1
prepare --input 'in/**/*.gz' --out s3 >out.txt 2>&1
rm in/sub/text.jsonl.gz && : >in/sub/x.png
prepare --input in --out s4 >out.txt 2>err.txt
grep -q 'note: in: left out: 1 .png' err.txt || die "what a folder leaves out: $(cat err.txt)"
prepare --input text.jsonl --out s5 --threads 3 >out.txt 2>&1
for s in s1 s2 s3 s4 s5; do cmp -s whole/tokens-00000.bin $s/tokens-00000.bin || die "$s differs from the file's shards"; done
echo '{"body": "hello"}' >key.jsonl
prepare key.jsonl --json-key body --out key >out.txt 2>&1
"$hadal" tokenizer train key.jsonl --text-key body --vocab-size 300 --out keytok 2>err.txt | grep -q '5 bytes of text in 1 document' || die "tokenizer train: --text-key"

# Damage is an error with its line, or counted.
fails "--format text" bash -c "echo '{no json' | '$hadal' data prepare - --tokenizer tok --out b0"
echo '{no json' | prepare - --format text --out b0 >out.txt 2>&1
printf '{"text":"a"}\n{"text":"b"\n{"text":"c"}\n' >bad.jsonl
fails "bad.jsonl:2: not valid JSON" prepare bad.jsonl --out b1
fails "bad.jsonl:2: not valid JSON" "$hadal" tokenizer train bad.jsonl --out b1 --vocab-size 300
[ ! -e b1 ] && [ ! -e b1.tmp ] || die "a failure left something"
prepare bad.jsonl --skip-bad --out b2 >out.txt 2>err.txt
grep -q 'note: 1 damaged document left out' err.txt && grep -q 'bad.jsonl:2' err.txt && grep -q '^b2: 2 documents' out.txt || die "--skip-bad: $(cat err.txt out.txt)"
fails "one: exists already: give a new folder, or --force" prepare one.txt --out one
fails "tok: exists already: give a new folder, or --force" "$hadal" tokenizer train one.txt --out tok --vocab-size 300
fails "one.txt: there is a file of this name" prepare one.txt --out one.txt
fails "tok: holds tokenizer" prepare one.txt --out tok --force

# Validation: a single long document, too.
for _ in $(seq 30); do cat text.jsonl; done >long.txt
prepare long.txt --validation-share 0.05 --out v1 >out.txt 2>&1
prepare long.txt --validation-share 0.05 --out v2 >out.txt 2>&1
cmp -s v1/tokens-00000.bin v2/tokens-00000.bin && cmp -s v1/validation/tokens-00000.bin v2/validation/tokens-00000.bin || die "two validation parts"
grep -q '^v2/validation: ' out.txt && "$hadal" data info v1/validation >out.txt || die "validation: $(cat out.txt)"
fails "--validation-share" prepare one.txt --validation-share 0.01 --out v3

# A kill at any write, sync or rename leaves nothing that looks whole, and the next preparation clears it.
cp -r whole replaced
for fault in write:1 write:2 write:3 write:4 fsync:1 fsync:2 rename:1; do
  rc=0
  { HADAL_FAULT=$fault prepare text.jsonl --validation-share 0.2 --out killed >out.txt 2>&1; } 2>killed.txt || rc=$?
  [ "$rc" = 137 ] || die "$fault: exit $rc"
  [ ! -e killed ] || die "$fault: the folder has its final name"
  fails "unfinished" "$hadal" data info killed.tmp
  if [ -e killed.tmp/validation ]; then fails "unfinished" "$hadal" data info killed.tmp/validation; fi
  rc=0
  { HADAL_FAULT=$fault prepare one.txt --out replaced --force >out.txt 2>&1; } 2>killed.txt || rc=$?
  if [ "$rc" = 137 ]; then cmp -s whole/tokens-00000.bin replaced/tokens-00000.bin || die "$fault: what was there before is gone"; fi
  rm -rf replaced && cp -r whole replaced
  rc=0
  { HADAL_FAULT=$fault "$hadal" tokenizer train --vocab-size 300 --out killedtok text.jsonl >out.txt 2>&1; } 2>killed.txt || rc=$?
  [ "$rc" != 137 ] || [ ! -e killedtok ] || die "$fault: the tokenizer has its final name"
  rm -rf killedtok
done
prepare text.jsonl --validation-share 0.2 --out killed >out.txt 2>&1
"$hadal" data info killed >out.txt && [ ! -e killed.tmp ] || die "what a kill left is in the way"

# A limit on file sizes is a full disk.
fails "cannot write" bash -c "ulimit -f 20 && '$hadal' data prepare --tokenizer tok long.txt --out full"
[ ! -e full ] && [ ! -e full.tmp ] || die "a full disk left something"

# Ctrl-C leaves nothing.
mkfifo pipe
"$hadal" data prepare --tokenizer tok pipe --out stopped >out.txt 2>err.txt &
pid=$!
exec 3>pipe
cat long.txt >&3
kill -INT $pid
cat long.txt >&3 || echo 'the reader has gone'
exec 3>&-
rc=0
wait $pid || rc=$?
[ "$rc" = 130 ] && grep -q 'stopped: nothing was written' err.txt && [ ! -e stopped ] && [ ! -e stopped.tmp ] || die "Ctrl-C: exit $rc: $(cat err.txt)"
echo "ok"


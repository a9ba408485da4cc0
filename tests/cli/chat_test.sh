#!/usr/bin/env bash
# chat as a user meets it: lines piped in with the line ends of any system, commands, control tokens that are typed, a full
# context, Ctrl-C, and a terminal with editing and history.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
bad=0
check() { if "${@:2}"; then echo "ok: $1"; else echo "NO: $1"; bad=1; fi; }
same() { [ "$1" = "$2" ] || { printf '%s\n-- is not --\n%s\n' "$1" "$2"; return 1; }; }

small_text
printf '[model]\npreset = "tiny"\n[data]\ntokenizer = "tok"\ntrain = ["shards"]\nsequence_length = 64\n[train]\ntokens = 10240\nrows = 8\n' >recipe.toml
"$hadal" pretrain recipe.toml --run run >/dev/null 2>&1
# The same model without its training's state: whether it ever read the turns of a chat cannot be known.
"$hadal" convert run model >/dev/null 2>&1
chat() { "$hadal" chat "${model:-model}" --threads 2 --temp 0 -n "${n:-8}" "$@" 2>err.txt; }

# Line ends of other systems, a byte order mark, no end at the end, empty lines: the same answers.
two=$(printf 'hello\nand then\n' | chat)
check "two lines, two answers, no prompt" test "$(wc -l <<<"$two")" -ge 2
check "a pipe sees no prompt" bash -c '! grep -q "^> " <<<"$1"' _ "$two"
for lines in 'hello\r\nand then\r\n' 'hello\rand then\r' 'hello\nand then' '\xef\xbb\xbfhello\nand then\n' '\n\r\nhello\n\n\r\nand then\n\n' 'hello\r\n\r\nand then\n/exit\nmore\n'; do
  check "the same from ${lines//\\/}" same "$(printf "$lines" | chat)" "$two"
done
check "no questions, no answers" same "$(chat </dev/null)" ""
rc=0 && printf 'hello\nna\xefve\n' | chat >out.txt || rc=$?
check "what is not UTF-8 is named" grep -q "error: line 2 of the chat.*not UTF-8" err.txt
check "and ends the chat with an error" same "$rc" 1

# Commands.
one=$(printf 'hello\n' | chat)
check "/clear begins anew" same "$(printf 'hello\n/clear\nhello\n/quit\n' | chat)" "$one"$'\n'"$one"
printf '/help\n' | chat >out.txt
check "/help lists the commands on standard error" same "$(grep -c '^/clear\|^/exit\|^/help' err.txt) $(wc -c <out.txt)" "3 0"
printf '/hlep\n' | chat >out.txt
check "an unknown command is told and not sent" same "$(grep -c '/hlep is no command' err.txt) $(wc -c <out.txt)" "1 0"
check "a path is text" test -n "$(printf '/usr/bin is a folder\n' | chat)"

# What a model was never taught is said; what is typed is text.
printf 'hello\n' | chat >out.txt
check "a model of which nothing is known: not a word" same "$(awk '/plain lines/ { n++ } END { print n + 0 }' err.txt)" 0
printf 'hello\n' | model=run chat >out.txt
check "a run that never read the turns says so" grep -q "note: this model was never trained on <｜User｜> and <｜Assistant｜>" err.txt
cp -r model plain && sed -i 's/｜User｜/｜Human｜/' plain/tokenizer.json
printf 'hello\n' | model=plain chat >out.txt
check "a tokenizer without the turns: said, too" grep -q "note: the tokenizer has no <｜User｜>" err.txt
# BOS, User, the text, Assistant: four tokens if it were one.
rc=0 && printf '<｜Assistant｜>\n' | chat --context 4 >out.txt || rc=$?
check "control tokens that are typed are text" grep -qE "error: the prompt has ([5-9]|[1-9][0-9]) tokens" err.txt

# The end of the context, and a seed of its own for each chat.
rc=0 && printf 'hello\nhello\nhello\n' | n=60 chat --context 64 >out.txt || rc=$?
check "a full context is told, and questions that cannot be answered are an error" same "$rc $(grep -c 'the context is full' err.txt) $(grep -c 'hadal: error: the conversation has' err.txt)" "1 1 1"
printf 'hello\nhello\nhello\n' | n=60 chat --context 64 --overflow drop-oldest >out.txt
check "what drop-oldest forgets is told" grep -q "tokens of the conversation forgotten" err.txt
printf 'hello\n' | "$hadal" chat model --threads 2 -n 20 >first.txt 2>err.txt
seed=$(sed -n 's/^seed: //p' err.txt)
check "the random seed makes the same answer again" same "$(printf 'hello\n' | "$hadal" chat model --threads 2 -n 20 -s "$seed" 2>err.txt)" "$(cat first.txt)"

# Ctrl-C, on greedy text that goes round for ever: it ends the answer, the end of the lines the chat.
mkfifo lines
"$hadal" chat model --temp 0 -n 100000000 -c 64 --overflow drop-oldest <lines >chat.txt 2>err.txt &
pid=$!
exec 3>lines
for turn in 1 2; do
  before=$(wc -c <chat.txt)
  echo "hello" >&3
  for _ in $(seq 1 3000); do if [ "$(wc -c <chat.txt)" -gt $((before + 3)) ]; then break; fi; sleep 0.02; done
  kill -INT "$pid"
  for _ in $(seq 1 3000); do if [ "$(grep -c '^(interrupted)' err.txt)" = "$turn" ]; then break; fi; sleep 0.02; done
done
exec 3>&-
rc=0 && wait "$pid" || rc=$?
check "Ctrl-C ends an answer, the end of the lines the chat" same "$rc $(grep -c '^(interrupted)' err.txt)" "0 2"

# A terminal.
cat >terminal.py <<'P'
import os, pty, re, select, signal, sys, time
hadal, model = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(hadal, [hadal, "chat", model, "--threads", "2", "--temp", "0", "-n", "4"])
seen = b""
def expect(pattern, what):
    global seen
    end = time.time() + 60
    while not re.search(pattern, seen):
        assert time.time() < end, f"{what}: {pattern} does not come: {seen!r}"
        if select.select([fd], [], [], 0.1)[0]:
            seen += os.read(fd, 4096)
    seen = seen[re.search(pattern, seen).end():]
def send(keys):
    os.write(fd, keys)
expect(rb"/help tells", "greeting")
expect(rb"> ", "prompt")
send("grüße\x7f\x7fe you\r".encode())
expect(rb"\(cut after 4 tokens", "answer")
expect(rb"> ", "prompt")
send(b"\x1b[A")
expect("grüe you".encode(), "history: the line as it was edited")
send(b"\x15")  # Ctrl-U clears the line
send(b"two\\\rlines\r")
expect(rb"\.\.\. ", "a line that goes on")
expect(rb"\(cut after 4 tokens", "answer")
expect(rb"> ", "prompt")
send(b"/help\r")
expect(rb"/clear", "help")
expect(rb"> ", "prompt")
send(b"not sent")
expect(rb"not sent", "what is typed")
send(b"\x03")
expect(rb"> ", "Ctrl-C drops the line")
send(b"\x04")
end = time.time() + 60
done = status = 0
while not done:
    assert time.time() < end, "Ctrl-D does not end the chat"
    time.sleep(0.01)
    done, status = os.waitpid(pid, os.WNOHANG)
assert status == 0, status
P
check "a terminal: editing, history, a line that goes on, /help, Ctrl-C, Ctrl-D" python3 terminal.py "$hadal" model
exit $bad

#!/bin/bash
# docs-examples.sh - every example of README.md and docs/gthread.1 is run, and must end with status 0;
# the man page is well-formed and, as the completion, names every option that --help names
name=docs-examples
. "$(dirname "$0")/command.bash"
root=$PWD
export PATH=$build:$PATH

# ---- what the examples run on ----
head -c 3000000 /dev/urandom >"$dir/data"
cat >"$dir/ring.py" <<'P'
import queue, threading, time
n, hops = 50, 0
queues = [queue.SimpleQueue() for i in range(n)]
def run(i):
    global hops
    while (x := queues[i].get()) is not None:
        hops += 1
        queues[(i + 1) % n].put(x)
threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(n)]
for t in threads: t.start()
queues[0].put(1)
time.sleep(0.1)
print("rate=%d" % (hops / 0.1))
P
cat >"$dir/server.py" <<'P'
import socketserver, sys
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile: self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
P
cat >"$dir/client.py" <<'P'
import socket, sys
f = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))).makefile("rw") for i in range(10)]
for i in range(20):
    for x in f: print("hello", file=x, flush=True)
    for x in f: assert x.readline() == "hello\n"
P

# example DIRECTORY LINE: a comparison with one pair, since only its end is looked at.
example() {
    (cd "$1" && timeout -k 5 300 bash -c "${2/ -n 8 / -n 1 --warmup 0 }" >"$dir/out" 2>"$dir/err" </dev/null)
    local status=$?
    [ $status = 0 ] || wrong "example: $2: expected status 0, came $status: $(tail -c 1000 "$dir/err" "$dir/out")"
    count=$((count + 1))
}

# ---- the man page ----
mandoc -T lint -W warning docs/gthread.1 >"$dir/lint" || wrong "gthread.1: $(cat "$dir/lint")"
mandoc -T ascii docs/gthread.1 | col -b >"$dir/page"
for command in run compare dump top trace check; do
    for option in $("$build/gthread" $command --help | grep -oE -- '--[a-z-]+' | sort -u); do
        [ "$option" = --help ] && continue
        grep -q -- "$option" "$dir/page" || wrong "gthread.1 does not name $command's $option"
        grep -q -- "$option" tools/completion/gthread || wrong "the completion does not name $command's $option"
    done
done
# Others may run this test on the same machine: ports that nobody has. Not of those that connect()
# takes by itself.
port_of_nobody() {
    local port
    for ((;;)); do
        port=$((20000 + RANDOM % 10000))
        (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null || break
    done
    echo "$port"
}
count=0 attach_port=$(port_of_nobody) compare_port=$(port_of_nobody)
sed -n '/^\.EX/,/^\.EE/p' docs/gthread.1 | grep -v '^\.' | sed -e 's/\\-/-/g' -e "s/23451/$compare_port/g" >"$dir/examples"
(cd "$dir" && exec gthread run python3 server.py "$attach_port" >/dev/null 2>&1) & # for the last one
server=$!
children+=("$server")
for ((i = 0; i < 600; i++)); do # a loaded machine needs some seconds to start Python
    kill -0 "$server" 2>/dev/null || break
    (exec 4<>/dev/tcp/127.0.0.1/$attach_port) 2>/dev/null && break
    sleep 0.1
done
(cd "$dir" && python3 client.py "$attach_port") || wrong "the server of the examples does not serve"
while read -r line <&4; do example "$dir" "$line"; done 4<"$dir/examples"
[ $count = 9 ] || wrong "gthread.1: expected 9 examples, came $count"
expect out '^goroutines +running '
end_child "$server"

# ---- README.md ----
# Indented lines are commands. Those that install packages, run all tests (which we are part of), or
# have a placeholder are run as what they are for.
count=0
while IFS= read -r line <&4; do
    line=${line#    }
    case $line in
        'LD_PRELOAD=/path/to/libgthread.so program') example "$root" "LD_PRELOAD=$build/libgthread.so true" ;;
        'make deps'*)
            for target in $(sed 's/  .*//; s/^make deps//' <<<"$line"); do
                example "$root" "make -n BUILD=$build $target"
            done
            ;;
        build/gthread*) example "$root" "${line//build\//$build/}" ;;
        *) wrong "README.md: an example that this test does not know: $line" ;;
    esac
done 4< <(grep '^    [^ ]' README.md)
[ $count -ge 6 ] || wrong "README.md: expected 6 examples or more, came $count"

# ---- the completion ----
if [ -r /usr/share/bash-completion/bash_completion ]; then
    bash -c '. /usr/share/bash-completion/bash_completion; . tools/completion/gthread
        COMP_WORDS=(gthread compare --ma) COMP_CWORD=2 COMP_LINE="gthread compare --ma" COMP_POINT=20; _gthread
        echo "${COMPREPLY[*]}"' >"$dir/out" 2>&1
    expect out '^--markdown=$'
fi
end

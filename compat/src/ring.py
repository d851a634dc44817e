"""ring.py THREADS SECONDS - tokens go round a ring of threads by queues; verifies that none is lost"""
import queue
import sys
import threading
import time

n, seconds = int(sys.argv[1]), float(sys.argv[2])
queues = [queue.SimpleQueue() for _ in range(n)]
hops = [0] * n


def pass_on(i):
    following = queues[(i + 1) % n]
    while (token := queues[i].get()) is not None:
        hops[i] += 1
        following.put(token)


threads = [threading.Thread(target=pass_on, args=(i,)) for i in range(n)]
for t in threads:
    t.start()
begin = time.monotonic()
for k in range(4):
    queues[k * n // 4].put(f"token {k}")
time.sleep(seconds)
total, elapsed = sum(hops), time.monotonic() - begin
for q in queues:  # each ends at its None; a token may still be in front of it
    q.put(None)
for t in threads:
    t.join()
left = []
for q in queues:
    while not q.empty():
        left.append(q.get())
tokens = sorted(x for x in left if x is not None)
# A token that was put behind a None stays in its queue; one in front went on.
good = tokens == [f"token {k}" for k in range(4)]
print("ok" if good else f"lost: {tokens}", f"rate={total / elapsed:.0f}")

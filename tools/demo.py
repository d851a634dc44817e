"""demo.py - 2000 threads in a ring, each waiting on its own queue; prints hops per second"""
import os
import queue
import threading
import time

N, SECONDS = 2000, 2.0
queues = [queue.SimpleQueue() for _ in range(N)]
hops = [0] * N


def station(i):
    while True:
        token = queues[i].get()
        hops[i] += 1
        queues[(i + 1) % N].put(token)
        if token is None:
            return


threads = [threading.Thread(target=station, args=(i,), daemon=True) for i in range(N)]
start = time.monotonic()
for t in threads:
    t.start()
made = time.monotonic() - start
kernel_threads = len(os.listdir("/proc/self/task"))
start = time.monotonic()
queues[0].put(1)
time.sleep(SECONDS)
elapsed = time.monotonic() - start
total = sum(hops)
queues[0].put(None)
for t in threads:
    t.join()
assert total > N and hops[0] >= hops[-1], "the token got lost"
print(f"hops_per_s={total / elapsed:.0f} create_all_ms={made * 1000:.0f} kernel_threads={kernel_threads}")

// cgo.go SECONDS - Go's runtime beside C threads: calls into C that wait for a thread of C's, and back
package main

/*
#cgo LDFLAGS: -pthread
#include <pthread.h>
static void *twice(void *p) { *(long *)p *= 2; return p; }
static long in_thread(long x) {
    pthread_t t;
    if (pthread_create(&t, 0, twice, &x) || pthread_join(t, 0)) return -1;
    return x;
}
*/
import "C"

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	seconds, _ := strconv.ParseFloat(os.Args[1], 64)
	var calls, wrong atomic.Int64
	var group sync.WaitGroup
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for i := 0; i < 64; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			for k := i; time.Now().Before(end); k++ {
				if int(C.in_thread(C.long(k))) != 2*k {
					wrong.Add(1)
				}
				calls.Add(1)
			}
		}(i)
	}
	group.Wait()
	if wrong.Load() != 0 || calls.Load() == 0 {
		fmt.Println("wrong", wrong.Load())
		os.Exit(1)
	}
	fmt.Printf("ok rate=%.0f\n", float64(calls.Load())/seconds)
}

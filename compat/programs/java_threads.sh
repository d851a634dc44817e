#!/bin/bash
# java_threads - a JVM: 2000 threads that echo through queues, with garbage collection meanwhile
# packages: openjdk-17-jdk-headless
# build: javac -d bin src/Echo.java
. "${0%/*}/../lib.sh"
under_test /usr/lib/jvm/java-17-openjdk-amd64/bin/java -Xmx512m -cp "$BIN" Echo 2000 "$SECONDS_LOAD" >out 2>err
want status 0 $?
want 'its own checks' ok "$(head -c 2 out)"
figure "$(number 'rate=([0-9.]+)' out)" echos/s
finish

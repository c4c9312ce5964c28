#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A program that Java starts (ProcessBuilder) has SIGQUIT blocked.
#
# Guess: it is started with an empty mask; the virtual machine has its signal for thread dumps handled on a thread of its own, which is
# nothing that a child gets.
# Seen with OpenJDK 17.0.15: SigBlk of the program is 4, by each of the three launch mechanisms, and a sleep outlives SIGQUIT. All
# threads of the virtual machine but one block it, and what starts the program neither clears nor restores the mask. So a
# supervisor in Java, or one whose start script has gone through Java, gets no core and no quick end by SIGQUIT of what it
# starts, down to the last grandchild.
#
# Needs bash and a JDK (openjdk-17-jdk-headless of Debian 12). Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cat >"$place/Try.java" <<'JAVA'
import java.util.concurrent.TimeUnit;

public final class Try {
    public static void main(String[] args) throws Exception {
        new ProcessBuilder("sed", "-n", "s/^SigBlk:.//p", "/proc/self/status").inheritIO().start().waitFor();
        Process sleeps = new ProcessBuilder("sleep", "1000").start();
        try {
            new ProcessBuilder("kill", "-QUIT", Long.toString(sleeps.pid())).start().waitFor();
            System.out.println(sleeps.waitFor(1, TimeUnit.SECONDS) ? "ended by SIGQUIT" : "outlives SIGQUIT");
        } finally {
            sleeps.destroy();
        }
    }
}
JAVA
javac -d "$place" "$place/Try.java"
java -version 2>&1 | head -n 1
for mechanism in POSIX_SPAWN VFORK FORK; do
    said=$(java -Djdk.lang.Process.launchMechanism=$mechanism -cp "$place" Try | tr '\n' ' ')
    echo "$mechanism: $said"
    [[ $said == "0000000000000004 outlives SIGQUIT " ]]
done

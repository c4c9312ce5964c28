// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"example.org/agent/proxyprocess"
)

// Programs that Go starts end as Go expects it, whatever the library waits for meanwhile.
func TestPackageExecBesideTheLibrary(t *testing.T) {
	state := newState(t)
	crashing := shell("exit 3")
	crashing.Restart.BackoffMin = 1 << 20
	check(t, state.Set("crashing", crashing))
	check(t, state.Set("sleeper", sleeper()))
	manager := newManager(t, quick(state, ""))
	events := read(t, manager)
	run(t, manager)
	pid := events.until(proxyprocess.EventStarted, "sleeper").PID

	var running sync.WaitGroup
	for i := 0; i < 4; i++ {
		running.Add(1)
		go func() {
			defer running.Done()
			for i := 0; i < 25; i++ {
				output, err := exec.Command("sh", "-c", "echo text; exit 5").Output()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 5 || string(output) != "text\n" {
					t.Errorf("got %q, %v", output, err)
				}
			}
		}()
	}
	for i := 0; i < 25; i++ {
		if exit := events.until(proxyprocess.EventExited, "crashing").Exit; exit.String() != "exit status 3" {
			t.Errorf("got %v", exit)
		}
	}
	running.Wait()
	if !alive(pid) {
		t.Error("the one that was not stopped is gone")
	}
}

// TestProcessStartsClean is run once more in a program that was started with a lower limit of descriptors, which Go's
// runtime raises for itself.
func TestProcessStartsClean(t *testing.T) {
	const inside = "PROXYPROCESS_TEST_LIMIT"
	if os.Getenv(inside) == "" {
		again := exec.Command("sh", "-c", `ulimit -Sn 300; trap "" USR2; exec "$@"`,
			"sh", os.Args[0], "-test.run=^TestProcessStartsClean$")
		again.Env = append(os.Environ(), inside+"=1")
		if output, err := again.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		return
	}
	var limit syscall.Rlimit
	check(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	t.Logf("own limit %+v", limit)
	leaked, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0) // not close-on-exec
	check(t, err)
	defer syscall.Close(leaked)

	out := filepath.Join(t.TempDir(), "out")
	config := shell(`ulimit -Sn; grep -E "Sig(Blk|Ign)" /proc/self/status; ls /proc/self/fd`)
	config.Restart.BackoffMin = -1
	daemon := newDaemon(t, "web", config, proxyprocess.DaemonOptions{StdoutPath: out})
	events := read(t, daemon)
	check(t, daemon.Start())
	events.until(proxyprocess.EventExited, "web")
	text, err := os.ReadFile(out)
	check(t, err)
	// 3 is the folder that ls lists.
	const none = "0000000000000000"
	expected := "300\nSigBlk:\t" + none + "\nSigIgn:\t" + none + "\n0\n1\n2\n3\n"
	if got := string(text); got != expected || strings.Count(got, none) != 2 {
		t.Errorf("expected %q, got %q", expected, got)
	}
}

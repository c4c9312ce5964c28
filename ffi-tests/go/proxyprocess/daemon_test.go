// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/agent/proxyprocess"
)

func status(t *testing.T, daemon *proxyprocess.Daemon) proxyprocess.Status {
	t.Helper()
	status, err := daemon.Status()
	check(t, err)
	return status
}

func TestDaemonLife(t *testing.T) {
	pidPath := filepath.Join(t.TempDir(), "pid")
	daemon := newDaemon(t, "web", sleeper(), proxyprocess.DaemonOptions{PidPath: pidPath})
	if got := status(t, daemon); got.State != proxyprocess.StateIdle || got.PID != 0 || got.NextStart >= 0 {
		t.Errorf("got %+v", got)
	}
	check(t, daemon.Stop())
	events := read(t, daemon)
	for life := 0; life < 3; life++ {
		check(t, daemon.Start())
		check(t, daemon.Start())
		pid := events.until(proxyprocess.EventStarted, "web").PID
		got := status(t, daemon)
		if got.ID != "web" || got.Mode != proxyprocess.ModeDaemon || got.State.String() != "running" || got.PID != pid {
			t.Errorf("got %+v", got)
		}
		if text, err := os.ReadFile(pidPath); err != nil || string(text) != fmt.Sprintf("%d\n", pid) {
			t.Errorf("got %q, %v", text, err)
		}

		check(t, syscall.Kill(pid, syscall.SIGKILL))
		exited := events.until(proxyprocess.EventExited, "web")
		if exited.PID != pid || exited.Exit.String() != "signal: killed" || time.Since(exited.Time) > patience {
			t.Errorf("got %+v", exited)
		}
		next := events.until(proxyprocess.EventStarted, "web").PID
		check(t, daemon.Stop())
		check(t, daemon.Stop())
		if alive(pid) || alive(next) {
			t.Error("it lives")
		}
		events.until(proxyprocess.EventStopped, "web")
		if got := status(t, daemon); got.State.String() != "stopped" || got.LastExit.Value != int(syscall.SIGTERM) || !got.LastExitExpected {
			t.Errorf("got %+v", got)
		}
	}
	check(t, daemon.Close())
	expect(t, daemon.Start(), proxyprocess.ErrClosed)
}

func TestDaemonThatIsDetachedIsNoChild(t *testing.T) {
	config := sleeper()
	config.Detached = true
	daemon := newDaemon(t, "web", config, proxyprocess.DaemonOptions{})
	events := read(t, daemon)
	check(t, daemon.Start())
	for life := 0; life < 2; life++ {
		pid := events.until(proxyprocess.EventStarted, "web").PID
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		check(t, err)
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if fields[0] == "Z" || fields[1] == fmt.Sprint(os.Getpid()) {
			t.Errorf("got %q", text)
		}
		if life == 0 {
			check(t, syscall.Kill(pid, syscall.SIGKILL))
			events.until(proxyprocess.EventExited, "web")
		}
	}
	check(t, daemon.Stop())
}

func TestDaemonThatEndsByItself(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	config := shell(`echo "$CONNECT_PROXY_ID $CONNECT_PROXY_TOKEN $A"; echo; echo "why" >&2; exit 7`)
	config.Token, config.Env = "secret", []string{"A=b"}
	config.Restart = proxyprocess.RestartPolicy{BackoffMin: -1}
	daemon := newDaemon(t, "web", config, proxyprocess.DaemonOptions{StdoutPath: out, StderrPath: out + ".err"})
	events := read(t, daemon)
	check(t, daemon.Start())
	expected := proxyprocess.Exit{Kind: proxyprocess.ExitCode, Value: 7}
	if exit := events.until(proxyprocess.EventExited, "web").Exit; exit != expected {
		t.Errorf("got %v", exit)
	}
	if wait := events.until(proxyprocess.EventWaiting, "web").Wait; wait <= 0 {
		t.Errorf("got %v", wait)
	}
	got := status(t, daemon)
	if got.State != proxyprocess.StateWaiting || got.NextStart < 0 || got.LastExit.String() != "exit status 7" {
		t.Errorf("got %+v", got)
	}
	for len(got.LastStderr) == 0 {
		got = status(t, daemon)
	}
	if got.LastStderr[0] != "why" || got.LastExitBy.String() != "itself" || got.LastExitExpected || got.StdoutLog != out || got.Uptime >= 0 {
		t.Errorf("got %+v", got)
	}
	if text, err := os.ReadFile(out); err != nil || string(text) != "web secret b\n\n" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestDaemonThatCannotStart(t *testing.T) {
	config := proxyprocess.ProxyConfig{Command: []string{"/missing/program"}}
	missing := newDaemon(t, "web", config, proxyprocess.DaemonOptions{})
	events := read(t, missing)
	check(t, missing.Start())
	if event := events.until(proxyprocess.EventStartFailed, "web"); !strings.Contains(event.Text, "/missing/program") {
		t.Errorf("got %+v", event)
	}
	if got := status(t, missing); !strings.Contains(got.LastError, "/missing/program") {
		t.Errorf("got %+v", got)
	}
	_, err := proxyprocess.NewDaemonJSON("web", []byte(`{"comand": []}`), proxyprocess.DaemonOptions{})
	expect(t, err, proxyprocess.ErrInvalidConfig)
	expect(t, newDaemon(t, "", sleeper(), proxyprocess.DaemonOptions{}).Start(), proxyprocess.ErrInvalidID)
}

func TestDaemonEqual(t *testing.T) {
	with := func(id string, change func(*proxyprocess.ProxyConfig)) *proxyprocess.Daemon {
		config := sleeper()
		change(&config)
		return newDaemon(t, id, config, proxyprocess.DaemonOptions{})
	}
	same := func(*proxyprocess.ProxyConfig) {}
	daemon := with("web", same)
	for _, other := range []struct {
		name  string
		proxy proxyprocess.Proxy
		equal bool
	}{
		{"itself", daemon, true},
		{"same", with("web", same), true},
		{"grace period", with("web", func(config *proxyprocess.ProxyConfig) { config.GracePeriod = 1 }), true},
		{"leftover grace", with("web", func(config *proxyprocess.ProxyConfig) { config.LeftoverGrace = 1 }), true},
		{"detached", with("web", func(config *proxyprocess.ProxyConfig) { config.Detached = true }), false},
		{"id", with("db", same), false},
		{"command", with("web", func(config *proxyprocess.ProxyConfig) { config.Command = []string{"x"} }), false},
		{"kind", &proxyprocess.Noop{}, false},
		{"nothing", nil, false},
		{"no daemon", (*proxyprocess.Daemon)(nil), false},
	} {
		if daemon.Equal(other.proxy) != other.equal {
			t.Errorf("%s: expected %v", other.name, other.equal)
		}
	}
}

func TestDaemonSnapshotHandsAProcessOver(t *testing.T) {
	first := newDaemon(t, "web", sleeper(), proxyprocess.DaemonOptions{})
	check(t, first.Start())
	pid := status(t, first).PID
	snapshot := first.MarshalSnapshot()
	encoded, err := json.Marshal(snapshot)
	check(t, err)
	t.Logf("%s", encoded)
	check(t, first.Close())
	if !alive(pid) || first.MarshalSnapshot() != nil {
		t.Error("closing stops nothing, and leaves nothing")
	}

	second := newDaemon(t, "other", shell("exit 1"), proxyprocess.DaemonOptions{})
	expect(t, second.UnmarshalSnapshot(map[string]interface{}{"comand": 1}), proxyprocess.ErrInvalidConfig)
	expect(t, second.UnmarshalSnapshot(map[string]interface{}{"id": make(chan int)}), proxyprocess.ErrInvalidConfig)
	check(t, second.UnmarshalSnapshot(snapshot))
	got := status(t, second)
	if got.ID != "web" || got.PID != pid || !got.Adopted || got.State != proxyprocess.StateRunning {
		t.Errorf("got %+v", got)
	}
	again, err := json.Marshal(second.MarshalSnapshot())
	check(t, err)
	sameJSON(t, again, string(encoded))
	check(t, second.Stop())
	if alive(pid) {
		t.Error("it lives")
	}
}

// What Daemon.MarshalSnapshot of Consul 1.4 returned.
func TestDaemonSnapshotOfConsulHandsAProcessOver(t *testing.T) {
	command := exec.Command("sleep", "1000")
	command.Env = append(os.Environ(), "ADDR=old", "CONNECT_PROXY_ID=web", "CONNECT_PROXY_TOKEN=secret")
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	check(t, command.Start())
	pid := command.Process.Pid
	// It is reaped by the first wait for it.
	go command.Wait()

	daemon := newDaemon(t, "other", shell("exit 1"), proxyprocess.DaemonOptions{})
	check(t, daemon.UnmarshalSnapshot(map[string]interface{}{
		"Pid":         pid,
		"CommandPath": command.Path,
		"CommandArgs": command.Args,
		"CommandDir":  "",
		"CommandEnv":  append([]string{"ADDR=old"}, os.Environ()...),
		"ProxyToken":  "secret",
		"ProxyID":     "web",
	}))
	if got := status(t, daemon); got.ID != "web" || !got.Adopted || got.PID != pid {
		t.Errorf("got %+v", got)
	}
	for addr, expected := range map[string]bool{"ADDR=old": true, "ADDR=new": false} {
		config := proxyprocess.ProxyConfig{Command: command.Args, Token: "secret", Env: []string{addr}}
		if daemon.Equal(newDaemon(t, "web", config, proxyprocess.DaemonOptions{})) != expected {
			t.Errorf("%s: expected %v", addr, expected)
		}
	}
	check(t, daemon.Stop())
	if alive(pid) {
		t.Error("it lives")
	}
}

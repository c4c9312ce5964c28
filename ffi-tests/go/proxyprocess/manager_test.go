// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.org/agent/proxyprocess"
)

func TestManagerFollowsItsState(t *testing.T) {
	state := newState(t)
	manager := newManager(t, quick(state, ""))
	if manager.SnapshotPath() != "" {
		t.Errorf("got %q", manager.SnapshotPath())
	}
	check(t, manager.Restore(manager.SnapshotPath()))
	events := read(t, manager)
	run(t, manager)
	check(t, state.Set("a", sleeper()))
	first := events.until(proxyprocess.EventStarted, "a").PID
	changed := sleeper()
	changed.Env = []string{"A=b"}
	check(t, state.Set("a", changed))
	second := events.until(proxyprocess.EventStarted, "a").PID
	if alive(first) || !alive(second) {
		t.Error("it is not replaced")
	}
	all, err := manager.Status()
	check(t, err)
	if len(all) != 1 || all[0].ID != "a" || all[0].PID != second || all[0].LastError != "" {
		t.Errorf("got %+v", all)
	}
	one, err := manager.StatusOf("a")
	check(t, err)
	if one.ID != "a" || one.PID != second {
		t.Errorf("got %+v", one)
	}
	_, err = manager.StatusOf("undeclared")
	expect(t, err, proxyprocess.ErrNotFound)
	text, err := manager.StatusJSON()
	check(t, err)
	var decoded map[string]struct{ PID int }
	check(t, json.Unmarshal(text, &decoded))
	if decoded["a"].PID != second {
		t.Errorf("got %s", text)
	}
	metrics, err := manager.Metrics()
	check(t, err)
	if !strings.Contains(metrics, "\nproxyprocess_starts_total 2\n") {
		t.Errorf("got %s", metrics)
	}
	_, err = state.Remove("a")
	check(t, err)
	events.until(proxyprocess.EventStopped, "a")
	if alive(second) {
		t.Error("it lives")
	}
}

func TestManagerHandsProcessesOver(t *testing.T) {
	dataDir := filepath.Join(t.TempDir(), "data")
	state := newState(t)
	check(t, state.Set("kept", sleeper()))
	check(t, state.Set("dropped", sleeper()))
	first := newManager(t, quick(state, dataDir))
	events := read(t, first)
	run(t, first)
	pids := events.started("dropped", "kept")
	dropped, kept := pids["dropped"], pids["kept"]
	_, err := proxyprocess.NewManager(quick(state, dataDir))
	expect(t, err, proxyprocess.ErrLocked)
	check(t, first.Close())
	check(t, first.Close())
	check(t, first.Kill())
	if !alive(kept) || !alive(dropped) {
		t.Fatal("closing stops nothing")
	}
	token, err := state.Get("kept")
	check(t, err)

	// Another agent, which does not know the token.
	state = newState(t)
	check(t, state.Set("kept", sleeper()))
	second := newManager(t, quick(state, dataDir))
	events = read(t, second)
	check(t, second.Restore(second.SnapshotPath()))
	if pid := events.until(proxyprocess.EventAdopted, "kept").PID; pid != kept {
		t.Errorf("adopted %d, not %d", pid, kept)
	}
	run(t, second)
	events.until(proxyprocess.EventStopped, "dropped")
	if !alive(kept) || alive(dropped) {
		t.Error("what is not wanted is stopped, and only that")
	}
	expect(t, second.Restore(second.SnapshotPath()), proxyprocess.ErrInvalidConfig)
	if again, err := state.Get("kept"); err != nil || string(again) != string(token) {
		t.Errorf("%s, not %s", again, token)
	}
	all, err := second.Status()
	check(t, err)
	// The one that was stopped may still be told.
	if last := all[len(all)-1]; last.ID != "kept" || !last.Adopted || last.PID != kept {
		t.Errorf("got %+v", all)
	}
	check(t, second.Kill())
	if alive(kept) {
		t.Error("it lives")
	}
}

func TestManagerSnapshotForAnotherDirectory(t *testing.T) {
	state := newState(t)
	check(t, state.Set("web", sleeper()))
	first := newManager(t, quick(state, ""))
	events := read(t, first)
	run(t, first)
	pid := events.until(proxyprocess.EventStarted, "web").PID
	path := filepath.Join(t.TempDir(), "snapshot")
	check(t, first.Snapshot(path))
	check(t, first.Close())

	second := newManager(t, quick(state, filepath.Join(t.TempDir(), "data")))
	check(t, second.Restore(path))
	all, err := second.Status()
	check(t, err)
	if len(all) != 1 || all[0].PID != pid {
		t.Errorf("got %+v", all)
	}
}

func TestManagerWithACorruptSnapshot(t *testing.T) {
	dataDir := filepath.Join(t.TempDir(), "data")
	manager := newManager(t, quick(newState(t), dataDir))
	events := read(t, manager)
	check(t, os.WriteFile(manager.SnapshotPath(), []byte("{"), 0o600))
	expect(t, manager.Restore(""), proxyprocess.ErrCorruptSnapshot)
	events.until(proxyprocess.EventSnapshotFailed, "")
	if aside := glob(manager.SnapshotPath() + ".corrupt-*"); len(aside) != 1 {
		t.Errorf("got %v", aside)
	}
}

func TestManagerReconfigure(t *testing.T) {
	state := newState(t)
	check(t, state.Set("web", sleeper()))
	options := quick(state, "")
	manager := newManager(t, options)
	events := read(t, manager)
	run(t, manager)
	events.until(proxyprocess.EventStarted, "web")

	options.ProxyEnv = []string{"A=b"}
	check(t, manager.Reconfigure(options))
	events.until(proxyprocess.EventExited, "web")
	events.until(proxyprocess.EventStarted, "web")
	for _, wrong := range []func(*proxyprocess.ManagerOptions){
		func(options *proxyprocess.ManagerOptions) { options.DataDir = t.TempDir() },
		func(options *proxyprocess.ManagerOptions) { options.ProxyEnv = []string{"A"} },
		func(options *proxyprocess.ManagerOptions) { options.EventCapacity = 5 },
		func(options *proxyprocess.ManagerOptions) { options.MaxHandovers = -1 },
	} {
		other := options
		wrong(&other)
		expect(t, manager.Reconfigure(other), proxyprocess.ErrInvalidConfig)
	}
	other := options
	other.EventCapacity = -1
	expect(t, manager.Reconfigure(other), proxyprocess.ErrInvalidArgument)
	check(t, manager.Kill())
	expect(t, manager.Reconfigure(options), proxyprocess.ErrClosed)
}

func TestManagerHasLogsAloneInADirectory(t *testing.T) {
	state := newState(t)
	check(t, state.Set("web", sleeper()))
	options := quick(state, "")
	options.LogDir = filepath.Join(t.TempDir(), "logs")
	manager := newManager(t, options)
	events := read(t, manager)
	run(t, manager)
	events.until(proxyprocess.EventStarted, "web")
	status, err := manager.Status()
	check(t, err)
	if want := filepath.Join(options.LogDir, "web-stdout.log"); len(status) != 1 || status[0].StdoutLog != want {
		t.Errorf("got %+v, expected the log %s", status, want)
	}
}

func TestOutputGoesToAnOpenFileThatIsClosed(t *testing.T) {
	reader, writer, err := os.Pipe()
	check(t, err)
	defer reader.Close()
	state := newState(t)
	config := shell("echo text >&2; exec sleep 300")
	config.Output = &proxyprocess.Output{Stdout: proxyprocess.OutputNull, StderrFile: writer}
	check(t, state.Set("web", config))
	config.Output = &proxyprocess.Output{StdoutFile: reader}
	expect(t, state.Set("other", config), proxyprocess.ErrInvalidConfig)
	writer.Close()
	config.Output = &proxyprocess.Output{StdoutFile: writer}
	expect(t, state.Set("other", config), proxyprocess.ErrInvalidConfig)
	run(t, newManager(t, quick(state, "")))
	line, err := bufio.NewReader(reader).ReadString('\n')
	check(t, err)
	if line != "text\n" {
		t.Errorf("got %q", line)
	}
}

func TestManagerRefusesRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be refused")
	}
	state := newState(t)
	check(t, state.Set("web", sleeper()))
	options := quick(state, "")
	options.AllowRoot = false
	manager := newManager(t, options)
	events := read(t, manager)
	run(t, manager)
	if event := events.until(proxyprocess.EventFailed, "web"); !strings.Contains(event.Text, "root") {
		t.Errorf("got %+v", event)
	}
	options.AllowRoot = true
	check(t, manager.Reconfigure(options))
	events.until(proxyprocess.EventStarted, "web")
}

func TestManagerAfterTheEnd(t *testing.T) {
	state := newState(t)
	manager := newManager(t, quick(state, filepath.Join(t.TempDir(), "data")))
	path := manager.SnapshotPath()
	check(t, manager.Close())
	expect(t, manager.Run(), proxyprocess.ErrClosed)
	expect(t, manager.Restore(""), proxyprocess.ErrClosed)
	expect(t, manager.Snapshot("x"), proxyprocess.ErrClosed)
	_, err := manager.Events()
	expect(t, err, proxyprocess.ErrClosed)
	all, err := manager.Status()
	check(t, err)
	text, err := manager.StatusJSON()
	check(t, err)
	if len(all) != 0 || string(text) != "{}" || manager.SnapshotPath() != path {
		t.Errorf("got %v, %s, %q", all, text, manager.SnapshotPath())
	}
}

// A second run returns at once, and the first goes on.
func TestManagerRunsOnce(t *testing.T) {
	state := newState(t)
	manager := newManager(t, quick(state, ""))
	events := read(t, manager)
	run(t, manager)
	check(t, state.Set("a", sleeper()))
	events.until(proxyprocess.EventStarted, "a")
	check(t, manager.Run())
	check(t, state.Set("b", sleeper()))
	events.until(proxyprocess.EventStarted, "b")
}

func TestManagerTakesOverAnotherDirectory(t *testing.T) {
	place := t.TempDir()
	state := newState(t)
	check(t, state.Set("web", sleeper()))
	first := newManager(t, quick(state, filepath.Join(place, "one")))
	events := read(t, first)
	run(t, first)
	pid := events.until(proxyprocess.EventStarted, "web").PID
	snapshot := first.SnapshotPath()

	second := newManager(t, quick(state, filepath.Join(place, "two")))
	events = read(t, second)
	expect(t, second.Restore(snapshot), proxyprocess.ErrLocked)
	check(t, first.Close())
	check(t, second.Restore(snapshot))
	if adopted := events.until(proxyprocess.EventAdopted, "web").PID; adopted != pid {
		t.Errorf("adopted %d, not %d", adopted, pid)
	}

	// The snapshot alone says nothing of processes.
	text, err := os.ReadFile(snapshot)
	check(t, err)
	alone := filepath.Join(place, "alone.json")
	check(t, os.WriteFile(alone, text, 0o600))
	third := newManager(t, quick(state, filepath.Join(place, "three")))
	events = read(t, third)
	check(t, third.Restore(alone))
	refused := events.until(proxyprocess.EventAdoptionRefused, "web")
	if !strings.Contains(refused.Text, "not known whether a process lives") {
		t.Errorf("got %+v", refused)
	}
	all, err := third.Status()
	check(t, err)
	if len(all) != 1 || all[0].PID != 0 || !strings.Contains(all[0].LastError, "no records beside it") {
		t.Errorf("got %+v", all)
	}
	check(t, second.Kill())
	if alive(pid) {
		t.Error("it lives")
	}
}

// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/agent/proxyprocess"
)

func readLogs(t *testing.T, open func(proxyprocess.LogLevel) (*proxyprocess.Logs, error), level proxyprocess.LogLevel) *proxyprocess.Logs {
	t.Helper()
	logs, err := open(level)
	check(t, err)
	t.Cleanup(func() { check(t, logs.Close()) })
	return logs
}

// untilLine reads lines until one has a part.
func untilLine(t *testing.T, logs *proxyprocess.Logs, part string) proxyprocess.LogLine {
	t.Helper()
	for {
		line, err := logs.Next(deadline(t))
		check(t, err)
		if strings.Contains(line.Message, part) {
			return line
		}
	}
}

func TestLogsOfLibrary(t *testing.T) {
	all := readLogs(t, proxyprocess.NewLogs, proxyprocess.LogInfo)
	failures := readLogs(t, proxyprocess.NewLogs, proxyprocess.LogError)
	begun := time.Now()
	startAndStop(t, sleeper())
	if line := untilLine(t, all, "proxy web: started, pid "); line.Level != proxyprocess.LogInfo || line.Missed != 0 ||
		line.Time.Before(begun) || line.Time.After(time.Now()) {
		t.Errorf("got %+v", line)
	}
	if _, err := failures.Next(over()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	startAndStop(t, proxyprocess.ProxyConfig{Command: []string{"/missing/program"}})
	line, err := failures.Next(deadline(t))
	check(t, err)
	if line.Number != 1 || line.Level != proxyprocess.LogError || !strings.Contains(line.Message, "/missing/program") {
		t.Errorf("got %+v", line)
	}
	_, err = proxyprocess.NewLogs(7)
	expect(t, err, proxyprocess.ErrInvalidArgument)
}

func TestLogsOfManagerEnd(t *testing.T) {
	state, other := newState(t), newState(t)
	manager, another := newManager(t, quick(state, "")), newManager(t, quick(other, ""))
	logs, others := readLogs(t, manager.Logs, proxyprocess.LogInfo), readLogs(t, another.Logs, proxyprocess.LogInfo)
	check(t, state.Set("mine", sleeper()))
	check(t, other.Set("other", sleeper()))
	run(t, manager)
	run(t, another)
	untilLine(t, others, "proxy other: started")
	untilLine(t, logs, "proxy mine: started")
	check(t, manager.Kill())
	for {
		line, err := logs.Next(deadline(t))
		if err == io.EOF {
			break
		}
		check(t, err)
		if strings.Contains(line.Message, "other") {
			t.Errorf("got %+v", line)
		}
	}
	check(t, another.Kill())
	_, err := manager.Logs(proxyprocess.LogInfo)
	expect(t, err, proxyprocess.ErrClosed)
}

func TestLogsThatAreLost(t *testing.T) {
	const more = 3
	logs := readLogs(t, proxyprocess.NewLogs, proxyprocess.LogError)
	daemon := newDaemon(t, "web", proxyprocess.ProxyConfig{Command: []string{"/missing/program"}}, proxyprocess.DaemonOptions{})
	for i := 0; i < proxyprocess.LogCapacity+more; i++ {
		check(t, daemon.Start())
		check(t, daemon.Stop())
	}
	line, err := logs.Next(deadline(t))
	check(t, err)
	if line.Missed != more || line.Message != fmt.Sprintf("%d lines of the log are lost: the reader fell behind", more) {
		t.Errorf("got %+v", line)
	}
}

func TestLogsCloseWakesNext(t *testing.T) {
	logs, err := proxyprocess.NewLogs(proxyprocess.LogOff)
	check(t, err)
	ended := make(chan error)
	go func() {
		_, err := logs.Next(context.Background())
		ended <- err
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := logs.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	check(t, logs.Close())
	expect(t, <-ended, proxyprocess.ErrClosed)
	_, err = logs.Next(context.Background())
	expect(t, err, proxyprocess.ErrClosed)
	_, err = (&proxyprocess.Logs{}).Next(context.Background())
	expect(t, err, proxyprocess.ErrClosed)
}

func TestEventAsJSON(t *testing.T) {
	event := proxyprocess.Event{
		Kind: proxyprocess.EventExited, Number: 3, Time: time.Unix(1, 2), ID: "web", PID: 7,
		Exit: proxyprocess.Exit{Kind: proxyprocess.ExitSignal, Value: int(syscall.SIGKILL)},
	}
	text, err := json.Marshal(event)
	check(t, err)
	expected := `{"number":3,"at_unix_ns":1000000002,"id":"web","kind":"exited","pid":7,"exit":"signal SIGKILL",` +
		`"wait_ms":null,"text":null,"missed":null,"generation":null}`
	if string(text) != expected {
		t.Errorf("got %s", text)
	}
	_, err = json.Marshal(proxyprocess.Event{Kind: 99})
	expect(t, err, proxyprocess.ErrInvalidArgument)
	if names := fmt.Sprint(proxyprocess.EventStartFailed, " ", proxyprocess.EventKind(99)); names != "start_failed unknown" {
		t.Errorf("got %s", names)
	}
}

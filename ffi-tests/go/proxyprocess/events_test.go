// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"example.org/agent/proxyprocess"
)

func TestEventsEnd(t *testing.T) {
	state := newState(t)
	check(t, state.Set("web", sleeper()))
	manager := newManager(t, quick(state, ""))
	events := read(t, manager)
	run(t, manager)
	started := events.until(proxyprocess.EventStarted, "web")
	check(t, manager.Kill())
	var last proxyprocess.Event
	for number := started.Number; ; {
		event, err := events.Next(deadline(t))
		if err == io.EOF {
			break
		}
		check(t, err)
		if number++; event.Number != number {
			t.Errorf("expected number %d: %+v", number, event)
		}
		last = event
	}
	if last.Kind != proxyprocess.EventStopped || last.Kind.String() != "stopped" {
		t.Errorf("got %+v", last)
	}
	_, err := events.Next(context.Background())
	if err != io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestEventsGap(t *testing.T) {
	const proxies, capacity = 20, 3
	state := newState(t)
	for i := 0; i < proxies; i++ {
		check(t, state.Set(fmt.Sprint(i), proxyprocess.ProxyConfig{Mode: proxyprocess.ModeNoop}))
	}
	check(t, state.Set("web", sleeper()))
	options := quick(state, "")
	options.EventCapacity = capacity
	manager := newManager(t, options)
	events, quickReader := read(t, manager), read(t, manager)
	run(t, manager)
	for running := 0; running != proxies+1; {
		// Whatever it is, it is the occasion to ask for the status.
		_, err := quickReader.Next(deadline(t))
		check(t, err)
		all, err := manager.Status()
		check(t, err)
		running = 0
		for _, status := range all {
			if status.State == proxyprocess.StateRunning {
				running++
			}
		}
	}
	check(t, manager.Kill())
	gap, err := events.Next(deadline(t))
	check(t, err)
	if gap.Kind != proxyprocess.EventGap || gap.Missed < proxies || gap.ID != "" {
		t.Errorf("got %+v", gap)
	}
	for i := uint64(1); i <= capacity; i++ {
		event, err := events.Next(deadline(t))
		check(t, err)
		if event.Number != gap.Number+i {
			t.Errorf("got %+v after %+v", event, gap)
		}
	}
	if _, err := events.Next(deadline(t)); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestEventsUntilTheContextIsDone(t *testing.T) {
	daemon := newDaemon(t, "web", sleeper(), proxyprocess.DaemonOptions{})
	events := read(t, daemon)
	for i := 0; i < 20; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		if _, err := events.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		cancel()
		ctx, cancel = context.WithCancel(context.Background())
		go cancel()
		if _, err := events.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
	check(t, daemon.Start())
	check(t, daemon.Stop())
	check(t, daemon.Close())
	var kinds []proxyprocess.EventKind
	for {
		event, err := events.Next(over())
		if err == io.EOF {
			break
		}
		check(t, err)
		kinds = append(kinds, event.Kind)
	}
	if got := fmt.Sprint(kinds); got != "[started stopping exited stopped]" {
		t.Errorf("got %s", got)
	}
}

func TestEventsCloseWakesWhoWaits(t *testing.T) {
	daemon := newDaemon(t, "web", sleeper(), proxyprocess.DaemonOptions{})
	events := read(t, daemon)
	const waiting = 4
	results := make(chan error, waiting)
	for i := 0; i < waiting; i++ {
		go func() {
			_, err := events.Next(deadline(t))
			results <- err
		}()
	}
	check(t, events.Close())
	for i := 0; i < waiting; i++ {
		expect(t, <-results, proxyprocess.ErrClosed)
	}
	check(t, events.Close())
}

func TestEventsChannel(t *testing.T) {
	daemon := newDaemon(t, "web", sleeper(), proxyprocess.DaemonOptions{})
	events := read(t, daemon)
	channel := events.Channel(deadline(t))
	check(t, daemon.Start())
	if event := <-channel; event.Kind != proxyprocess.EventStarted {
		t.Errorf("got %+v", event)
	}
	check(t, daemon.Stop())
	check(t, daemon.Close())
	count := 0
	for event := range channel {
		t.Logf("%+v", event)
		count++
	}
	if count == 0 {
		t.Error("the events of the stop are missing")
	}

	canceled, cancel := context.WithCancel(context.Background())
	other := read(t, newDaemon(t, "other", sleeper(), proxyprocess.DaemonOptions{}))
	channel = other.Channel(canceled)
	cancel()
	if event, open := <-channel; open {
		t.Errorf("got %+v", event)
	}
}

// SPDX-License-Identifier: MPL-2.0

// Package apply has the library run what was decided.
package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"example.org/agent/fleet/plan"
	"example.org/agent/proxyprocess"
)

// Checker checks declarations, by the library, in a state that no manager follows.
type Checker struct {
	mu      sync.Mutex
	scratch *proxyprocess.State
}

// NewChecker makes a checker.
func NewChecker() (*Checker, error) {
	scratch, err := proxyprocess.NewState()
	if err != nil {
		return nil, err
	}
	return &Checker{scratch: scratch}, nil
}

// longestReason is how much is said of why a declaration is bad, or a proxy does not run. What it contains is bounded by the store alone.
const longestReason = 500

// Check says why a declaration cannot be followed. The library names fields and not their values, which may be secrets.
func (c *Checker) Check(id string, value []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.scratch.SetJSON(id, value)
	if err == nil {
		declared := struct{ Mode string }{proxyprocess.ModeDaemon}
		err = json.Unmarshal(value, &declared)
		if mode := declared.Mode; err == nil && mode != proxyprocess.ModeDaemon && mode != proxyprocess.ModeNoop {
			err = fmt.Errorf(`mode: expected "daemon" or "noop", got %.40q`, mode)
		}
		if _, removeErr := c.scratch.Remove(id); err == nil {
			err = removeErr
		}
	}
	if err == nil {
		return nil
	}
	return errors.New(cut(err.Error()))
}

// cut is a text that fits into a status.
func cut(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > longestReason {
		text = strings.ToValidUTF8(text[:longestReason], "") + "..."
	}
	return text
}

// Library is a manager and the state that it follows.
type Library struct {
	state   *proxyprocess.State
	manager *proxyprocess.Manager
	events  *proxyprocess.Events
	// What was set or removed, and not seen to be followed yet.
	pending map[string]bool
}

// Open opens the library, and takes over what an earlier agent left. Nothing is started or stopped before Run.
func Open(options proxyprocess.ManagerOptions, warn func(error)) (*Library, error) {
	state, err := proxyprocess.NewState()
	if err != nil {
		return nil, err
	}
	options.State = state
	manager, err := proxyprocess.NewManager(options)
	if err != nil {
		return nil, err
	}
	events, err := manager.Events()
	if err != nil {
		manager.Close()
		return nil, err
	}
	if err := manager.Restore(""); err != nil {
		warn(fmt.Errorf("going on without the snapshot: %w", err))
	}
	return &Library{state: state, manager: manager, events: events, pending: map[string]bool{}}, nil
}

// Recorded are the proxies that an earlier agent left.
func (l *Library) Recorded() ([]string, error) {
	all, err := l.manager.Status()
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(all))
	for i, status := range all {
		ids[i] = status.ID
	}
	return ids, nil
}

// Run follows what is set until the end.
func (l *Library) Run() error { return l.manager.Run() }

// Close leaves the proxies running, for the next agent.
func (l *Library) Close() error {
	err := l.manager.Close()
	l.events.Close()
	return err
}

// Kill stops the proxies.
func (l *Library) Kill() error {
	err := l.manager.Kill()
	l.events.Close()
	return err
}

// EndGrace ends the grace of stops.
func (l *Library) EndGrace() error { return l.manager.EndGrace() }

// Happened sends a word when something has happened to a proxy since the last one was taken. It returns at the end.
func (l *Library) Happened(ctx context.Context, words chan<- struct{}) {
	for {
		if _, err := l.events.Next(ctx); err != nil {
			return
		}
		select {
		case words <- struct{}{}:
		default:
		}
	}
}

// Apply has what differs followed. All of it was checked before.
func (l *Library) Apply(next plan.Desired, diff plan.Diff) error {
	var failed error
	for _, id := range diff.Removed {
		if _, err := l.state.Remove(id); err != nil && failed == nil {
			failed = fmt.Errorf("remove %q: %w", id, err)
		}
		l.pending[id] = true
	}
	for _, ids := range [][]string{diff.Added, diff.Changed} {
		for _, id := range ids {
			if err := l.state.SetJSON(id, next[id].Value); err != nil && failed == nil {
				failed = fmt.Errorf("declare %q: %w", id, err)
			}
			l.pending[id] = true
		}
	}
	return failed
}

// Pending tells how many of the proxies that were declared or removed do not run, or are not gone, as it is wanted now.
func (l *Library) Pending() int {
	for id := range l.pending {
		// It waits for nothing. A timeout is what is not followed yet, and what is followed and not ready; another error is a
		// proxy that has failed, which is followed, or one that is not declared.
		err := l.manager.WaitUntil(id, proxyprocess.WaitRunning, 0)
		if errors.Is(err, proxyprocess.ErrNotFound) {
			_, err = l.manager.StatusOf(id)
			if err == nil {
				// It is being stopped.
				continue
			}
		}
		if !errors.Is(err, proxyprocess.ErrTimeout) {
			delete(l.pending, id)
		}
	}
	return len(l.pending)
}

// Proxy is what one proxy is doing, as far as it may be told: no line that its process wrote.
type Proxy struct {
	State      string `json:"state"`
	PID        int    `json:"pid,omitempty"`
	Ready      bool   `json:"ready"`
	Generation uint64 `json:"generation,omitempty"`
	Restarts   uint64 `json:"restarts,omitempty"`
	LastExit   string `json:"last_exit,omitempty"`
	LastError  string `json:"last_error,omitempty"`
	// Failed tells that it is not started again.
	Failed bool `json:"-"`
	// Pending tells that it does not run yet as it was declared last.
	Pending bool `json:"-"`
}

// Status is what every proxy is doing. Errors that the library has of a proxy lose what its declaration keeps secret.
func (l *Library) Status(applied plan.Desired) (map[string]Proxy, error) {
	all, err := l.manager.Status()
	if err != nil {
		return nil, err
	}
	proxies := make(map[string]Proxy, len(all))
	for _, status := range all {
		proxy := Proxy{
			State: status.State.String(), PID: status.PID, Ready: status.Ready, Generation: status.Generation,
			Restarts: status.Restarts, Failed: status.State == proxyprocess.StateFailed, Pending: l.pending[status.ID],
		}
		if status.LastExit.Kind != proxyprocess.ExitNone && !status.Ready {
			proxy.LastExit = status.LastExit.String()
		}
		lastError := status.LastError
		if other := status.Other; other != nil && lastError == "" {
			lastError = other.LastError
		}
		if lastError != "" {
			proxy.LastError = cut(Redact(lastError, applied[status.ID].Value))
		}
		proxies[status.ID] = proxy
	}
	return proxies, nil
}

// Version is that of the library.
func Version() string { return proxyprocess.Version() }

// Periods of the library: soon enough for a change to run within a second, and a batch of changes is still one.
const (
	Quiescent = 20 * time.Millisecond
	Coalesce  = 500 * time.Millisecond
)

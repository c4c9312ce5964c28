// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"example.org/agent/proxyprocess"
)

// lamps are a kind of proxy that keeps a color, and tells the test of every call.
type lamps struct {
	t     *testing.T
	calls chan string

	mu sync.Mutex
	// What a method does beside its task, by its name, or by its name and the id.
	does map[string]func() error
}

func newLamps(t *testing.T) *lamps {
	return &lamps{t: t, calls: make(chan string, 10000), does: map[string]func() error{}}
}

func (l *lamps) let(method string, do func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.does[method] = do
}

func (l *lamps) called(method, id string) error {
	l.calls <- method + " " + id
	l.mu.Lock()
	do, ok := l.does[method]
	if !ok {
		do, ok = l.does[method+" "+id]
	}
	l.mu.Unlock()
	if !ok {
		return nil
	}
	return do()
}

// until waits for a call, and returns those before it.
func (l *lamps) until(call string) (before []string) {
	l.t.Helper()
	for ctx := deadline(l.t); ; {
		select {
		case next := <-l.calls:
			if next == call {
				return before
			}
			before = append(before, next)
		case <-ctx.Done():
			l.t.Fatalf("waited in vain for %q after %q", call, before)
		}
	}
}

func (l *lamps) make(context proxyprocess.ProxyContext) (proxyprocess.Proxy, error) {
	what := "create"
	if context.Declaration == nil {
		what = "restore"
	}
	if context.Mode != "lamp" {
		return nil, fmt.Errorf("mode %q", context.Mode)
	}
	if err := l.called(what, context.ID); err != nil {
		return nil, err
	}
	lamp := &lamp{lamps: l, id: context.ID}
	return lamp, context.DecodeOptions(&lamp.settings)
}

type lamp struct {
	lamps    *lamps
	id       string
	settings struct {
		Color string      `json:"color"`
		Large json.Number `json:"large"`
	}
}

func (l *lamp) Start() error { return l.lamps.called("start", l.id) }
func (l *lamp) Stop() error  { return l.lamps.called("stop", l.id) }
func (l *lamp) Close() error { return l.lamps.called("close", l.id) }
func (l *lamp) RequestStop() { _ = l.lamps.called("request stop", l.id) }

func (l *lamp) Equal(other proxyprocess.Proxy) bool {
	_ = l.lamps.called("equal", l.id)
	return l.settings == other.(*lamp).settings
}

func (l *lamp) MarshalSnapshot() map[string]interface{} {
	_ = l.lamps.called("marshal", l.id)
	return map[string]interface{}{"color": l.settings.Color, "large": l.settings.Large}
}

func (l *lamp) UnmarshalSnapshot(snapshot map[string]interface{}) error {
	l.settings.Color, _ = snapshot["color"].(string)
	l.settings.Large, _ = snapshot["large"].(json.Number)
	return l.lamps.called("unmarshal", l.id)
}

func declare(color string) proxyprocess.ProxyConfig {
	return proxyprocess.ProxyConfig{
		Mode: "lamp", Options: map[string]interface{}{"color": color, "large": uint64(1<<63 + 1)},
	}
}

func newLampManager(t *testing.T, state *proxyprocess.State, dataDir string) (*lamps, *proxyprocess.Manager, reader) {
	t.Helper()
	lamps := newLamps(t)
	manager := newManager(t, quick(state, dataDir))
	check(t, manager.RegisterKind("lamp", lamps.make))
	return lamps, manager, read(t, manager)
}

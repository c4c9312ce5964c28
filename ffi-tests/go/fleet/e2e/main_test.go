// SPDX-License-Identifier: MPL-2.0

// Package e2e tests agents, as programs, with real etcd servers and real processes.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/fleettest"
	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/status"
	"example.org/agent/fleet/store"
)

const patience = fleettest.Patience

// program is the agent that is tested.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("FLEET_AGENT")
	if path == "" {
		t.Fatal("FLEET_AGENT: expected the path of fleet-agent; make -C ffi-tests fleet-test sets it")
	}
	return path
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is an etcd, and a client of one who may do everything.
type world struct {
	t       *testing.T
	dir     string
	members []*fleettest.Etcd
	client  *clientv3.Client
}

// newWorld starts a cluster, which ends with the test.
func newWorld(t *testing.T, members int, args ...string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	var err error
	w.members, err = fleettest.NewEtcd(w.dir, members, args...)
	check(t, err)
	for _, member := range w.members {
		check(t, member.Start())
		t.Cleanup(member.Kill)
	}
	w.connect()
	return w
}

// connect makes the client, or another one for another store.
func (w *world) connect() {
	w.t.Helper()
	client, err := fleettest.Client(store.Connection{Endpoints: w.endpoints()})
	check(w.t, err)
	w.t.Cleanup(func() { client.Close() })
	w.client = client
}

func (w *world) endpoints() []string {
	var urls []string
	for _, member := range w.members {
		urls = append(urls, member.URL)
	}
	return urls
}

func ctx(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// put writes keys at once, "" removes one, and returns the revision.
func (w *world) put(pairs ...string) int64 {
	w.t.Helper()
	var ops []clientv3.Op
	for i := 0; i < len(pairs); i += 2 {
		key := keys.Root + "/" + pairs[i]
		if pairs[i+1] == "" {
			ops = append(ops, clientv3.OpDelete(key))
		} else {
			ops = append(ops, clientv3.OpPut(key, pairs[i+1]))
		}
	}
	for ctx := ctx(w.t); ; {
		done, err := w.client.Txn(ctx).Then(ops...).Commit()
		if err == nil {
			return done.Header.Revision
		}
		// A member that leads has ended, or is not elected yet, or the connection went with it: what is written twice is the
		// same.
		text, passes := err.Error(), false
		for _, sign := range []string{"timed out", "leader", "code = Unavailable"} {
			passes = passes || strings.Contains(text, sign)
		}
		if ctx.Err() != nil || !passes {
			w.t.Fatal(err)
		}
	}
}

// says waits until a node says something like that.
func (w *world) says(node, what string, like func(status.Report) bool) status.Report {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		got, err := w.client.Get(ctx, keys.StatusKey(node), clientv3.WithPrefix())
		if err != nil && ctx.Err() == nil {
			continue
		}
		check(w.t, err)
		report := status.Report{Proxies: map[string]json.RawMessage{}, Errors: map[string]string{}}
		for _, kv := range got.Kvs {
			switch rest := strings.TrimPrefix(string(kv.Key), keys.StatusKey(node)); {
			case rest == "":
				check(w.t, json.Unmarshal(kv.Value, &report.Node))
			case strings.HasPrefix(rest, "/proxies/"):
				report.Proxies[rest[len("/proxies/"):]] = kv.Value
			case strings.HasPrefix(rest, "/errors/"):
				report.Errors[rest[len("/errors/"):]] = string(kv.Value)
			}
		}
		if len(got.Kvs) > 0 && like(report) {
			return report
		}
		// The next thing that it says.
		watch, stop := context.WithCancel(ctx)
		_, open := <-w.client.Watch(watch, keys.StatusKey(node), clientv3.WithPrefix(), clientv3.WithRev(got.Header.Revision+1))
		stop()
		if !open || ctx.Err() != nil {
			w.t.Fatalf("node %s does not say: %s; it says %+v, %s, %v", node, what, report.Node, report.Proxies, report.Errors)
		}
	}
}

// runs waits until a node runs all of a revision.
func (w *world) runs(node string, revision int64) status.Report {
	w.t.Helper()
	return w.says(node, fmt.Sprintf("that revision %d runs", revision), func(r status.Report) bool {
		return r.Node.Running >= revision
	})
}

// fleetctl runs a command, and returns what it printed.
func (w *world) fleetctl(input string, args ...string) (string, error) {
	w.t.Helper()
	words := append(append([]string{}, args...), "--endpoints", strings.Join(w.endpoints(), ","))
	command := exec.Command(program(w.t), words...)
	command.Stdin = strings.NewReader(input)
	text, err := command.CombinedOutput()
	return string(text), err
}

func (w *world) ctl(args ...string) string {
	w.t.Helper()
	text, err := w.fleetctl("", args...)
	if err != nil {
		w.t.Fatalf("%q: %v: %s", args, err, text)
	}
	return text
}

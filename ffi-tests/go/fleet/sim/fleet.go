// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/fleettest"
	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/node"
	"example.org/agent/fleet/status"
	"example.org/agent/fleet/store"
	"example.org/agent/proxyprocess"
)

// fleet is all nodes and what watches them.
type fleet struct {
	settings
	etcd   *fleettest.Etcd
	ctx    context.Context
	client *clientv3.Client
	agents []*agent
	seen   *observer
	seeded int64
}

// agent is one node.
type agent struct {
	name   string
	client *clientv3.Client
	node   *node.Node
	cancel context.CancelFunc
	ended  chan error
}

func nodeName(i int) string { return fmt.Sprintf("node-%04d", i) }

// declaration is the value of a proxy: each version is another text, and another declaration.
func declaration(i, version int) string {
	return fmt.Sprintf(`{"mode":"noop","target_service":"service-%d-%d"}`, i, version)
}

const group = "all"

func groupDeclaration(version int) string { return declaration(-1, version) }

// seed declares everything.
func (f *fleet) seed() error {
	var err error
	if f.client, err = fleettest.Client(store.Connection{Endpoints: []string{f.etcd.URL}}); err != nil {
		return err
	}
	began := time.Now()
	var puts []clientv3.Op
	flush := func() error {
		done, err := f.client.Txn(f.ctx).Then(puts...).Commit()
		if err == nil {
			f.seeded = done.Header.Revision
		}
		puts = nil
		return err
	}
	put := func(key keys.Key, value string) error {
		puts = append(puts, clientv3.OpPut(key.String(), value))
		if len(puts) == 120 {
			return flush()
		}
		return nil
	}
	for n := 0; n < f.nodes; n++ {
		name := nodeName(n)
		if err := put(keys.Key{Kind: keys.NodeGroups, Name: name}, `["`+group+`"]`); err != nil {
			return err
		}
		for i := 0; i < f.perNode; i++ {
			value := declaration(i, 0)
			if i == 0 && n < f.real {
				value = `{"command":["sleep","100000"],"stop_signal":15}`
			}
			key := keys.Key{Kind: keys.NodeProxy, Name: name, ID: fmt.Sprintf("proxy-%02d", i)}
			if err := put(key, value); err != nil {
				return err
			}
		}
	}
	if err := put(keys.Key{Kind: keys.GroupProxy, Name: group, ID: "shared"}, groupDeclaration(0)); err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	memory, err := f.etcd.Memory()
	f.say("seed: %d declarations of %d nodes in %v; etcd has %d MB", f.nodes*f.perNode+1, f.nodes, since(began), memory>>20)
	return err
}

func (f *fleet) say(format string, values ...interface{}) { fmt.Printf(format+"\n", values...) }

func since(began time.Time) time.Duration { return time.Since(began).Round(time.Millisecond) }

func (f *fleet) open(i int) (*agent, error) {
	a := &agent{name: nodeName(i), ended: make(chan error, 1)}
	var err error
	if a.client, err = (store.Connection{Endpoints: []string{f.etcd.URL}}).Open(); err != nil {
		return nil, err
	}
	a.node, err = node.Open(node.Config{
		Name: a.name, DataDir: filepath.Join(f.nodesDir, a.name), Client: a.client, MaxRemoved: 10, LeaseTTL: 30 * time.Second,
		Library: proxyprocess.ManagerOptions{AllowRoot: true, Cgroup: proxyprocess.CgroupOff},
		Log:     func(proxyprocess.LogLevel, string, ...interface{}) {},
	})
	if err != nil {
		a.client.Close()
		return nil, fmt.Errorf("open %s: %w", a.name, err)
	}
	return a, nil
}

func (f *fleet) run(a *agent) {
	ctx, cancel := context.WithCancel(f.ctx)
	a.cancel = cancel
	go func() { a.ended <- a.node.Run(ctx) }()
}

// start starts all nodes, and waits until each says that all of it runs.
func (f *fleet) start() error {
	began := time.Now()
	f.seen = watchStatus(f.ctx, f.client)
	f.agents = make([]*agent, f.nodes)
	for i := range f.agents {
		a, err := f.open(i)
		if err != nil {
			return err
		}
		f.agents[i] = a
		f.run(a)
	}
	opened := since(began)
	if _, err := f.seen.wait(f.names(), f.seeded, began); err != nil {
		return err
	}
	memory, err := f.etcd.Memory()
	f.say("start: all nodes are open after %v, and all proxies run and are reported after %v; etcd has %d MB", opened, since(began),
		memory>>20)
	return err
}

func (f *fleet) names() []string {
	names := make([]string, f.nodes)
	for i := range names {
		names[i] = nodeName(i)
	}
	return names
}

// stop ends one agent, and leaves or stops its proxies.
func (a *agent) stop(kill bool) error {
	a.cancel()
	err := <-a.ended
	library := a.node.Library()
	if kill {
		if killed := library.Kill(); err == nil {
			err = killed
		}
	} else if closed := library.Close(); err == nil {
		err = closed
	}
	a.client.Close()
	return err
}

// end stops everything.
func (f *fleet) end() error {
	var failed error
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, a := range f.agents {
		if a == nil {
			continue
		}
		all.Add(1)
		go func(a *agent) {
			defer all.Done()
			if err := a.stop(true); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		}(a)
	}
	all.Wait()
	if f.client != nil {
		f.client.Close()
	}
	return failed
}

// observer watches what all nodes say.
type observer struct {
	mu      sync.Mutex
	changed *sync.Cond
	// running is for each node the newest revision of which all runs, and when that was heard.
	running map[string]heard
	writes  int
}

type heard struct {
	revision int64
	at       time.Time
}

func watchStatus(ctx context.Context, client *clientv3.Client) *observer {
	o := &observer{running: map[string]heard{}}
	o.changed = sync.NewCond(&o.mu)
	channel := client.Watch(ctx, keys.StatusPrefix, clientv3.WithPrefix())
	go func() {
		for got := range channel {
			now := time.Now()
			o.mu.Lock()
			for _, event := range got.Events {
				o.writes++
				name := strings.TrimPrefix(string(event.Kv.Key), keys.StatusPrefix)
				var said status.Node
				if event.Type == clientv3.EventTypeDelete || strings.Contains(name, "/") ||
					json.Unmarshal(event.Kv.Value, &said) != nil {
					continue
				}
				if said.Running > o.running[name].revision {
					o.running[name] = heard{said.Running, now}
				}
			}
			o.changed.Broadcast()
			o.mu.Unlock()
		}
	}()
	return o
}

// wait waits until all nodes run a revision, and returns how long each took.
func (o *observer) wait(names []string, revision int64, since time.Time) ([]time.Duration, error) {
	late := time.AfterFunc(3*fleettest.Patience, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.changed.Broadcast()
	})
	defer late.Stop()
	deadline := time.Now().Add(3 * fleettest.Patience)
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		var took []time.Duration
		var missing string
		for _, name := range names {
			if heard := o.running[name]; heard.revision >= revision {
				took = append(took, heard.at.Sub(since))
			} else {
				missing = name
			}
		}
		if missing == "" {
			return took, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%d of %d nodes run revision %d; %s does not", len(took), len(names), revision, missing)
		}
		o.changed.Wait()
	}
}

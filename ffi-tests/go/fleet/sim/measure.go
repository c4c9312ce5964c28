// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/fleettest"
	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/status"
)

// pause lets time pass that is measured, or in which a node may not write again; nothing is waited for.
func pause(period time.Duration) { time.Sleep(period) }

// counters are what etcd counts.
type counters struct {
	at                                    time.Time
	sent, received, proposals, keepAlives float64
}

func (f *fleet) counters() (counters, error) {
	all, err := f.etcd.Metrics()
	return counters{
		time.Now(), all["etcd_network_client_grpc_sent_bytes_total"], all["etcd_network_client_grpc_received_bytes_total"],
		all["etcd_server_proposals_committed_total"], all["grpc_server_msg_received_total.LeaseKeepAlive"],
	}, err
}

// measureIdle measures the traffic of a fleet to which nothing happens.
func (f *fleet) measureIdle() error {
	if f.idle == 0 {
		return nil
	}
	// What was written at the start is over.
	pause(f.calm)
	before, err := f.counters()
	if err != nil {
		return err
	}
	pause(f.idle)
	after, err := f.counters()
	if err != nil {
		return err
	}
	seconds := after.at.Sub(before.at).Seconds()
	f.say("idle for %.0f s: %.0f B/s sent and %.0f B/s received by etcd with %.1f renewals of leases/s; %.2f proposals/s", seconds,
		(after.sent-before.sent)/seconds, (after.received-before.received)/seconds,
		(after.keepAlives-before.keepAlives)/seconds, (after.proposals-before.proposals)/seconds)
	return nil
}

// measureGroupChanges measures how long a change of the group takes to run on all nodes.
func (f *fleet) measureGroupChanges() error {
	if f.changes == 0 {
		return nil
	}
	var all []time.Duration
	for i := 1; i <= f.changes; i++ {
		began := time.Now()
		done, err := f.client.Put(f.ctx, keys.Key{Kind: keys.GroupProxy, Name: group, ID: "shared"}.String(), groupDeclaration(i))
		if err != nil {
			return err
		}
		took, err := f.seen.wait(f.names(), done.Header.Revision, began)
		if err != nil {
			return err
		}
		all = append(all, took...)
		pause(f.calm)
	}
	f.say("a change of a group, until all %d nodes run it and have said so: %s", f.nodes, percentiles(all))
	return nil
}

// measureOwnChanges changes one declaration of each node, all in one go.
func (f *fleet) measureOwnChanges() error {
	if f.changes == 0 {
		return nil
	}
	before, err := f.counters()
	if err != nil {
		return err
	}
	var all []time.Duration
	writes := 0
	for i := 1; i <= f.changes; i++ {
		f.seen.mu.Lock()
		started := f.seen.writes
		f.seen.mu.Unlock()
		began := map[string]time.Time{}
		revisions := map[string]int64{}
		for n := 0; n < f.nodes; n++ {
			name := nodeName(n)
			began[name] = time.Now()
			key := keys.Key{Kind: keys.NodeProxy, Name: name, ID: "proxy-01"}
			done, err := f.client.Put(f.ctx, key.String(), declaration(1, i))
			if err != nil {
				return err
			}
			revisions[name] = done.Header.Revision
		}
		for _, name := range f.names() {
			took, err := f.seen.wait([]string{name}, revisions[name], began[name])
			if err != nil {
				return err
			}
			all = append(all, took...)
		}
		f.seen.mu.Lock()
		writes += f.seen.writes - started
		f.seen.mu.Unlock()
		pause(f.calm)
	}
	after, err := f.counters()
	if err != nil {
		return err
	}
	f.say("a change of each node, one put after the other: %s; %.2f status keys and %.2f proposals a change", percentiles(all),
		float64(writes)/float64(f.nodes*f.changes), (after.proposals-before.proposals)/float64(f.nodes*f.changes))
	return nil
}

// measureBurst changes all declarations of one node at once, and then one: the writes must be as many.
func (f *fleet) measureBurst() error {
	for _, count := range []int{1, f.perNode - 1} {
		pause(f.calm)
		before, err := f.counters()
		if err != nil {
			return err
		}
		name := nodeName(f.nodes - 1)
		var puts []clientv3.Op
		for i := 1; i <= count && i <= 120; i++ {
			key := keys.Key{Kind: keys.NodeProxy, Name: name, ID: fmt.Sprintf("proxy-%02d", i)}
			puts = append(puts, clientv3.OpPut(key.String(), declaration(i, 1000+count)))
		}
		began := time.Now()
		done, err := f.client.Txn(f.ctx).Then(puts...).Commit()
		if err != nil {
			return err
		}
		took, err := f.seen.wait([]string{name}, done.Header.Revision, began)
		if err != nil {
			return err
		}
		pause(f.calm)
		after, err := f.counters()
		if err != nil {
			return err
		}
		f.say("%d declarations of one node change at once: %s, %.0f proposals beside the put", len(puts),
			percentiles(took), after.proposals-before.proposals-1)
	}
	return nil
}

// measureRestart restarts one agent, and counts what it writes.
func (f *fleet) measureRestart() error {
	pause(f.calm)
	pids, err := f.pids()
	if err != nil {
		return err
	}
	before, err := f.client.Get(f.ctx, keys.Root, clientv3.WithLimit(1))
	if err != nil {
		return err
	}
	if err := f.agents[0].stop(false); err != nil {
		return err
	}
	a, err := f.open(0)
	if err != nil {
		return err
	}
	f.agents[0] = a
	f.run(a)
	pause(2 * f.calm)
	after, err := f.client.Get(f.ctx, keys.Root, clientv3.WithLimit(1))
	if err != nil {
		return err
	}
	f.say("an agent restarts: the store has %d revisions more; all %d real processes are the same",
		after.Header.Revision-before.Header.Revision, len(pids))
	return f.same(pids)
}

// pids are the processes of the real proxies, as the agents know them, asked without the store.
func (f *fleet) pids() (map[string]string, error) {
	pids := map[string]string{}
	for i := 0; i < f.real; i++ {
		// The file that the library keeps for the process.
		text, err := os.ReadFile(f.nodesDir + "/" + nodeName(i) + "/proxies/pids/proxy-00.pid")
		if err != nil {
			return nil, err
		}
		pid := strings.TrimSpace(string(text))
		number, err := strconv.Atoi(pid)
		if err != nil {
			return nil, err
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", number))
		if err != nil {
			return nil, err
		}
		// The 22nd field: when the process was started.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		pids[nodeName(i)] = pid + " of " + fields[19]
	}
	return pids, nil
}

// same fails when a process is another one.
func (f *fleet) same(before map[string]string) error {
	after, err := f.pids()
	for name, process := range before {
		if err == nil && after[name] != process {
			err = fmt.Errorf("%s has process %s, and had %s", name, after[name], process)
		}
	}
	return err
}

// measureOutage takes etcd away for a while.
func (f *fleet) measureOutage() error {
	if f.outage == 0 {
		return nil
	}
	pids, err := f.pids()
	if err != nil {
		return err
	}
	f.etcd.Kill()
	pause(f.outage)
	if err := f.same(pids); err != nil {
		return err
	}
	cut := 0
	for _, a := range f.agents {
		ctx, cancel := context.WithTimeout(f.ctx, fleettest.Patience)
		report, err := a.node.Report(ctx)
		cancel()
		if err != nil {
			return err
		}
		if report.Node.CutOff != nil {
			cut++
		}
	}
	began := time.Now()
	if err := f.etcd.Start(); err != nil {
		return err
	}
	outages, err := f.reported(began)
	if err != nil {
		return err
	}
	f.say("etcd is away for %v: %d nodes know that they are cut off, and all %d real processes are the same; it is back: all nodes "+
		"are reported again after %v, %d with the outage, and the processes are the same", f.outage, cut, len(pids), since(began), outages)
	return f.same(pids)
}

// reported waits until all nodes have said something since the outage.
func (f *fleet) reported(began time.Time) (int, error) {
	deadline := time.Now().Add(3 * fleettest.Patience)
	for time.Now().Before(deadline) {
		fresh := 0
		got, err := f.client.Get(f.ctx, keys.StatusPrefix, clientv3.WithPrefix())
		if err != nil {
			pause(100 * time.Millisecond)
			continue
		}
		for _, kv := range got.Kvs {
			var said status.Report
			if json.Unmarshal(kv.Value, &said.Node) == nil && said.Node.WasCutOff != nil && said.Node.WasCutOff.To.After(began.UTC()) {
				fresh++
			}
		}
		if fresh == f.nodes {
			return fresh, nil
		}
		pause(100 * time.Millisecond)
	}
	return 0, errors.New("not all nodes came back")
}

// SPDX-License-Identifier: MPL-2.0

// A fleet in one program: many agents, each with its own connection, watches, lease and manager of the library, against a real
// etcd. It measures how long a change takes to run everywhere, and what the fleet costs the store.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sort"
	"time"

	"example.org/agent/fleet/fleettest"
)

type settings struct {
	nodes, perNode, real, changes int
	idle, outage, calm            time.Duration
	dir, nodesDir                 string
}

func main() {
	var s settings
	flag.IntVar(&s.nodes, "nodes", 1000, "how many nodes")
	flag.IntVar(&s.perNode, "per-node", 50, "how many declarations each has, the group's one beside")
	flag.IntVar(&s.real, "real", 20, "how many of the nodes have a real process")
	flag.IntVar(&s.changes, "changes", 10, "how many changes are measured")
	flag.DurationVar(&s.idle, "idle", 60*time.Second, "for how long idle traffic is measured")
	flag.DurationVar(&s.outage, "outage", 60*time.Second, "for how long etcd is away")
	flag.DurationVar(&s.calm, "calm", 2*time.Second, "how long nothing happens between two measurements; a node writes once a second")
	flag.StringVar(&s.dir, "dir", "", "where everything is kept; a temporary directory unless given")
	flag.StringVar(&s.nodesDir, "nodes-dir", "", "where the nodes keep their state; in dir unless given. A thousand nodes have a "+
		"thousand disks: a file system in memory stands for them")
	flag.Parse()
	// A manager has a few threads, and its run one of Go's.
	debug.SetMaxThreads(60_000)
	if err := measure(s); err != nil {
		fmt.Fprintf(os.Stderr, "fleet-sim: %v\n", err)
		os.Exit(1)
	}
}

func measure(s settings) (failed error) {
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "fleet-sim")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s.dir = dir
	}
	if s.nodesDir == "" {
		s.nodesDir = s.dir
	}
	nodes, err := os.MkdirTemp(s.nodesDir, "nodes")
	if err != nil {
		return err
	}
	defer os.RemoveAll(nodes)
	s.nodesDir = nodes
	members, err := fleettest.NewEtcd(filepath.Join(s.dir, "etcd"), 1, "--quota-backend-bytes", "8000000000")
	if err != nil {
		return err
	}
	etcd := members[0]
	if err := os.MkdirAll(filepath.Join(s.dir, "etcd"), 0o700); err != nil {
		return err
	}
	if err := etcd.Start(); err != nil {
		return err
	}
	defer etcd.Kill()
	f := &fleet{settings: s, etcd: etcd, ctx: context.Background()}
	defer func() {
		if err := f.end(); failed == nil {
			failed = err
		}
	}()
	for _, step := range []func() error{f.seed, f.start, f.measureIdle, f.measureGroupChanges, f.measureOwnChanges, f.measureBurst,
		f.measureRestart, f.measureOutage} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// percentiles say how samples are spread.
func percentiles(samples []time.Duration) string {
	if len(samples) == 0 {
		return "no samples"
	}
	sort.Slice(samples, func(i, j int) bool { return samples[i] < samples[j] })
	at := func(part float64) time.Duration {
		return samples[int(part*float64(len(samples)-1))].Round(time.Millisecond)
	}
	return fmt.Sprintf("median %v, p99 %v, max %v (%d samples)", at(0.5), at(0.99), at(1), len(samples))
}

// SPDX-License-Identifier: MPL-2.0

// Package node is the agent of one node: it follows a store, and has the library run what was decided.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/apply"
	"example.org/agent/fleet/cache"
	"example.org/agent/fleet/plan"
	"example.org/agent/fleet/status"
	"example.org/agent/fleet/store"
	"example.org/agent/proxyprocess"
)

// Config is what an agent is started with.
type Config struct {
	// Name is the node.
	Name string
	// DataDir is where the last good state and the processes are kept.
	DataDir string
	// Library are settings of the library; its data directory is made in DataDir.
	Library proxyprocess.ManagerOptions
	// Client reaches the store; nil when the declarations come from a directory.
	Client *clientv3.Client
	// Dir is that directory.
	Dir string
	// MaxRemoved is how many proxies can be removed in RemovalWindow without a confirmation.
	MaxRemoved int
	// LeaseTTL is after which the status of a node that is gone vanishes.
	LeaseTTL time.Duration
	// Log takes lines.
	Log func(level proxyprocess.LogLevel, format string, values ...interface{})
}

// RemovalWindow is the time in which removals are counted together.
const RemovalWindow = 10 * time.Minute

// Node is a running agent.
type Node struct {
	config    Config
	file      cache.File
	checker   *apply.Checker
	library   *apply.Library
	source    store.Source
	reporter  *status.Reporter
	started   time.Time
	updates   chan store.Update
	happened  chan struct{}
	questions chan chan status.Report

	// good is the last good state, as it is on the disk.
	good cache.State
	// view is what the store says; it is that of the good state unless the store is not trusted.
	view     plan.View
	position plan.Position
	distrust string
	// suspicion is why removals of the update that is taken may be mistakes, and groupsGone that the list of groups is gone.
	suspicion  string
	groupsGone bool
	// lost tells that the last good state is not known, and that the library runs nothing until it is known what it must.
	lost    bool
	running bool
	held    *plan.Held
	// confirms are the confirmations that there are, by their place.
	confirms map[string]confirmation
	// other are the keys that are no declarations, and unsaved tells that the last good state on the disk is behind.
	other    map[string]store.KV
	unsaved  bool
	recent   []time.Time
	problems map[string]string

	rollouts map[string]*group
	// work are the goroutines of the queues.
	work    sync.WaitGroup
	granted chan grant
	lease   clientv3.LeaseID

	// heard tells that the source has said something to this agent. Before that it would report that nothing is held back.
	heard     bool
	cutOff    *time.Time
	cutWhy    string
	wasCutOff *status.Outage

	// follows is up to which revision everything runs; wanted is what is to run.
	follows, wanted int64
	reportAt        time.Time
	// retryAt is when a write to the disk that has failed is tried again.
	retryAt   time.Time
	changedAt time.Time
	changes   bool

	// What the lease hears of the store is compared with these.
	seenCluster, seenRevision int64
}

type confirmation struct {
	word    string
	version int64
}

// Open reads the last good state, and has the library take over what an earlier agent left.
func Open(config Config) (*Node, error) {
	if err := os.MkdirAll(config.DataDir, 0o700); err != nil {
		return nil, err
	}
	checker, err := apply.NewChecker()
	if err != nil {
		return nil, err
	}
	options := config.Library
	options.DataDir = filepath.Join(config.DataDir, "proxies")
	options.QuiescentPeriod, options.CoalescePeriod = apply.Quiescent, apply.Coalesce
	n := &Node{
		config: config, file: cache.In(config.DataDir), checker: checker, started: time.Now(),
		updates: make(chan store.Update), happened: make(chan struct{}, 1), granted: make(chan grant),
		questions: make(chan chan status.Report),
		confirms:  map[string]confirmation{}, problems: map[string]string{}, rollouts: map[string]*group{}, other: map[string]store.KV{},
	}
	// ORDER: the library locks its data directory, and with it the state that is read then.
	n.library, err = apply.Open(options, func(err error) { n.log(proxyprocess.LogError, "%v", err) })
	if err != nil {
		return nil, err
	}
	if err := n.recall(); err != nil {
		n.library.Close()
		return nil, err
	}
	if config.Client == nil {
		n.source = store.NewDir(config.Dir)
	} else {
		n.source = store.NewEtcd(config.Client, config.Name, n.good.Position, &n.good.View)
		n.reporter = status.NewReporter(config.Client, config.Name, config.LeaseTTL, n.seen, n.source.Recheck, func(err error) {
			n.log(proxyprocess.LogWarn, "%v", err)
		})
	}
	return n, nil
}

func (n *Node) log(level proxyprocess.LogLevel, format string, values ...interface{}) {
	n.config.Log(level, format, values...)
}

// recall makes the last good state the one that is wanted. Without it, proxies that an earlier agent left are kept as they are
// until the store names all of them.
func (n *Node) recall() error {
	source := "etcd"
	if n.config.Client == nil {
		source = "dir"
	}
	good, err := n.file.Read()
	if errors.Is(err, cache.ErrCorrupt) {
		n.log(proxyprocess.LogError, "%v", err)
	} else if err != nil {
		return err
	}
	if good != nil && good.Node != n.config.Name {
		return fmt.Errorf("%s: the state is of node %q, not of %q", n.file, good.Node, n.config.Name)
	}
	n.good = cache.State{Node: n.config.Name, Source: source, Applied: plan.Desired{}}
	if good == nil {
		recorded, err := n.library.Recorded()
		n.lost = len(recorded) > 0
		return err
	}
	if good.Source == source {
		n.good = *good
	} else {
		// What runs is kept; what another source said does not count for this one.
		n.good.Applied = good.Applied
	}
	if n.good.Applied == nil {
		n.good.Applied = plan.Desired{}
	}
	n.view, n.position = n.good.View, n.good.Position
	n.follows, n.wanted = n.position.Revision, n.position.Revision
	for _, kv := range n.good.Other {
		n.takeOther(kv)
	}
	n.unsaved = false
	n.remember()
	return n.library.Apply(n.good.Applied, plan.Compare(plan.Desired{}, n.good.Applied))
}

// seen compares what an answer says of the store with what is known. A node that is behind says the same as one that has gone
// back, so the store is only asked again.
func (n *Node) seen(cluster uint64, revision int64) {
	known := atomic.LoadInt64(&n.seenCluster)
	if known != 0 && (int64(cluster) != known || revision < atomic.LoadInt64(&n.seenRevision)) {
		n.source.Recheck()
	}
}

func (n *Node) remember() {
	atomic.StoreInt64(&n.seenRevision, n.position.Revision)
	atomic.StoreInt64(&n.seenCluster, int64(n.position.Cluster))
}

// Run follows the store until the context is done. The proxies run on.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var ends []chan struct{}
	begin := func(function func(context.Context)) {
		end := make(chan struct{})
		ends = append(ends, end)
		go func() {
			defer close(end)
			function(ctx)
		}()
	}
	defer func() {
		cancel()
		n.work.Wait()
		for _, end := range ends {
			<-end
		}
	}()
	begin(func(ctx context.Context) { n.library.Happened(ctx, n.happened) })
	begin(func(ctx context.Context) {
		n.source.Run(ctx, func(update store.Update) {
			select {
			case n.updates <- update:
			case <-ctx.Done():
			}
		})
	})
	if n.reporter != nil {
		begin(n.reporter.Run)
	}
	ran := make(chan error, 1)
	start := func() {
		if !n.running && !n.lost {
			n.running = true
			go func() { ran <- n.library.Run() }()
		}
	}
	start()
	if n.lost {
		n.log(proxyprocess.LogError, "the last good state is not known: proxies of an earlier agent are left as they are "+
			"until the store names all of them, and nothing is started")
	}
	var leases <-chan clientv3.LeaseID
	if n.reporter != nil {
		leases = n.reporter.Leases()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ran:
			if err == nil {
				err = errors.New("the library has ended")
			}
			return err
		case update := <-n.updates:
			n.take(ctx, update)
			start()
		case <-n.happened:
			n.changes = true
		case n.lease = <-leases:
			n.requeue(ctx)
		case grant := <-n.granted:
			n.grant(grant)
		case answer := <-n.questions:
			answer <- n.report()
		case <-timer.C:
		}
		next := n.step(ctx, time.Now())
		if !timer.Stop() {
			select {
			case <-timer.C:
			default:
			}
		}
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// Report is what the node says now; it must be running.
func (n *Node) Report(ctx context.Context) (status.Report, error) {
	answer := make(chan status.Report, 1)
	select {
	case n.questions <- answer:
		return <-answer, nil
	case <-ctx.Done():
		return status.Report{}, ctx.Err()
	}
}

// Library is what runs the proxies, for the end.
func (n *Node) Library() *apply.Library { return n.library }

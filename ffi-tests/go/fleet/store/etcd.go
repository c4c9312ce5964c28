// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
	"google.golang.org/grpc/connectivity"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/plan"
)

// Etcd follows the keys of one node and its groups.
type Etcd struct {
	client  *clientv3.Client
	node    string
	recheck chan struct{}

	mu sync.Mutex
	// What is known, from which a watch goes on: by prefix or key.
	known   map[string]plan.Span
	cluster uint64
	groups  []string
	// Groups that could not be read, and why.
	denied map[string]string
}

// NewEtcd makes the source of a node, which goes on from what the node knows.
func NewEtcd(client *clientv3.Client, node string, at plan.Position, view *plan.View) *Etcd {
	known := map[string]plan.Span{}
	for key, span := range at.Spans {
		known[key] = span
	}
	return &Etcd{
		client: client, node: node, recheck: make(chan struct{}, 1),
		known: known, cluster: at.Cluster, groups: view.Groups, denied: map[string]string{},
	}
}

// errWhole and errCompare are ends of a session that is followed by another one at once, which reads everything, or compares what
// is known with the store.
var (
	errWhole   = errors.New("read everything again")
	errCompare = errors.New("compare again")
)

// Recheck has another session begin.
func (e *Etcd) Recheck() {
	select {
	case e.recheck <- struct{}{}:
	default:
	}
}

// Run delivers updates until the context is done. Each session reads or resumes, then watches, and ends with whatever went
// wrong.
func (e *Etcd) Run(ctx context.Context, deliver func(Update)) {
	const most = 3 * time.Second
	wait := time.Duration(0)
	var lost time.Time
	for whole := false; ctx.Err() == nil; {
		begun := time.Now()
		reached := false
		err := e.session(ctx, whole, func(update Update) {
			reached = true
			deliver(update)
		})
		if ctx.Err() != nil {
			return
		}
		if reached || lost.IsZero() {
			lost = time.Now()
			if !reached {
				lost = begun
			}
		}
		whole = errors.Is(err, errWhole)
		if reached {
			wait = 0
		}
		if reached && (whole || errors.Is(err, errCompare)) {
			if time.Since(begun) > time.Second {
				continue
			}
			// Once more so soon: whatever it is, it does not become a storm.
		} else {
			deliver(Update{Cut: err.Error(), Since: lost})
		}
		if wait = 2*wait + 100*time.Millisecond; wait > most {
			wait = most
		}
		// A thousand nodes that lost the same store do not come back in the same instant.
		timer := time.NewTimer(wait/2 + time.Duration(rand.Int63n(int64(wait))))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// span is a range of keys that is read and watched as one.
type span struct {
	key   string
	exact bool
}

func (s span) options(more ...clientv3.OpOption) []clientv3.OpOption {
	if !s.exact {
		more = append(more, clientv3.WithPrefix())
	}
	return more
}

func spansOf(node string, groups []string, denied map[string]string) []span {
	spans := []span{{keys.NodePrefix(node), false}}
	for _, group := range groups {
		if denied[group] == "" {
			spans = append(spans, span{keys.GroupPrefix(group), false}, span{keys.RolloutKey(group), true},
				span{keys.Key{Kind: keys.RolloutFailed, Name: group}.String(), true})
		}
	}
	return spans
}

func (e *Etcd) session(ctx context.Context, whole bool, deliver func(Update)) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	select {
	case <-e.recheck:
	default:
	}
	past, err := e.compare(ctx)
	if err != nil {
		return err
	}
	if past.same && !whole {
		deliver(Update{Resumed: true, Cluster: e.cluster})
		return e.watch(ctx, deliver)
	}
	update, err := e.read(ctx)
	if err != nil {
		return err
	}
	update.OtherPast, update.Unproven = past.other, past.unproven
	deliver(update)
	return e.watch(ctx, deliver)
}

// watch delivers what changes, until something goes wrong or everything must be read again.
func (e *Etcd) watch(ctx context.Context, deliver func(Update)) error {
	type response struct {
		span     span
		response clientv3.WatchResponse
		ended    bool
	}
	responses := make(chan response)
	for _, span := range spansOf(e.node, e.groups, e.denied) {
		span := span
		from := e.known[span.key].Revision + 1
		go func() {
			// RACE: this waits until the store has made the watch, for ever when the store hangs just then.
			channel := e.client.Watch(ctx, span.key, span.options(clientv3.WithRev(from))...)
			for {
				got, open := <-channel
				select {
				case responses <- response{span, got, !open}:
				case <-ctx.Done():
					return
				}
				if !open {
					return
				}
			}
		}()
	}
	lost := make(chan struct{})
	go func() {
		defer close(lost)
		e.awaitLoss(ctx)
	}()
	var again <-chan time.Time
	if len(e.denied) > 0 {
		timer := time.NewTimer(time.Minute)
		defer timer.Stop()
		again = timer.C
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.recheck:
			return errCompare
		case <-lost:
			return errCompare
		case <-again:
			return errWhole
		case got := <-responses:
			switch err := got.response.Err(); {
			case errors.Is(err, rpctypes.ErrCompacted):
				return errWhole
			case err != nil:
				return failed("watch", got.span.key, err)
			case got.ended:
				return fmt.Errorf("watch %s: ended", got.span.key)
			case got.response.Header.ClusterId != e.cluster:
				return errCompare
			}
			update, regroup := e.take(got.span, got.response.Events)
			if len(got.response.Events) > 0 {
				deliver(update)
			}
			if regroup {
				return errWhole
			}
		}
	}
}

// awaitLoss returns when the connection is lost, or the context is done. The client's watches would wait for another connection
// without a word.
func (e *Etcd) awaitLoss(ctx context.Context) {
	connection := e.client.ActiveConnection()
	for state := connection.GetState(); state == connectivity.Ready; state = connection.GetState() {
		if !connection.WaitForStateChange(ctx, state) {
			return
		}
	}
}

// take makes an update of events, and tells whether the node has other groups now.
func (e *Etcd) take(span span, events []*clientv3.Event) (update Update, regroup bool) {
	known := e.known[span.key]
	update.Cluster = e.cluster
	for _, event := range events {
		kv := KV{Key: keys.Parse(string(event.Kv.Key)), Value: event.Kv.Value, Version: event.Kv.ModRevision}
		if kv.Gone = event.Type == clientv3.EventTypeDelete; kv.Gone {
			known = known.Delete(kv.Version)
		} else {
			known = known.Put(kv.Version, event.IsCreate())
		}
		if kv.Key.Kind != keys.Unknown {
			update.Keys = append(update.Keys, kv)
		}
		if groups, err := plan.ParseGroups(kv.Value); kv.Key.Kind == keys.NodeGroups && !kv.Gone && err == nil {
			regroup = !same(groups, e.groups)
		}
		update.Revision = kv.Version
	}
	e.known[span.key] = known
	update.Spans = map[string]plan.Span{span.key: known}
	return update, regroup
}

func same(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

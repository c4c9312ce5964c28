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

// past is what a store says of the revisions up to which its keys are known.
type past struct {
	// same tells that the watches can go on from there.
	same bool
	// other says what is not as it was, and unproven why that cannot be told.
	other, unproven string
}

// compare compares the past of the store with what is known: each range must have been, at the revision up to which it is known,
// as it is known. That costs one small read a range, however much is in it.
func (e *Etcd) compare(ctx context.Context) (past, error) {
	spans := spansOf(e.node, e.groups, e.denied)
	if _, known := e.known[spans[0].key]; !known {
		// Nothing is known, so it is only asked whether the store is there: that takes less time than to read all.
		ctx, cancel := context.WithTimeout(ctx, Timeout)
		defer cancel()
		if _, err := e.client.Get(ctx, spans[0].key, clientv3.WithKeysOnly()); err != nil {
			return past{}, failed("ask", spans[0].key, err)
		}
		return past{}, nil
	}
	result := past{same: len(e.denied) == 0}
	for _, span := range spans {
		known, ok := e.known[span.key]
		if !ok {
			result.same = false
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, Timeout)
		// The newest key of the range and, as always, how many there are in it.
		newest := span.options(clientv3.WithRev(known.Revision), clientv3.WithKeysOnly(), clientv3.WithLimit(1),
			clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))
		got, err := e.client.Get(ctx, span.key, newest...)
		cancel()
		switch {
		case errors.Is(err, rpctypes.ErrCompacted):
			result.same = false
			result.unproven = fmt.Sprintf("revision %d is compacted, so the store cannot show how they went", known.Revision)
			continue
		case errors.Is(err, rpctypes.ErrFutureRev), isDenied(err):
			// What is read then shows which.
			result.same = false
			continue
		case err != nil:
			return past{}, failed("ask", span.key, err)
		}
		written := int64(0)
		if len(got.Kvs) > 0 {
			written = got.Kvs[0].ModRevision
		}
		if got.Header.ClusterId != e.cluster || !known.Same(got.Count, written) {
			result.same = false
			result.other = fmt.Sprintf("%s was not at revision %d what it was", span.key, known.Revision)
		}
	}
	return result, nil
}

// page is how many keys are read at a time.
const page = 500

// read reads everything, at one revision.
func (e *Etcd) read(ctx context.Context) (Update, error) {
	update := Update{Whole: true, Denied: map[string]string{}, Spans: map[string]plan.Span{}}
	read := func(span span) error {
		var now plan.Span
		from := span.key
		for {
			options := []clientv3.OpOption{clientv3.WithLimit(page), clientv3.WithRev(update.Revision)}
			if !span.exact {
				options = append(options, clientv3.WithRange(clientv3.GetPrefixRangeEnd(span.key)))
			}
			ctx, cancel := context.WithTimeout(ctx, 4*Timeout)
			got, err := e.client.Get(ctx, from, options...)
			cancel()
			if err != nil {
				return err
			}
			if update.Revision == 0 {
				update.Revision, update.Cluster = got.Header.Revision, got.Header.ClusterId
			}
			if got.Header.ClusterId != update.Cluster {
				return errors.New("two stores answer at these endpoints")
			}
			for _, kv := range got.Kvs {
				now.Count++
				if kv.ModRevision > now.Newest {
					now.Newest = kv.ModRevision
				}
				if key := keys.Parse(string(kv.Key)); key.Kind != keys.Unknown {
					update.Keys = append(update.Keys, KV{Key: key, Value: kv.Value, Version: kv.ModRevision})
				}
			}
			if !got.More || len(got.Kvs) == 0 {
				now.Revision = update.Revision
				update.Spans[span.key] = now
				return nil
			}
			from = string(got.Kvs[len(got.Kvs)-1].Key) + "\x00"
		}
	}
	own := span{keys.NodePrefix(e.node), false}
	if err := read(own); err != nil {
		return update, failed("read", own.key, err)
	}
	groups := e.groups
	for _, kv := range update.Keys {
		if kv.Key.Kind == keys.NodeGroups {
			// A list that is none changes nothing, nor does one that is not there: a node leaves its groups by an empty list.
			if read, err := plan.ParseGroups(kv.Value); err == nil {
				groups = read
			}
		}
	}
	update.Groups = groups
	for _, group := range groups {
		for _, span := range spansOf(e.node, []string{group}, nil)[1:] {
			err := read(span)
			if isDenied(err) {
				update.Denied[group] = failed("read", span.key, err).Error()
				break
			}
			if err != nil {
				return update, failed("read", span.key, err)
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known, e.cluster, e.groups, e.denied = map[string]plan.Span{}, update.Cluster, groups, update.Denied
	for key, span := range update.Spans {
		e.known[key] = span
	}
	return update, nil
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
		channel := e.client.Watch(ctx, span.key, span.options(clientv3.WithRev(from))...)
		go func() {
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

// Verify reads declarations at one revision.
func (e *Etcd) Verify(ctx context.Context, ids []string) (Update, error) {
	e.mu.Lock()
	update := Update{Cluster: e.cluster, Spans: map[string]plan.Span{}}
	places := []keys.Key{{Kind: keys.NodeProxy, Name: e.node}}
	for _, group := range e.groups {
		if e.denied[group] == "" {
			places = append(places, keys.Key{Kind: keys.GroupProxy, Name: group})
		}
	}
	e.mu.Unlock()
	var wanted []keys.Key
	for _, id := range ids {
		for _, place := range places {
			place.ID = id
			wanted = append(wanted, place)
		}
	}
	// etcd takes 128 operations at a time. An id is always within one of them, so it is seen at one revision.
	at := len(places) * (128 / len(places))
	for len(wanted) > 0 {
		now := wanted
		if len(now) > at {
			now = now[:at]
		}
		wanted = wanted[len(now):]
		var reads []clientv3.Op
		for _, key := range now {
			reads = append(reads, clientv3.OpGet(key.String()))
		}
		ctx, cancel := context.WithTimeout(ctx, Timeout)
		got, err := e.client.Txn(ctx).Then(reads...).Commit()
		cancel()
		if err != nil {
			return update, failed("verify", now[0].String(), err)
		}
		if got.Header.ClusterId != update.Cluster {
			return update, errors.New("verify: another store answers")
		}
		update.Revision = got.Header.Revision
		for i, answer := range got.Responses {
			for _, kv := range answer.GetResponseRange().Kvs {
				update.Keys = append(update.Keys, KV{Key: now[i], Value: kv.Value, Version: kv.ModRevision})
			}
		}
	}
	return update, nil
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

func isDenied(err error) bool {
	return errors.Is(err, rpctypes.ErrPermissionDenied)
}

func failed(operation, key string, err error) error {
	return fmt.Errorf("%s %s: %w", operation, key, err)
}

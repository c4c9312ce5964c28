// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/plan"
)

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

func isDenied(err error) bool {
	return errors.Is(err, rpctypes.ErrPermissionDenied)
}

func failed(operation, key string, err error) error {
	return fmt.Errorf("%s %s: %w", operation, key, err)
}

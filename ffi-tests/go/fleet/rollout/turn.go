// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/store"
)

// Queue is where the nodes of a group wait for their turns, in the order in which they came. A place in it is a key under the
// node's lease, so an agent that dies gives its turn back.
type Queue struct {
	Client *clientv3.Client
	Group  string
	Node   string
}

func (q Queue) key() string { return keys.TurnsPrefix(q.Group) + q.Node }

// Wait enters the queue, and returns when the node has its turn. What goes wrong is tried again until the context is done.
func (q Queue) Wait(ctx context.Context, lease clientv3.LeaseID, spec Spec) error {
	for {
		err := q.wait(ctx, lease, spec)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		timer := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (q Queue) wait(ctx context.Context, lease clientv3.LeaseID, spec Spec) error {
	asked, cancel := context.WithTimeout(ctx, store.Timeout)
	defer cancel()
	// A place of an earlier agent of this node is taken over, with its lease changed to this one: it is the same node, which
	// must not wait for itself.
	got, err := q.Client.Txn(asked).Then(
		clientv3.OpPut(q.key(), "", clientv3.WithLease(lease)),
		clientv3.OpGet(q.key()),
	).Commit()
	if err != nil {
		return fmt.Errorf("enter the queue of %s: %w", q.Group, err)
	}
	place := got.Responses[1].GetResponseRange().Kvs[0].CreateRevision
	for {
		before, wait, err := q.before(ctx, place, spec)
		if err != nil || before == 0 {
			return err
		}
		if err := wait(); err != nil {
			return err
		}
	}
}

// before tells how many nodes must give their turns back before this one has its own, and how to wait for a sign of that.
func (q Queue) before(ctx context.Context, place int64, spec Spec) (int, func() error, error) {
	asked, cancel := context.WithTimeout(ctx, store.Timeout)
	defer cancel()
	members, err := q.Client.Get(asked, keys.MembersPrefix(q.Group), clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, nil, fmt.Errorf("count the nodes of %s: %w", q.Group, err)
	}
	turns := spec.Turns(int(members.Count))
	ahead, err := q.Client.Get(asked, keys.TurnsPrefix(q.Group), clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithMaxCreateRev(place-1), clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortDescend))
	if err != nil {
		return 0, nil, fmt.Errorf("read the queue of %s: %w", q.Group, err)
	}
	count := len(ahead.Kvs)
	if count < turns {
		return 0, nil, nil
	}
	// The first ones wait for any turn that is given back. The nodes behind them wait for the one that is as many places ahead
	// as there are turns: else each turn that is given back would wake up all.
	key, options := keys.TurnsPrefix(q.Group), []clientv3.OpOption{clientv3.WithPrefix()}
	if count >= 2*turns {
		key, options = string(ahead.Kvs[turns-1].Key), nil
	}
	options = append(options, clientv3.WithRev(ahead.Header.Revision+1), clientv3.WithFilterPut())
	return count - turns + 1, func() error {
		ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
		defer cancel()
		for got := range q.Client.Watch(ctx, key, options...) {
			if err := got.Err(); err != nil {
				return err
			}
			if len(got.Events) > 0 {
				return nil
			}
		}
		return fmt.Errorf("watch the queue of %s: ended", q.Group)
	}, nil
}

// Leave gives the turn or the place in the queue back.
func (q Queue) Leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, store.Timeout)
	defer cancel()
	if _, err := q.Client.Delete(ctx, q.key()); err != nil {
		return fmt.Errorf("leave the queue of %s: %w", q.Group, err)
	}
	return nil
}

// Fail tells all nodes of the group that a change has failed, unless that was told already.
func (q Queue) Fail(ctx context.Context, failure Failure) error {
	text, err := json.Marshal(failure)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, store.Timeout)
	defer cancel()
	key := keys.Key{Kind: keys.RolloutFailed, Name: q.Group}.String()
	if _, err := q.Client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, string(text))).Commit(); err != nil {
		return fmt.Errorf("tell the failure of %s: %w", q.Group, err)
	}
	return nil
}

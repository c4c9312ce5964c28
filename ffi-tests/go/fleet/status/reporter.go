// SPDX-License-Identifier: MPL-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"

	"example.org/agent/fleet/store"
)

const (
	// Period is the least time between two writes of a node.
	Period = time.Second
	// mostChanges is how many keys one write has; etcd takes 128 operations.
	mostChanges = 100
)

var errLost = errors.New("the lease is lost")

// Reporter writes reports, coalesced, under a lease that it keeps.
type Reporter struct {
	client *clientv3.Client
	node   string
	ttl    int64
	// The report that waits to be written; a newer one takes its place.
	reports chan Report
	// Leases are told here: a new one, and 0 for none.
	leases chan clientv3.LeaseID
	// Seen is told what each answer says of the store.
	seen func(cluster uint64, revision int64)
	// Lost is told that there is no lease any more, which is how a connection that leads nowhere is noticed.
	lost func()
	warn func(error)
}

// NewReporter makes a reporter of a node. Its lease ends so long after the node was heard of last.
func NewReporter(
	client *clientv3.Client, node string, ttl time.Duration, seen func(uint64, int64), lost func(), warn func(error),
) *Reporter {
	return &Reporter{client, node, int64(ttl / time.Second), make(chan Report, 1), make(chan clientv3.LeaseID, 1), seen, lost, warn}
}

// Report has a report written soon. Only one goroutine may call it.
func (r *Reporter) Report(report Report) {
	select {
	case <-r.reports:
	default:
	}
	r.reports <- report
}

// Leases has each new lease, and 0 when there is none any more. What is not taken is replaced.
func (r *Reporter) Leases() <-chan clientv3.LeaseID { return r.leases }

func (r *Reporter) tell(lease clientv3.LeaseID) {
	select {
	case <-r.leases:
	default:
	}
	r.leases <- lease
}

// Run writes until the context is done. The lease is left to end by itself: the next agent of the node writes soon.
func (r *Reporter) Run(ctx context.Context) {
	var last *Report
	for said := ""; ctx.Err() == nil; {
		err := r.lease(ctx, &last)
		if ctx.Err() != nil {
			return
		}
		r.tell(0)
		r.lost()
		if text := fmt.Sprint(err); text != said {
			said = text
			r.warn(fmt.Errorf("status: %w", err))
		}
		timer := time.NewTimer(time.Second + time.Duration(rand.Int63n(int64(time.Second))))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// lease writes under one lease, until that is lost.
func (r *Reporter) lease(ctx context.Context, last **Report) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked, stop := context.WithTimeout(ctx, store.Timeout)
	granted, err := r.client.Grant(asked, r.ttl)
	stop()
	if err != nil {
		return fmt.Errorf("get a lease: %w", err)
	}
	r.seen(granted.ResponseHeader.ClusterId, granted.ResponseHeader.Revision)
	alive, err := r.client.KeepAlive(ctx, granted.ID)
	if err != nil {
		return fmt.Errorf("keep the lease: %w", err)
	}
	r.tell(granted.ID)
	// Under a new lease all is written again.
	written := map[string][]byte{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	if *last == nil {
		<-timer.C
	}
	said := ""
	for idle := *last == nil; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case answer := <-alive:
			if answer == nil {
				return errLost
			}
			r.seen(answer.ResponseHeader.ClusterId, answer.ResponseHeader.Revision)
		case report := <-r.reports:
			*last = &report
			if idle {
				idle = false
				timer.Reset(0)
			}
		case <-timer.C:
			changed, err := r.write(ctx, granted.ID, **last, written)
			if errors.Is(err, errLost) {
				return err
			}
			if err != nil {
				// The lease may be well: another one each time would only pile up.
				if err.Error() != said {
					said = err.Error()
					r.warn(fmt.Errorf("status: %w", err))
				}
				timer.Reset(2 * Period)
				continue
			}
			// ORDER: the period begins with the write; without one the next report is written at once.
			if idle = !changed; changed {
				timer.Reset(Period)
			}
		}
	}
}

func (r *Reporter) write(
	ctx context.Context, lease clientv3.LeaseID, report Report, written map[string][]byte,
) (bool, error) {
	wanted, err := report.Keys(r.node)
	if err != nil {
		return false, err
	}
	changes := Changes(written, wanted, r.node, mostChanges)
	if len(changes) == 0 {
		return false, nil
	}
	var writes []clientv3.Op
	for _, change := range changes {
		if change.Value == nil {
			writes = append(writes, clientv3.OpDelete(change.Key))
		} else {
			writes = append(writes, clientv3.OpPut(change.Key, string(change.Value), clientv3.WithLease(lease)))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, store.Timeout)
	defer cancel()
	got, err := r.client.Txn(ctx).Then(writes...).Commit()
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return false, errLost
	}
	if err != nil {
		return false, fmt.Errorf("write: %w", err)
	}
	r.seen(got.Header.ClusterId, got.Header.Revision)
	for _, change := range changes {
		if change.Value == nil {
			delete(written, change.Key)
		} else {
			written[change.Key] = change.Value
		}
	}
	return true, nil
}

// SPDX-License-Identifier: MPL-2.0

package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"

	"example.org/agent/fleet/keys"
)

// history shows the changes that etcd still has, the newest last.
func history(c *command, args []string) error {
	c.places()
	place, err := c.openAt(args, 1)
	if err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	events, from, err := c.changes(ctx, place)
	if err != nil {
		return err
	}
	if from > 1 {
		fmt.Fprintf(c.Out, "revisions before %d are compacted\n", from)
	}
	for _, event := range events {
		id := keys.Parse(string(event.Kv.Key)).ID
		if wanted := c.flags.Arg(0); wanted != "" && id != wanted {
			continue
		}
		switch {
		case event.Type == clientv3.EventTypeDelete:
			fmt.Fprintf(c.Out, "%d  - %q\n", event.Kv.ModRevision, id)
		case event.IsCreate():
			fmt.Fprintf(c.Out, "%d  + %q\n", event.Kv.ModRevision, id)
		case event.PrevKv == nil:
			fmt.Fprintf(c.Out, "%d  ~ %q\n", event.Kv.ModRevision, id)
		default:
			fmt.Fprintf(c.Out, "%d  ~ %q: %s\n", event.Kv.ModRevision, id, changedFields(event.PrevKv.Value, event.Kv.Value))
		}
	}
	return nil
}

// quiet is for how long no event comes once all are there. etcd sends what a watch has missed in batches, ten times a second, and
// has no word for the last one.
const quiet = 500 * time.Millisecond

// changes are the events of a range of keys since it was compacted, and from which revision on they are.
func (c *command) changes(ctx context.Context, place keys.Key) ([]*clientv3.Event, int64, error) {
	now, _, err := c.declared(ctx, place, 0)
	if err != nil {
		return nil, 0, err
	}
	place.ID = ""
	for from := int64(1); ; {
		events, err := c.eventsFrom(ctx, place.String(), from, now)
		var compacted compactedError
		if !errors.As(err, &compacted) {
			return events, from, err
		}
		from = int64(compacted)
	}
}

// compactedError is the first revision that is not compacted.
type compactedError int64

func (compactedError) Error() string { return rpctypes.ErrCompacted.Error() }

// eventsFrom reads events until they make up what is there now, and no more come.
func (c *command) eventsFrom(
	ctx context.Context, prefix string, from int64, now map[string][]byte,
) ([]*clientv3.Event, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var events []*clientv3.Event
	seen := map[string][]byte{}
	if from > 1 {
		// What is older than the compaction stands from before.
		got, err := c.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(from))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", prefix, err)
		}
		for _, kv := range got.Kvs {
			if kv.ModRevision < from {
				seen[keys.Parse(string(kv.Key)).ID] = kv.Value
			}
		}
	}
	responses := c.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(from), clientv3.WithPrevKV(),
		clientv3.WithCreatedNotify())
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		select {
		case got, open := <-responses:
			if got.CompactRevision > 0 {
				return nil, compactedError(got.CompactRevision)
			}
			if err := got.Err(); err != nil || !open {
				return nil, fmt.Errorf("watch %s: %v", prefix, err)
			}
			for _, event := range got.Events {
				id := keys.Parse(string(event.Kv.Key)).ID
				if event.Type == clientv3.EventTypeDelete {
					delete(seen, id)
				} else {
					seen[id] = event.Kv.Value
				}
			}
			events = append(events, got.Events...)
		case <-timer.C:
			if same(seen, now) {
				return events, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("read the history of %s: %w", prefix, ctx.Err())
		}
		if !timer.Stop() {
			select {
			case <-timer.C:
			default:
			}
		}
		timer.Reset(quiet)
	}
}

func same(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for id, value := range a {
		other, there := b[id]
		if !there || !bytes.Equal(value, other) {
			return false
		}
	}
	return true
}

// rollback declares again what was declared at a revision.
func rollback(c *command, args []string) error {
	c.places()
	revision := c.flags.Int64("revision", 0, "go back to this `revision`")
	place, err := c.openAt(args, most)
	if err != nil {
		return err
	}
	if *revision < 1 {
		return Usage("rollback: expected --revision")
	}
	return c.goBack(place, *revision, c.flags.Args())
}

// goBack makes the declarations what they were, of some ids or of all.
func (c *command) goBack(place keys.Key, revision int64, ids []string) error {
	ctx, cancel := c.context()
	defer cancel()
	before, _, err := c.declared(ctx, place, revision)
	if err != nil {
		return err
	}
	now, _, err := c.declared(ctx, place, 0)
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		of := func(all map[string][]byte) map[string][]byte {
			some := map[string][]byte{}
			for _, id := range ids {
				if value, there := all[id]; there {
					some[id] = value
				}
			}
			return some
		}
		before, now = of(before), of(now)
	}
	put := map[string][]byte{}
	var gone []string
	for id, value := range before {
		if current, there := now[id]; !there || !bytes.Equal(current, value) {
			put[id] = value
		}
	}
	for id := range now {
		if _, was := before[id]; !was {
			gone = append(gone, id)
		}
	}
	if len(put)+len(gone) == 0 {
		fmt.Fprintln(c.Out, "nothing differs")
		return nil
	}
	if err := check(put); err != nil {
		return err
	}
	c.showDiff(now, before)
	return c.write(place, put, gone)
}

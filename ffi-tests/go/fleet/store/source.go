// SPDX-License-Identifier: MPL-2.0

// Package store is where the desired state comes from: etcd, or a directory of files.
package store

import (
	"context"
	"time"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/plan"
)

// KV is a key and its value.
type KV struct {
	Key   keys.Key
	Value []byte
	// Version is the revision in which it was written, or deleted.
	Version int64
	// Gone tells that it was deleted.
	Gone bool
}

// Update is what a source has to say.
type Update struct {
	// Cut says why the source is not reached; all else is empty then. What was said before stands.
	Cut string
	// Since is since when it is not reached.
	Since time.Time
	// Resumed tells that the source is reached again, and that nothing has changed meanwhile.
	Resumed bool
	// Whole tells that Keys is all that there is, at one revision, for the node and for Groups. Else it is what has changed.
	Whole bool
	// OtherPast says what shows that the past of the store is not the one that is known, and Unproven why that cannot be told;
	// of an update that is whole.
	OtherPast, Unproven string
	// Cluster tells stores apart.
	Cluster uint64
	// Revision is the revision of what is said.
	Revision int64
	// Groups are the groups of the node that were read, and Denied those that cannot be, and why: what is known of them
	// stands. Both are of an update that is whole.
	Groups []string
	Denied map[string]string
	Keys   []KV
	// Spans is up to where which keys are known now.
	Spans map[string]plan.Span
}

// Source delivers updates.
type Source interface {
	// Run delivers updates until the context is done.
	Run(ctx context.Context, deliver func(Update))
	// Verify reads declarations of these ids, of the node and of all its groups, each at one revision: those that exist. A
	// removal that was heard of is followed only when it is true in all places at once.
	Verify(ctx context.Context, ids []string) (Update, error)
	// Recheck has Run compare what is known with the source again.
	Recheck()
}

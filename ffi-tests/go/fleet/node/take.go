// SPDX-License-Identifier: MPL-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/plan"
	"example.org/agent/fleet/status"
	"example.org/agent/fleet/store"
	"example.org/agent/proxyprocess"
)

// take follows what the source says.
func (n *Node) take(ctx context.Context, update store.Update) {
	now := time.Now()
	n.heard = true
	if update.Cut != "" {
		n.cutWhy = update.Cut
		if n.cutOff == nil {
			since := update.Since.UTC().Round(0)
			n.cutOff = &since
			n.log(proxyprocess.LogWarn, "cut off from the store since %s, all proxies go on: %s", since.Format(time.RFC3339),
				update.Cut)
		}
		return
	}
	if n.cutOff != nil {
		n.log(proxyprocess.LogInfo, "the store is reached again, after %v", now.Sub(*n.cutOff).Round(time.Millisecond))
		n.wasCutOff = &status.Outage{From: n.cutOff.UTC(), To: now.UTC(), Why: n.cutWhy}
		n.cutOff = nil
		n.changes = true
	}
	switch {
	case update.Resumed:
	case update.Whole:
		n.takeWhole(update)
	default:
		n.takeChanges(update)
	}
	n.suspicion = update.Unproven
	n.decide(ctx, update.Whole)
	n.suspicion = ""
}

// takeWhole makes a view of all that there is.
func (n *Node) takeWhole(update store.Update) {
	before := n.view
	// Files have no revisions that tell one value from another.
	sameStore := update.Cluster != 0 && update.Cluster == n.position.Cluster
	view := plan.View{Own: plan.Contents{}, Of: map[string]plan.Contents{}}
	n.problems, n.confirms, n.other = map[string]string{}, map[string]confirmation{}, map[string]store.KV{}
	view.Groups = update.Groups
	read := map[string]bool{}
	for _, group := range update.Groups {
		if why, denied := update.Denied[group]; denied {
			n.problems["group "+group] = why
			view.Of[group] = before.Of[group]
			continue
		}
		view.Of[group] = plan.Contents{}
		read[group] = true
	}
	n.forgetRollouts(update.Groups, read)
	groupsKnown := false
	n.groupsGone = false
	for _, kv := range update.Keys {
		if _, denied := update.Denied[kv.Key.Name]; denied && kv.Key.Kind != keys.NodeProxy && kv.Key.Kind != keys.NodeGroups {
			// A part of the group could be read: that is not all of it.
			continue
		}
		switch kv.Key.Kind {
		case keys.NodeProxy:
			view.Own[kv.Key.ID] = n.entry(before.Own, kv, sameStore)
		case keys.GroupProxy:
			view.Of[kv.Key.Name][kv.Key.ID] = n.entry(before.Of[kv.Key.Name], kv, sameStore)
		case keys.NodeGroups:
			groupsKnown = true
			n.takeOther(kv)
		default:
			n.takeOther(kv)
		}
	}
	if !groupsKnown && len(view.Groups) > 0 {
		n.takeOther(store.KV{Key: keys.Key{Kind: keys.NodeGroups, Name: n.config.Name}, Gone: true})
	}
	distrust := plan.Distrust(n.config.Name, n.good.Position, &n.good.View, update.Cluster, update.Revision, &view)
	if distrust == "" && update.OtherPast != "" {
		distrust = "the store has another past: " + update.OtherPast
	}
	if distrust == "" && n.distrust != "" && update.Cluster == n.position.Cluster {
		// It is the same store as before, whose past is compared with itself by now.
		distrust = n.distrust
	}
	if distrust != "" && distrust != n.distrust {
		n.log(proxyprocess.LogError, "%s: nothing that differs is followed until it is confirmed", distrust)
	}
	n.distrust = distrust
	n.view = view
	n.position = plan.Position{Cluster: update.Cluster, Revision: update.Revision, Spans: update.Spans}
	n.unsaved = true
	n.remember()
}

// entry is what counts of a key that was read.
func (n *Node) entry(before plan.Contents, kv store.KV, sameStore bool) plan.Entry {
	earlier := before[kv.Key.ID]
	if sameStore && kv.Version > 0 && earlier.Version == kv.Version {
		return earlier
	}
	entry := plan.Take(earlier, kv.Key.ID, kv.Value, kv.Version, n.checker.Check)
	if entry.Bad != "" && entry.Bad != earlier.Bad {
		n.log(proxyprocess.LogWarn, "declaration of %.200q does not count: %s", kv.Key.ID, entry.Bad)
	}
	return entry
}

// takeChanges changes the view.
func (n *Node) takeChanges(update store.Update) {
	for _, kv := range update.Keys {
		var contents plan.Contents
		switch kv.Key.Kind {
		case keys.NodeProxy:
			contents = n.view.Own
		case keys.GroupProxy:
			contents = n.view.Of[kv.Key.Name]
		default:
			n.takeOther(kv)
			continue
		}
		if contents == nil || contents[kv.Key.ID].Version > kv.Version {
			// A removal was verified meanwhile, and the key was seen newer than this.
			continue
		}
		if kv.Gone {
			delete(contents, kv.Key.ID)
		} else {
			contents[kv.Key.ID] = n.entry(contents, kv, true)
		}
	}
	if n.position.Spans == nil {
		n.position.Spans = map[string]plan.Span{}
	}
	for key, span := range update.Spans {
		n.position.Spans[key] = span
	}
	if update.Revision > n.position.Revision {
		n.position.Revision = update.Revision
	}
	n.unsaved = true
	n.remember()
}

// takeOther takes what is no declaration.
func (n *Node) takeOther(kv store.KV) {
	place := kv.Key.String()
	n.unsaved = true
	if kv.Gone {
		delete(n.other, place)
	} else {
		n.other[place] = kv
	}
	switch kv.Key.Kind {
	case keys.NodeGroups:
		delete(n.problems, "groups")
		n.groupsGone = kv.Gone
		if kv.Gone {
			n.problems["groups"] = "the list of groups is gone, and the last one stands: leave all groups by an empty list"
		} else if _, err := plan.ParseGroups(kv.Value); err != nil {
			n.problems["groups"] = fmt.Sprintf("%v; the last list stands", err)
		}
		if why := n.problems["groups"]; why != "" {
			n.log(proxyprocess.LogWarn, "%s", why)
		}
	case keys.NodeConfirm, keys.GroupConfirm:
		if kv.Gone {
			delete(n.confirms, place)
		} else {
			n.confirms[place] = confirmation{strings.TrimSpace(string(kv.Value)), kv.Version}
		}
	case keys.Rollout, keys.RolloutFailed:
		n.takeRollout(kv)
	}
}

var errUnverified = errors.New("not verified")

// verify keeps removals only that are true in all places at one revision: a declaration that moves from one place to another is
// seen to be gone from one before it is seen in the other.
func (n *Node) verify(ctx context.Context, ids []string) error {
	update, err := n.source.Verify(ctx, ids)
	if err != nil {
		// The session reads everything again, and what is gone then is gone.
		n.source.Recheck()
		n.log(proxyprocess.LogWarn, "a removal waits: %v", err)
		return errUnverified
	}
	n.takeChanges(update)
	return nil
}

// SPDX-License-Identifier: MPL-2.0

package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/rollout"
)

const rolloutUsage = "rollout: expected status, set, pause, resume, abort or rm, and GROUP"

// rollouts shows and steers how the nodes of a group take turns.
func rollouts(c *command, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return Usage(rolloutUsage)
	}
	var spec rollout.Spec
	atOnce := c.flags.String("at-once", "1", "set: how `many` nodes change at a time, or per cent, as 10%")
	healthy := c.flags.Duration("healthy-for", 10*time.Second, "set: how `long` what has changed must be ready")
	limit := c.flags.Duration("timeout", 2*time.Minute, "set: how `long` that may take")
	goOn := c.flags.Bool("go-on", false, "set: a failure on one node does not stop the others")
	if err := c.open(args[1:], 1); err != nil {
		return err
	}
	group := c.flags.Arg(0)
	if err := keys.CheckName("GROUP", group); err != nil {
		return Usage(rolloutUsage)
	}
	ctx, cancel := c.context()
	defer cancel()
	state, err := c.rollout(ctx, group)
	if err != nil {
		return err
	}
	if args[0] != "set" && state.value == nil {
		return fmt.Errorf("group %s has no rollout: see rollout set", group)
	}
	switch args[0] {
	case "status":
		return c.showRollout(group, state)
	case "set":
		spec.AtOnce, _ = json.Marshal(*atOnce)
		if number, err := strconv.Atoi(*atOnce); err == nil {
			spec.AtOnce, _ = json.Marshal(number)
		}
		spec.HealthyForMS, spec.TimeoutMS = healthy.Milliseconds(), limit.Milliseconds()
		spec.PauseOnFailure = !*goOn
		return c.putRollout(ctx, group, spec)
	case "pause":
		state.spec.Paused = true
		return c.putRollout(ctx, group, state.spec)
	case "resume":
		state.spec.Paused = false
		return c.putRollout(ctx, group, state.spec, clientv3.OpDelete(failedKey(group)))
	case "abort":
		if state.spec.Base == 0 {
			return fmt.Errorf("no change of group %s was made by fleetctl: see rollback --revision", group)
		}
		if err := c.goBack(keys.Key{Kind: keys.GroupProxy, Name: group}, state.spec.Base, nil); err != nil {
			return err
		}
		// ORDER: the nodes go on only when there is nothing left to go on with but the way back.
		if state, err = c.rollout(ctx, group); err != nil {
			return err
		}
		state.spec.Paused = false
		return c.putRollout(ctx, group, state.spec, clientv3.OpDelete(failedKey(group)))
	case "rm":
		_, err := c.client.Txn(ctx).Then(clientv3.OpDelete(keys.RolloutKey(group)), clientv3.OpDelete(failedKey(group))).Commit()
		return err
	default:
		return Usage(rolloutUsage)
	}
}

func failedKey(group string) string { return keys.Key{Kind: keys.RolloutFailed, Name: group}.String() }

// rolloutState is all that there is to know of the rollout of a group.
type rolloutState struct {
	spec     rollout.Spec
	value    []byte
	modified int64
	failure  *rollout.Failure
	// members are the nodes that are there, and up to which revision of the group each runs and is healthy.
	members map[string]int64
	turns   []string
	// newest is the revision of the newest declaration of the group.
	newest int64
}

func (c *command) rollout(ctx context.Context, group string) (*rolloutState, error) {
	got, err := c.client.Txn(ctx).Then(
		clientv3.OpGet(keys.RolloutKey(group)),
		clientv3.OpGet(failedKey(group)),
		clientv3.OpGet(keys.MembersPrefix(group), clientv3.WithPrefix()),
		clientv3.OpGet(keys.TurnsPrefix(group), clientv3.WithPrefix(),
			clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend)),
		clientv3.OpGet(keys.Key{Kind: keys.GroupProxy, Name: group}.String(), clientv3.WithPrefix(), clientv3.WithKeysOnly()),
	).Commit()
	if err != nil {
		return nil, fmt.Errorf("read the rollout of %s: %w", group, err)
	}
	state := &rolloutState{members: map[string]int64{}, newest: 1}
	for _, kv := range got.Responses[0].GetResponseRange().Kvs {
		state.value, state.modified = kv.Value, kv.ModRevision
		if state.spec, err = rollout.Parse(kv.Value); err != nil {
			return nil, err
		}
	}
	for _, kv := range got.Responses[1].GetResponseRange().Kvs {
		state.failure = &rollout.Failure{}
		if err := json.Unmarshal(kv.Value, state.failure); err != nil {
			state.failure.Why = "it is not told in JSON"
		}
	}
	for _, kv := range got.Responses[2].GetResponseRange().Kvs {
		revision, err := strconv.ParseInt(string(kv.Value), 10, 64)
		if err != nil {
			revision = 0
		}
		state.members[strings.TrimPrefix(string(kv.Key), keys.MembersPrefix(group))] = revision
	}
	for _, kv := range got.Responses[3].GetResponseRange().Kvs {
		state.turns = append(state.turns, strings.TrimPrefix(string(kv.Key), keys.TurnsPrefix(group)))
	}
	for _, kv := range got.Responses[4].GetResponseRange().Kvs {
		if kv.ModRevision > state.newest {
			state.newest = kv.ModRevision
		}
	}
	return state, nil
}

// done is how many of the nodes have all changes.
func (s *rolloutState) done() int {
	done := 0
	for _, revision := range s.members {
		if revision >= s.newest {
			done++
		}
	}
	return done
}

func (c *command) showRollout(group string, state *rolloutState) error {
	word := "going on"
	switch {
	case state.failure != nil:
		word = fmt.Sprintf("stopped: failed on node %q: %q, proxies %q", state.failure.Node, state.failure.Why, state.failure.Proxies)
	case state.spec.Paused:
		word = "paused"
	case state.done() == len(state.members):
		word = "done"
	}
	turns := state.spec.Turns(len(state.members))
	fmt.Fprintf(c.Out, "group %s, revision %d: %s\n%d of %d nodes have it, %d at a time\n", group, state.newest, word,
		state.done(), len(state.members), turns)
	for i, name := range state.turns {
		what := "waits"
		if i < turns {
			what = "changes"
		}
		fmt.Fprintf(c.Out, "%s %q\n", what, name)
		if i == 20 {
			fmt.Fprintf(c.Out, "... and %d more\n", len(state.turns)-i-1)
			break
		}
	}
	return nil
}

func (c *command) putRollout(ctx context.Context, group string, spec rollout.Spec, more ...clientv3.Op) error {
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	if _, err := rollout.Parse(text); err != nil {
		return Usage(err.Error())
	}
	done, err := c.client.Txn(ctx).Then(append(more, clientv3.OpPut(keys.RolloutKey(group), string(text)))...).Commit()
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	fmt.Fprintf(c.Out, "revision %d\n", done.Header.Revision)
	return nil
}

// noteBase notes the revision before a change of a group whose nodes take turns, unless they are still at an earlier change.
func (c *command) noteBase(ctx context.Context, group string, read *clientv3.GetResponse) ([]clientv3.Op, []clientv3.Cmp, error) {
	state, err := c.rollout(ctx, group)
	if err != nil || state.value == nil {
		return nil, nil, err
	}
	if state.spec.Base == 0 || state.done() == len(state.members) && state.failure == nil {
		state.spec.Base = read.Header.Revision
	}
	text, err := json.Marshal(state.spec)
	if err != nil {
		return nil, nil, err
	}
	return []clientv3.Op{clientv3.OpPut(keys.RolloutKey(group), string(text))},
		[]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(keys.RolloutKey(group)), "=", state.modified)}, nil
}

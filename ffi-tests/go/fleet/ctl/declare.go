// SPDX-License-Identifier: MPL-2.0

package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/apply"
	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/plan"
)

// set declares a proxy, once the library has checked it.
func set(c *command, args []string) error {
	c.places()
	place, err := c.openAt(args, 2)
	if err != nil {
		return err
	}
	if c.flags.NArg() == 0 {
		return Usage("set: expected ID [FILE]")
	}
	place.ID = c.flags.Arg(0)
	value, err := c.document(c.flags.Arg(1))
	if err != nil {
		return err
	}
	if err := check(map[string][]byte{place.ID: value}); err != nil {
		return err
	}
	return c.write(place, map[string][]byte{place.ID: value}, nil)
}

// document reads a file, or standard input.
func (c *command) document(path string) ([]byte, error) {
	if path == "" || path == "-" {
		return io.ReadAll(c.In)
	}
	return os.ReadFile(path)
}

// check has the library check declarations.
func check(declarations map[string][]byte) error {
	checker, err := apply.NewChecker()
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(declarations))
	for id := range declarations {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		if err := checker.Check(id, declarations[id]); err != nil {
			return fmt.Errorf("%q: %w", id, err)
		}
	}
	return nil
}

// remove removes declarations. It confirms exactly that, so the guard of the nodes does not hold it back.
func remove(c *command, args []string) error {
	c.places()
	place, err := c.openAt(args, 100)
	if err != nil {
		return err
	}
	ids := c.flags.Args()
	if len(ids) == 0 {
		return Usage("rm: expected ID...")
	}
	return c.write(place, nil, ids)
}

// declared are the declarations of a node or group, at a revision; 0 is now.
func (c *command) declared(ctx context.Context, place keys.Key, revision int64) (map[string][]byte, *clientv3.GetResponse, error) {
	place.ID = ""
	got, err := c.client.Get(ctx, place.String(), clientv3.WithPrefix(), clientv3.WithRev(revision))
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", place, err)
	}
	values := map[string][]byte{}
	for _, kv := range got.Kvs {
		values[keys.Parse(string(kv.Key)).ID] = kv.Value
	}
	return values, got, nil
}

// most is how many declarations one command can change at once; etcd takes 128 operations.
const most = 100

// write puts and removes declarations, all at once. Where the nodes of a group take turns it notes from where they started, so
// that an abort goes back there.
func (c *command) write(place keys.Key, put map[string][]byte, gone []string) error {
	if len(put)+len(gone) > most {
		return fmt.Errorf("%d declarations change: at most %d can at once", len(put)+len(gone), most)
	}
	ctx, cancel := c.context()
	defer cancel()
	before, got, err := c.declared(ctx, place, 0)
	if err != nil {
		return err
	}
	var then []clientv3.Op
	for id, value := range put {
		place.ID = id
		then = append(then, clientv3.OpPut(place.String(), string(value)))
	}
	for _, id := range gone {
		if _, there := before[id]; !there {
			return fmt.Errorf("%q is not declared there", id)
		}
		place.ID = id
		then = append(then, clientv3.OpDelete(place.String()))
	}
	if len(gone) > 0 {
		confirm := keys.Key{Kind: keys.NodeConfirm, Name: place.Name}
		if place.Kind == keys.GroupProxy {
			confirm.Kind = keys.GroupConfirm
		}
		then = append(then, clientv3.OpPut(confirm.String(), plan.Digest(gone)))
	}
	// What was read must still be so: another command that comes between the two would be undone.
	place.ID = ""
	compare := []clientv3.Cmp{
		clientv3.Compare(clientv3.ModRevision(place.String()), "<", got.Header.Revision+1).WithPrefix(),
	}
	if place.Kind == keys.GroupProxy {
		note, unchanged, err := c.noteBase(ctx, place.Name, got)
		if err != nil {
			return err
		}
		then, compare = append(then, note...), append(compare, unchanged...)
	}
	done, err := c.client.Txn(ctx).If(compare...).Then(then...).Commit()
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if !done.Succeeded {
		return errors.New("the declarations were changed meanwhile by another command: nothing was written")
	}
	fmt.Fprintf(c.Out, "revision %d\n", done.Header.Revision)
	return nil
}

// get prints a declaration, or the ids of all.
func get(c *command, args []string) error {
	c.places()
	revision := c.flags.Int64("revision", 0, "as it was at a `revision`")
	place, err := c.openAt(args, 1)
	if err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	values, _, err := c.declared(ctx, place, *revision)
	if err != nil {
		return err
	}
	if c.flags.NArg() == 0 {
		for _, id := range sorted(values) {
			fmt.Fprintln(c.Out, id)
		}
		return nil
	}
	value, there := values[c.flags.Arg(0)]
	if !there {
		return fmt.Errorf("%q is not declared there", c.flags.Arg(0))
	}
	fmt.Fprintf(c.Out, "%s\n", bytes.TrimSpace(value))
	return nil
}

func sorted(values map[string][]byte) []string {
	ids := make([]string, 0, len(values))
	for id := range values {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	return ids
}

// groups prints or sets the groups of a node.
func groups(c *command, args []string) error {
	c.flags.StringVar(&c.node, "node", "", "of this `node`")
	none := c.flags.Bool("none", false, "leave all groups")
	if err := c.open(args, plan.MaxGroups); err != nil {
		return err
	}
	if err := keys.CheckName("--node", c.node); err != nil {
		return Usage(err.Error())
	}
	ctx, cancel := c.context()
	defer cancel()
	key := keys.Key{Kind: keys.NodeGroups, Name: c.node}.String()
	if c.flags.NArg() == 0 && !*none {
		got, err := c.client.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("read %s: %w", key, err)
		}
		for _, kv := range got.Kvs {
			fmt.Fprintf(c.Out, "%s\n", kv.Value)
		}
		return nil
	}
	text, err := json.Marshal(append([]string{}, c.flags.Args()...))
	if err != nil {
		return err
	}
	if _, err := plan.ParseGroups(text); err != nil {
		return Usage(err.Error())
	}
	done, err := c.client.Put(ctx, key, string(text))
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	fmt.Fprintf(c.Out, "revision %d\n", done.Header.Revision)
	return nil
}

// confirm permits what nodes hold back.
func confirm(c *command, args []string) error {
	c.places()
	place, err := c.openAt(args, 1)
	if err != nil {
		return err
	}
	word := strings.TrimSpace(c.flags.Arg(0))
	if word == "" {
		return Usage("confirm: expected the word that the status of the node tells")
	}
	kind := keys.NodeConfirm
	if place.Kind == keys.GroupProxy {
		kind = keys.GroupConfirm
	}
	ctx, cancel := c.context()
	defer cancel()
	done, err := c.client.Put(ctx, keys.Key{Kind: kind, Name: place.Name}.String(), word)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	fmt.Fprintf(c.Out, "revision %d\n", done.Header.Revision)
	return nil
}

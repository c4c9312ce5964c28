// SPDX-License-Identifier: MPL-2.0

package ctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"text/tabwriter"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/plan"
	"example.org/agent/fleet/status"
)

// showStatus shows what the nodes say.
func showStatus(c *command, args []string) error {
	asJSON := c.flags.Bool("json", false, "one JSON object a line")
	if err := c.open(args, 1); err != nil {
		return err
	}
	if name := c.flags.Arg(0); name != "" {
		if err := keys.CheckName("NODE", name); err != nil {
			return Usage(err.Error())
		}
	}
	nodes, err := c.nodes(c.flags.Arg(0))
	if err != nil {
		return err
	}
	names := make([]string, 0, len(nodes))
	for name := range nodes {
		names = append(names, name)
	}
	sort.Strings(names)
	if c.flags.NArg() == 1 && len(names) == 0 {
		return fmt.Errorf("node %s says nothing: no agent of it runs, or it is cut off", c.flags.Arg(0))
	}
	if *asJSON {
		for _, name := range names {
			line, err := json.Marshal(struct {
				Name string `json:"name"`
				status.Report
			}{name, *nodes[name]})
			if err != nil {
				return err
			}
			fmt.Fprintf(c.Out, "%s\n", line)
		}
		return nil
	}
	table := tabwriter.NewWriter(c.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tDECLARED\tREADY\tREVISION\tRUNNING\tSAYS")
	for _, name := range names {
		n := nodes[name].Node
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\n", name, n.Declared, n.Ready, n.Revision, n.Running, says(n))
	}
	if err := table.Flush(); err != nil || c.flags.NArg() == 0 {
		return err
	}
	c.showNode(nodes[names[0]])
	return nil
}

// says is what is out of order on a node, in a few words.
func says(n status.Node) string {
	var parts []string
	if n.Held != nil {
		parts = append(parts, "holds back, confirm "+n.Held.Confirm)
	}
	for _, group := range sortedKeys(n.Waiting) {
		parts = append(parts, fmt.Sprintf("waits for its turn in %s", group))
	}
	if n.Bad > 0 {
		parts = append(parts, fmt.Sprintf("%d bad declarations", n.Bad))
	}
	if n.NotReady > 0 {
		parts = append(parts, fmt.Sprintf("%d not ready", n.NotReady))
	}
	if len(n.Problems) > 0 {
		parts = append(parts, "problems")
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

func sortedKeys(counts map[string]int) []string {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (c *command) showNode(report *status.Report) {
	if held := report.Node.Held; held != nil {
		fmt.Fprintf(c.Out, "held back: %s\n  added %q, changed %q, removed %q\n", held.Why, held.Added, held.Changed, held.Removed)
	}
	for _, problem := range report.Node.Problems {
		fmt.Fprintf(c.Out, "problem: %q\n", problem)
	}
	if cut := report.Node.WasCutOff; cut != nil {
		fmt.Fprintf(c.Out, "was cut off from %s to %s: %q\n", cut.From.Format("2006-01-02T15:04:05Z"),
			cut.To.Format("2006-01-02T15:04:05Z"), cut.Why)
	}
	var ids []string
	for id := range report.Proxies {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		fmt.Fprintf(c.Out, "not ready: %q %s\n", id, report.Proxies[id])
	}
	ids = nil
	for id := range report.Errors {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		fmt.Fprintf(c.Out, "does not count: %q: %q\n", id, report.Errors[id])
	}
}

// nodes reads what one node says, or all of them.
func (c *command) nodes(name string) (map[string]*status.Report, error) {
	ctx, cancel := c.context()
	defer cancel()
	ranges := []clientv3.Op{clientv3.OpGet(keys.StatusPrefix, clientv3.WithPrefix())}
	if name != "" {
		// Exactly this node: "web" is no prefix of "web-1".
		ranges = []clientv3.Op{
			clientv3.OpGet(keys.StatusKey(name)), clientv3.OpGet(keys.StatusKey(name)+"/", clientv3.WithPrefix()),
		}
	}
	got, err := c.client.Txn(ctx).Then(ranges...).Commit()
	if err != nil {
		return nil, fmt.Errorf("read the status: %w", err)
	}
	nodes := map[string]*status.Report{}
	for _, answer := range got.Responses {
		for _, kv := range answer.GetResponseRange().Kvs {
			parts := strings.SplitN(strings.TrimPrefix(string(kv.Key), keys.StatusPrefix), "/", 3)
			report := nodes[parts[0]]
			if report == nil {
				report = &status.Report{Proxies: map[string]json.RawMessage{}, Errors: map[string]string{}}
				nodes[parts[0]] = report
			}
			switch {
			case len(parts) == 1:
				// A node writes it, and may be one that is not to be trusted.
				if err := json.Unmarshal(kv.Value, &report.Node); err != nil {
					report.Node.Problems = []string{"its status is no JSON"}
				}
			case len(parts) == 3 && parts[1] == "proxies" && json.Valid(kv.Value):
				report.Proxies[parts[2]] = kv.Value
			case len(parts) == 3 && parts[1] == "errors":
				report.Errors[parts[2]] = string(kv.Value)
			}
		}
	}
	return nodes, nil
}

// diff shows what differs: a file from what is declared, or now from an earlier revision. Values are not shown: they may be
// secrets.
func diff(c *command, args []string) error {
	c.places()
	revision := c.flags.Int64("revision", 0, "compare with this `revision`; of a node, that which it runs unless it is given")
	place, err := c.openAt(args, 2)
	if err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	now, _, err := c.declared(ctx, place, 0)
	if err != nil {
		return err
	}
	if c.flags.NArg() > 0 {
		id := c.flags.Arg(0)
		value, err := c.document(c.flags.Arg(1))
		if err != nil {
			return err
		}
		before := map[string][]byte{}
		if declared, there := now[id]; there {
			before[id] = declared
		}
		c.showDiff(before, map[string][]byte{id: value})
		return nil
	}
	if *revision == 0 {
		nodes, err := c.nodes(c.node)
		if err != nil {
			return err
		}
		if c.node == "" || nodes[c.node] == nil {
			return Usage("diff: expected ID [FILE], --revision, or a node that runs")
		}
		*revision = nodes[c.node].Node.Running
	}
	before, _, err := c.declared(ctx, place, *revision)
	if err != nil {
		return err
	}
	c.showDiff(before, now)
	return nil
}

func (c *command) showDiff(before, now map[string][]byte) {
	for _, line := range diffLines(before, now) {
		fmt.Fprintln(c.Out, line)
	}
}

// diffLines says for each id how it differs, and of one that has changed in which fields.
func diffLines(before, now map[string][]byte) []string {
	all := func(values map[string][]byte) plan.Desired {
		desired := plan.Desired{}
		for id, value := range values {
			desired[id] = plan.Declaration{Value: value}
		}
		return desired
	}
	differs := plan.Compare(all(before), all(now))
	var lines []string
	for _, id := range differs.Added {
		lines = append(lines, fmt.Sprintf("+ %q", id))
	}
	for _, id := range differs.Removed {
		lines = append(lines, fmt.Sprintf("- %q", id))
	}
	for _, id := range differs.Changed {
		lines = append(lines, fmt.Sprintf("~ %q: %s", id, changedFields(before[id], now[id])))
	}
	return lines
}

func changedFields(before, now []byte) string {
	var was, is map[string]json.RawMessage
	if json.Unmarshal(before, &was) != nil || json.Unmarshal(now, &is) != nil {
		return "no JSON object"
	}
	var fields []string
	for name, value := range is {
		if earlier, there := was[name]; !there {
			fields = append(fields, "+"+name)
		} else if !bytes.Equal(compact(earlier), compact(value)) {
			fields = append(fields, name)
		}
	}
	for name := range was {
		if _, still := is[name]; !still {
			fields = append(fields, "-"+name)
		}
	}
	if len(fields) == 0 {
		return "only its text"
	}
	sort.Strings(fields)
	return strings.Join(fields, ", ")
}

func compact(value json.RawMessage) []byte {
	var text bytes.Buffer
	if json.Compact(&text, value) != nil {
		return value
	}
	return text.Bytes()
}

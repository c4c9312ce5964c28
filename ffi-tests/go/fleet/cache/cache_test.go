// SPDX-License-Identifier: MPL-2.0

package cache

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/plan"
	"example.org/agent/fleet/store"
)

func someState() *State {
	declaration := []byte(`{"mode":"noop"}`)
	return &State{
		Node: "n", Source: "etcd",
		Position: plan.Position{Cluster: 1 << 63, Revision: 7, Spans: map[string]plan.Span{"/a/": {Revision: 7, Count: 2, Newest: 6}}},
		View: plan.View{
			Own: plan.Contents{"a": {Version: 6, Value: declaration, Bad: "why"}}, Groups: []string{"g"},
			Of: map[string]plan.Contents{"g": {}},
		},
		Applied: plan.Desired{"a": {Value: declaration, Group: "g", Version: 6}},
		Other:   []store.KV{{Key: keys.Key{Kind: keys.NodeGroups, Name: "n"}, Value: []byte("\xff"), Version: 3}},
		Held:    []string{"b"},
	}
}

func TestStateComesBackAsItWasWritten(t *testing.T) {
	file := In(t.TempDir())
	if state, err := file.Read(); state != nil || err != nil {
		t.Errorf("got %v, %v", state, err)
	}
	for i := 0; i < 2; i++ {
		if err := file.Write(someState()); err != nil {
			t.Fatal(err)
		}
	}
	state, err := file.Read()
	if err != nil || !reflect.DeepEqual(state, someState()) {
		t.Errorf("got %+v, %v", state, err)
	}
	if info, err := os.Stat(string(file)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
}

func TestDamagedStateIsMovedAsideAndSaid(t *testing.T) {
	file := In(t.TempDir())
	if err := file.Write(someState()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(string(file))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"empty": {}, "cut short": whole[:len(whole)-1], "no header": []byte("{}"), "zeros": make([]byte, 4096),
		"one byte": bytes.Replace(whole, []byte("noop"), []byte("nope"), 1),
	} {
		if err := os.WriteFile(string(file), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if state, err := file.Read(); state != nil || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v, %v", name, state, err)
		}
		if aside, err := os.ReadFile(string(file) + ".corrupt"); err != nil || !bytes.Equal(aside, text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStateThatCannotBeWrittenLeavesTheLastOne(t *testing.T) {
	file := In(t.TempDir())
	if err := file.Write(someState()); err != nil {
		t.Fatal(err)
	}
	// In the place of the next file, something that no file can be written to.
	if err := os.Mkdir(string(file)+".next", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := file.Write(&State{}); err == nil {
		t.Error("it is written")
	}
	if state, err := file.Read(); err != nil || state.Node != "n" {
		t.Errorf("got %+v, %v", state, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(string(file))); err != nil || len(entries) != 2 {
		t.Errorf("got %v, %v", entries, err)
	}
}

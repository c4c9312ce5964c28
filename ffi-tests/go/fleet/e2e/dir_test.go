// SPDX-License-Identifier: MPL-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.org/agent/fleet/status"
)

// write writes a file as configuration tools do: under another name, which is then changed.
func write(t *testing.T, path, text string) {
	t.Helper()
	hidden := filepath.Join(filepath.Dir(path), ".tmp")
	check(t, os.WriteFile(hidden, []byte(text), 0o600))
	check(t, os.Rename(hidden, path))
}

func TestADirectoryIsFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from := filepath.Join(dir, "declared")
	file := func(id string) string { return filepath.Join(from, id+".json") }
	check(t, os.Mkdir(from, 0o700))
	write(t, file("a"), sleeper(1))
	write(t, file("b"), `{"mode":"noop"}`)
	write(t, filepath.Join(from, "README"), "no declaration")
	a := startAgent(t, dir, "n", nil, "--from", "dir:"+from)
	ready := func(count int) func(status.Report) bool {
		return func(r status.Report) bool { return r.Node.Ready == count && r.Node.Declared == count }
	}
	a.untilStatus("that two are ready", ready(2))
	first := a.processOf("a")
	write(t, file("c"), `{"mode":"noop"}`)
	// A file that is written in place is read when it is closed.
	check(t, os.WriteFile(file("d"), []byte(`{"mode":"noop"}`), 0o600))
	a.untilStatus("that four are ready", ready(4))
	check(t, os.Remove(file("b")))
	a.untilStatus("that three are ready", ready(3))
	write(t, file("a"), "no JSON")
	report := a.untilStatus("that a does not count", func(r status.Report) bool { return r.Errors["a"] != "" })
	if report.Node.Ready != 3 {
		t.Errorf("got %+v", report)
	}
	expectAlive(t, "with a bad file", first)
	write(t, file("a"), sleeper(2))
	a.untilStatus("that a counts", func(r status.Report) bool { return r.Errors["a"] == "" })
	a.logged("proxy a: started", a.logged("proxy a: started", 0))
	if first.alive() {
		t.Error("the change was not followed")
	}
	second := a.processOf("a")
	// Agents that are killed go on with it, and with what was changed meanwhile.
	a.end(syscall.SIGKILL)
	write(t, file("e"), `{"mode":"noop"}`)
	a.start()
	a.untilStatus("that four are ready", ready(4))
	expectAlive(t, "after a restart", second)
}

func TestADirectoryThatIsEmptyOrGoneStopsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from := filepath.Join(dir, "declared")
	check(t, os.Mkdir(from, 0o700))
	for _, id := range []string{"a", "b", "c"} {
		write(t, filepath.Join(from, id+".json"), sleeper(1))
	}
	a := startAgent(t, dir, "n", nil, "--from", "dir:"+from)
	a.untilStatus("that three are ready", func(r status.Report) bool { return r.Node.Ready == 3 })
	before := map[string]process{"a": a.processOf("a"), "b": a.processOf("b"), "c": a.processOf("c")}
	// The directory is moved away, and an empty one is there instead, as before a mount.
	check(t, os.Rename(from, from+".away"))
	next := a.logged("cut off from the store since", 0)
	expectAllAlive(t, "without the directory", before)
	check(t, os.Mkdir(from, 0o700))
	a.logged("held back", next)
	report := a.status()
	if report.Node.Held == nil || fmt.Sprint(report.Node.Held.Removed) != "[a b c]" {
		t.Fatalf("got %+v", report.Node)
	}
	expectAllAlive(t, "with an empty directory", before)
	a.end(syscall.SIGKILL)
	a.start()
	a.logged("held back", 0)
	expectAllAlive(t, "an agent that begins with an empty directory", before)
	// A link that leads nowhere, and a directory in the place of a file.
	check(t, os.Symlink("nowhere", filepath.Join(from, "d.json")))
	check(t, os.Mkdir(filepath.Join(from, "e.json"), 0o700))
	a.untilStatus("that it is cut off", func(r status.Report) bool { return r.Node.CutOff != nil })
	check(t, os.Remove(filepath.Join(from, "d.json")))
	a.untilStatus("that it is not cut off", func(r status.Report) bool { return r.Node.CutOff == nil })
	expectAllAlive(t, "with what is no file", before)
	write(t, filepath.Join(from, ".confirm"), report.Node.Held.Confirm+"\n")
	a.untilStatus("that nothing is held", func(r status.Report) bool { return r.Node.Held == nil && r.Node.Declared == 0 })
}

func TestAConfigMapOfKubernetesIsFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from := filepath.Join(dir, "mounted")
	// As kubelet does it: the files are links into ..data, which is a link that is exchanged for one to another directory.
	publish := func(version string, declarations map[string]string) {
		data := filepath.Join(from, "..version"+version)
		check(t, os.MkdirAll(data, 0o700))
		for id, declaration := range declarations {
			check(t, os.WriteFile(filepath.Join(data, id+".json"), []byte(declaration), 0o600))
		}
		check(t, os.Symlink(filepath.Base(data), filepath.Join(from, "..data_tmp")))
		check(t, os.Rename(filepath.Join(from, "..data_tmp"), filepath.Join(from, "..data")))
		for id := range declarations {
			link := filepath.Join(from, id+".json")
			if _, err := os.Lstat(link); err != nil {
				check(t, os.Symlink(filepath.Join("..data", id+".json"), link))
			}
		}
	}
	publish("1", map[string]string{"a": sleeper(1), "b": sleeper(1)})
	a := startAgent(t, dir, "n", nil, "--from", "dir:"+from)
	a.untilStatus("that two are ready", func(r status.Report) bool { return r.Node.Ready == 2 })
	b := a.processOf("b")
	publish("2", map[string]string{"a": sleeper(2), "b": sleeper(1), "c": `{"mode":"noop"}`})
	a.logged("proxy a: started", a.logged("proxy a: started", 0))
	a.untilStatus("that three are ready", func(r status.Report) bool { return r.Node.Ready == 3 })
	expectAlive(t, "what did not change", b)
	if strings.Contains(a.log.text(), "removed") {
		t.Errorf("something was removed:\n%s", a.log.text())
	}
}

// SPDX-License-Identifier: MPL-2.0

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.org/agent/fleet/status"
)

// agent is a running agent.
type agent struct {
	t       *testing.T
	node    string
	dir     string
	args    []string
	process *exec.Cmd
	ended   chan struct{}
	log     *lines
	out     *lines
	// within is a prefix of the command, as to run it in another namespace.
	within []string
}

// lines are what a program has printed.
type lines struct {
	mu   sync.Mutex
	more *sync.Cond
	all  []string
	// done tells that there are no more.
	done bool
}

func newLines() *lines {
	l := &lines{}
	l.more = sync.NewCond(&l.mu)
	return l
}

func (l *lines) read(from *os.File) {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		l.mu.Lock()
		l.all = append(l.all, scanner.Text())
		l.more.Broadcast()
		l.mu.Unlock()
	}
	from.Close()
	l.mu.Lock()
	l.done = true
	l.more.Broadcast()
	l.mu.Unlock()
}

// await waits for a line that has a text, from a line on, and returns it and the number of the next one.
func (l *lines) await(t *testing.T, text string, from int) (string, int) {
	t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		late = true
		l.more.Broadcast()
	})
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for at := from; ; {
		for ; at < len(l.all); at++ {
			if strings.Contains(l.all[at], text) {
				return l.all[at], at + 1
			}
		}
		if late || l.done {
			t.Fatalf("no line has %q:\n%s", text, strings.Join(l.all, "\n"))
		}
		l.more.Wait()
	}
}

// finished waits until there are no more lines, which is soon after the end of the program.
func (l *lines) finished() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.done {
		l.more.Wait()
	}
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

// agent starts the agent of a node, whose proxies are stopped when the test ends.
func (w *world) agent(node string, args ...string) *agent {
	w.t.Helper()
	args = append([]string{"--endpoints", strings.Join(w.endpoints(), ",")}, args...)
	return startAgent(w.t, w.dir, node, nil, args...)
}

func startAgent(t *testing.T, dir, node string, within []string, args ...string) *agent {
	t.Helper()
	a := &agent{t: t, node: node, dir: filepath.Join(dir, "agent-"+node), args: args, within: within}
	a.start()
	t.Cleanup(func() {
		if a.process == nil {
			// Only an agent stops what one has left.
			a.start()
		}
		a.end(syscall.SIGQUIT)
		if left := leftBehind(a.dir); left != "" {
			t.Errorf("node %s has left %s", node, left)
		}
		if t.Failed() {
			t.Logf("log of node %s:\n%s", node, a.log.text())
		}
	})
	return a
}

func (a *agent) start() {
	a.t.Helper()
	words := append(append([]string{}, a.within...), program(a.t), "run", "--node", a.node, "--data-dir", a.dir, "--allow-root")
	words = append(words, a.args...)
	a.process = exec.Command(words[0], words[1:]...)
	a.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	a.log, a.out = newLines(), newLines()
	pipe := func(lines *lines) *os.File {
		read, write, err := os.Pipe()
		check(a.t, err)
		go lines.read(read)
		return write
	}
	stderr, stdout := pipe(a.log), pipe(a.out)
	defer stderr.Close()
	defer stdout.Close()
	a.process.Stderr, a.process.Stdout = stderr, stdout
	check(a.t, a.process.Start())
	a.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) {
		process.Wait()
		close(ended)
	}(a.process, a.ended)
	// It takes signals from here on.
	a.logged("running as node", 0)
}

// end ends the agent by a signal, and waits for its end.
func (a *agent) end(signal syscall.Signal) {
	a.t.Helper()
	check(a.t, a.process.Process.Signal(signal))
	select {
	case <-a.ended:
		if state := a.process.ProcessState; signal != syscall.SIGKILL && !state.Success() {
			a.t.Errorf("node %s ended: %v:\n%s", a.node, state, a.log.text())
		}
	case <-time.After(patience):
		a.process.Process.Kill()
		a.t.Errorf("node %s does not end by %v:\n%s", a.node, signal, a.log.text())
	}
	a.process = nil
	a.log.finished()
	for _, fault := range []string{"DATA RACE", "panic: ", "fatal error: "} {
		if strings.Contains(a.log.text(), fault) {
			a.t.Errorf("node %s: %s:\n%s", a.node, fault, a.log.text())
		}
	}
}

// logged waits for a line of the log.
func (a *agent) logged(text string, from int) int {
	a.t.Helper()
	_, next := a.log.await(a.t, text, from)
	return next
}

// status asks the agent itself.
func (a *agent) status() status.Report {
	a.t.Helper()
	from := a.out.count()
	check(a.t, a.process.Process.Signal(syscall.SIGUSR1))
	line, _ := a.out.await(a.t, "{", from)
	var report status.Report
	check(a.t, json.Unmarshal([]byte(line), &report))
	return report
}

// untilStatus asks the agent itself until it says something like that. It is asked again at once; only patience ends it.
func (a *agent) untilStatus(what string, like func(status.Report) bool) status.Report {
	a.t.Helper()
	for begun := time.Now(); ; {
		report := a.status()
		if like(report) {
			return report
		}
		if time.Since(begun) > patience {
			a.t.Fatalf("node %s does not say: %s; it says %+v", a.node, what, report)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// process is one process: its pid and when it was started.
type process struct {
	pid   int
	start string
}

func (p process) alive() bool { return p.pid > 0 && startOf(p.pid) == p.start }

// startOf is when a process was started, or empty when there is none.
func startOf(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

// processOf is the process of a proxy.
func (a *agent) processOf(id string) process {
	a.t.Helper()
	text, err := os.ReadFile(filepath.Join(a.dir, "proxies", "pids", id+".pid"))
	check(a.t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	check(a.t, err)
	p := process{pid, startOf(pid)}
	if p.start == "" {
		a.t.Fatalf("proxy %s: process %d is not there", id, pid)
	}
	return p
}

// leftBehind are the processes of a node that still run.
func leftBehind(dir string) string {
	var left []string
	paths, _ := filepath.Glob(filepath.Join(dir, "proxies", "pids", "*.pid"))
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && startOf(pid) != "" {
			left = append(left, filepath.Base(path))
		}
	}
	return strings.Join(left, ", ")
}

func expectAlive(t *testing.T, what string, p process) {
	t.Helper()
	if !p.alive() {
		t.Errorf("%s: process %d is gone", what, p.pid)
	}
}

// sleeper is a declaration of a process; each number is another one.
func sleeper(number int) string {
	return fmt.Sprintf(`{"command":["sleep","%d"],"stop_signal":15}`, 300+number)
}

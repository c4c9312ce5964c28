// SPDX-License-Identifier: MPL-2.0

// Package fleettest runs real etcd servers for tests and measurements.
package fleettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/store"
)

// Patience is how long is waited for what must come. It only ever fails by it.
const Patience = 60 * time.Second

// Etcd is one member.
type Etcd struct {
	Name string
	// URL is where clients reach it, and Peer where members do.
	URL, Peer string
	Dir       string
	args      []string
	process   *exec.Cmd
}

// lastPort is where the search for free ports has come to. Programs that run at once begin at different ones.
var lastPort = int64(os.Getpid()) * 61

// FreeAddress is an address of the loopback that nothing has, and that it returns once. RACE: a port that the kernel chooses is
// free until another listener, or a client's connection, is given it: an etcd that is started then, or once more, has lost its
// port, and tests that run at once would share a store. So it is one that the kernel never chooses.
func FreeAddress() (string, error) {
	const first, count = 10_000, 20_000
	for tries := 0; tries < count; tries++ {
		address := fmt.Sprintf("127.0.0.1:%d", first+atomic.AddInt64(&lastPort, 1)%count)
		listener, err := net.Listen("tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return "", err
		}
		return address, listener.Close()
	}
	return "", errors.New("find a free port: all are taken")
}

// NewEtcd prepares members of one cluster below a directory; each is started by Start.
func NewEtcd(dir string, members int, args ...string) ([]*Etcd, error) {
	var all []*Etcd
	var cluster []string
	scheme := "http"
	for _, arg := range args {
		if strings.HasPrefix(arg, "--cert-file") {
			scheme = "https"
		}
	}
	for i := 0; i < members; i++ {
		client, err := FreeAddress()
		if err != nil {
			return nil, err
		}
		peer, err := FreeAddress()
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("member%d", i)
		all = append(all, &Etcd{Name: name, URL: scheme + "://" + client, Peer: "http://" + peer, Dir: filepath.Join(dir, name)})
		cluster = append(cluster, name+"=http://"+peer)
	}
	for _, etcd := range all {
		etcd.args = append([]string{"--initial-cluster", strings.Join(cluster, ",")}, args...)
	}
	return all, nil
}

// Start starts a member. It must not outlive the program that has started it.
func (e *Etcd) Start() error {
	if err := os.MkdirAll(e.Dir, 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(e.Dir+".log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{
		"--name", e.Name, "--data-dir", e.Dir, "--listen-client-urls", e.URL, "--advertise-client-urls", e.URL,
		"--listen-peer-urls", e.Peer, "--initial-advertise-peer-urls", e.Peer, "--log-level", "warn",
	}, e.args...)
	e.process = exec.Command("etcd", args...)
	e.process.Stdout, e.process.Stderr = log, log
	e.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := e.process.Start(); err != nil {
		return fmt.Errorf("start etcd (Debian: etcd-server): %w", err)
	}
	return nil
}

// Kill ends a member by SIGKILL, if it runs.
func (e *Etcd) Kill() {
	if e.process != nil {
		e.process.Process.Kill()
		e.process.Wait()
		e.process = nil
	}
}

// Signal sends a signal, as to stop it for a while.
func (e *Etcd) Signal(signal syscall.Signal) error { return e.process.Process.Signal(signal) }

// SlowDisk has each sync to the disk take so much longer, until the function is called: a debugger holds the member there.
func (e *Etcd) SlowDisk(delay time.Duration) (func(), error) {
	pid := e.process.Process.Pid
	inject := fmt.Sprintf("inject=fsync,fdatasync:delay_exit=%d", delay.Microseconds())
	tracer := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-p", strconv.Itoa(pid), "-e", inject)
	tracer.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := tracer.Start(); err != nil {
		return nil, fmt.Errorf("start strace (Debian: strace): %w", err)
	}
	end := func() {
		tracer.Process.Signal(syscall.SIGTERM)
		tracer.Wait()
	}
	for by := time.Now().Add(Patience); !isTraced(pid, tracer.Process.Pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(by) {
			end()
			return nil, errors.New("trace etcd: not all of its threads are")
		}
	}
	return end, nil
}

// isTraced tells whether all threads of a process have this tracer.
func isTraced(pid, tracer int) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err == nil && !strings.Contains(string(text), fmt.Sprintf("\nTracerPid:\t%d\n", tracer)) {
			return false
		}
	}
	return err == nil && len(tasks) > 0
}

// Client is a client that has reached the store.
func Client(connection store.Connection) (*clientv3.Client, error) {
	client, err := connection.Open()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for {
		asked, stop := context.WithTimeout(ctx, 2*time.Second)
		_, err := client.Get(asked, "/proxyprocess/v1/reached")
		stop()
		if err == nil || isAuth(err) {
			return client, nil
		}
		if ctx.Err() != nil {
			client.Close()
			return nil, fmt.Errorf("reach etcd: %w", err)
		}
	}
}

// Memory is the resident memory of a member, in bytes.
func (e *Etcd) Memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", e.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

func isAuth(err error) bool { return strings.Contains(err.Error(), "permission denied") }

// Metrics are the metrics of a member, summed by name over those labels that are not named here.
func (e *Etcd) Metrics() (map[string]float64, error) {
	answer, err := http.Get(e.URL + "/metrics")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	sums := map[string]float64{}
	for _, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		space := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			continue
		}
		name := line[:space]
		if i := strings.IndexByte(name, '{'); i >= 0 {
			if method := strings.Index(name, `grpc_method="`); method >= 0 {
				rest := name[method+len(`grpc_method="`):]
				sums[name[:i]+"."+rest[:strings.IndexByte(rest, '"')]] += value
			}
			name = name[:i]
		}
		sums[name] += value
	}
	return sums, nil
}

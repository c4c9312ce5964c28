// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"example.org/agent/foreground"
	"example.org/agent/proxyprocess"
)

// errLogged is a failure that the log told already.
var errLogged = errors.New("the agent failed")

// run runs the agent until a signal ends it.
func run(path string) error {
	// ORDER: signals are taken before the first process is there, so that none ends the agent behind the library's
	// back.
	signals := takeSignals()
	if err := foreground.StartLog(); err != nil {
		return err
	}
	agent, err := start(path)
	if err != nil {
		return err
	}
	ran := make(chan error, 1)
	go func() { ran <- agent.manager.Run() }()
	foreground.Logf(proxyprocess.LogInfo, "running %s", path)
	runErr, endErr := agent.obey(signals, ran)
	for _, err := range []error{runErr, endErr} {
		if err != nil {
			foreground.Logf(proxyprocess.LogError, "%v", err)
		}
	}
	if runErr != nil || endErr != nil {
		return errLogged
	}
	return nil
}

// signalChannels has a channel for every signal, which holds it until it is obeyed, as the kernel holds one: signals of one
// kind become one, and none crowds out another.
type signalChannels struct {
	hangup, interrupt, terminate, quit, status chan os.Signal
}

func takeSignals() signalChannels {
	take := func(number syscall.Signal) chan os.Signal {
		channel := make(chan os.Signal, 1)
		signal.Notify(channel, number)
		return channel
	}
	return signalChannels{
		hangup:    take(syscall.SIGHUP),
		interrupt: take(syscall.SIGINT),
		terminate: take(syscall.SIGTERM),
		quit:      take(syscall.SIGQUIT),
		status:    take(syscall.SIGUSR1),
	}
}

// runningAgent is the manager and all that a reload needs.
type runningAgent struct {
	path string
	// This executable, asked for once: a file that was replaced since has another name.
	program string
	// Fixed as long as the agent runs.
	dataDir string
	state   *proxyprocess.State
	manager *proxyprocess.Manager
	onExit  onExit
}

// start reads the configuration and takes over what an earlier agent left.
func start(path string) (*runningAgent, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own executable: %w", err)
	}
	config, err := loadConfig(path, program)
	if err != nil {
		return nil, err
	}
	// The library keeps a descriptor a process. Go's runtime has raised the soft limit already; the library gives the
	// processes the limit that the agent was started with.
	state, err := proxyprocess.NewState()
	if err != nil {
		return nil, err
	}
	// ORDER: what is wanted comes before the manager runs, else it would stop all that it restored.
	if err := state.ReplaceAllJSON(config.proxies); err != nil {
		return nil, err
	}
	config.options.State = state
	manager, err := proxyprocess.NewManager(config.options)
	if err != nil {
		return nil, err
	}
	if err := manager.Restore(manager.SnapshotPath()); err != nil {
		foreground.Logf(proxyprocess.LogError, "restore: %v", err)
	}
	return &runningAgent{path, program, config.options.DataDir, state, manager, config.onExit}, nil
}

// obey does what signals ask for until one ends the agent, or the manager ends by itself. It returns what the run and
// the end failed with.
func (a *runningAgent) obey(signals signalChannels, ran <-chan error) (runErr, endErr error) {
	end := leaveProxies
	for ended := false; !ended; {
		select {
		case <-signals.hangup:
			if err := a.reload(); err != nil {
				foreground.Logf(proxyprocess.LogError, "reload, nothing changed: %v", err)
			} else {
				foreground.Logf(proxyprocess.LogInfo, "reloaded %s", a.path)
			}
		case <-signals.status:
			if err := a.printStatus(); err != nil {
				foreground.Logf(proxyprocess.LogWarn, "print status: %v", err)
			}
		case <-signals.interrupt:
			end, ended = a.onExit, true
		case <-signals.terminate:
			end, ended = a.onExit, true
		case <-signals.quit:
			end, ended = stopProxies, true
		case runErr = <-ran:
			return runErr, a.end(leaveProxies)
		}
	}
	endErr = a.endImpatiently(end, signals)
	runErr = <-ran
	if errors.Is(runErr, proxyprocess.ErrClosed) {
		// A signal has ended the manager before it began to run.
		runErr = nil
	}
	if runErr != nil && endErr != nil && runErr.Error() == endErr.Error() {
		// The run has the result of the end.
		runErr = nil
	}
	return runErr, endErr
}

// endImpatiently ends the manager. While the proxies are stopped, another SIGINT or SIGQUIT ends their grace.
func (a *runningAgent) endImpatiently(how onExit, signals signalChannels) error {
	ended := make(chan error, 1)
	go func() { ended <- a.end(how) }()
	for {
		var name string
		select {
		case <-signals.interrupt:
			name = "SIGINT"
		case <-signals.quit:
			name = "SIGQUIT"
		case err := <-ended:
			return err
		}
		if how != stopProxies {
			continue
		}
		foreground.Logf(proxyprocess.LogWarn, "%s during the stop: what is left gets SIGKILL now", name)
		if err := a.manager.EndGrace(); err != nil {
			foreground.Logf(proxyprocess.LogError, "end grace: %v", err)
		}
	}
}

func (a *runningAgent) end(how onExit) error {
	if how == stopProxies {
		if err := a.manager.Kill(); err != nil {
			return err
		}
		foreground.Logf(proxyprocess.LogInfo, "ended, all proxies are stopped")
		return nil
	}
	if err := a.manager.Close(); err != nil {
		return err
	}
	foreground.Logf(proxyprocess.LogInfo, "ended, proxies run on")
	return nil
}

// reload reads the file again. An error leaves everything as it is.
func (a *runningAgent) reload() error {
	config, err := loadConfig(a.path, a.program)
	if err != nil {
		return err
	}
	if config.options.DataDir != a.dataDir {
		return fmt.Errorf("%s: data_dir: expected no change while the agent runs", a.path)
	}
	// ORDER: new options hold at once, so they come last: a proxy whose command and environment both changed is
	// replaced once, and one that is no longer wanted is not started again first.
	if err := a.state.ReplaceAllJSON(config.proxies); err != nil {
		return err
	}
	if err := a.manager.Reconfigure(config.options); err != nil {
		return err
	}
	a.onExit = config.onExit
	return nil
}

// printStatus prints {"proxies":{"<id>":{...}}} in one line.
func (a *runningAgent) printStatus() error {
	proxies, err := a.manager.StatusJSON()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "{\"proxies\":%s}\n", proxies)
	return err
}

// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/apply"
	"example.org/agent/fleet/ctl"
	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/node"
	"example.org/agent/foreground"
	"example.org/agent/proxyprocess"
)

func version() string {
	return fmt.Sprintf("fleet-agent %s (proxyprocess %s)", node.Version, apply.Version())
}

// settings reads the arguments of run.
func settings(args []string) (node.Config, error) {
	var config node.Config
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.StringVar(&config.Name, "node", "", "the name of this `node`")
	flags.StringVar(&config.DataDir, "data-dir", "", "the `directory` of the last good state and of the processes")
	flags.BoolVar(&config.Library.AllowRoot, "allow-root", false, "proxies may run as root")
	from := flags.String("from", "etcd", "where declarations come from: `etcd or dir:PATH`")
	flags.IntVar(&config.MaxRemoved, "max-removed", 10,
		"how `many` proxies can be removed in 10 minutes without a confirmation; never more than half of several at once")
	flags.DurationVar(&config.LeaseTTL, "lease-ttl", 30*time.Second, "the status vanishes so `long` after the node was heard of")
	connection := ctl.ConnectionFlags(flags)
	if err := ctl.ParseFlags(flags, args, 0); err != nil {
		return config, err
	}
	if err := keys.CheckName("--node", config.Name); err != nil {
		return config, ctl.Usage(err.Error())
	}
	if config.DataDir == "" {
		return config, ctl.Usage("--data-dir: expected a directory")
	}
	if config.MaxRemoved < 0 || config.LeaseTTL < 2*time.Second || config.LeaseTTL > 24*time.Hour {
		return config, ctl.Usage("--max-removed: expected a number from 0; --lease-ttl: expected 2s to 24h")
	}
	if path := strings.TrimPrefix(*from, "dir:"); path != *from && path != "" {
		config.Dir = path
		return config, nil
	}
	if *from != "etcd" {
		return config, ctl.Usage("--from: expected etcd or dir:PATH")
	}
	var err error
	config.Client, err = connection.Open()
	return config, err
}

// run runs the agent until a signal ends it.
func run(args []string) error {
	// ORDER: signals are taken before the first process is there, so that none ends the agent behind the library's back.
	end := make(chan os.Signal, 2)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	question := make(chan os.Signal, 1)
	signal.Notify(question, syscall.SIGUSR1)
	config, err := settings(args)
	if err != nil {
		return err
	}
	if config.Client != nil {
		defer closeClient(config.Client)
	}
	if err := foreground.StartLog(); err != nil {
		return err
	}
	config.Log = foreground.Logf
	agent, err := node.Open(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- agent.Run(ctx) }()
	foreground.Logf(proxyprocess.LogInfo, "running as node %s", config.Name)
	for {
		select {
		case <-question:
			printStatus(ctx, agent)
		case got := <-end:
			cancel()
			<-ran
			return finish(agent.Library(), got == syscall.SIGQUIT, end)
		case err := <-ran:
			cancel()
			return firstError(err, agent.Library().Close())
		}
	}
}

// finish ends the library. While proxies are stopped, another signal ends their grace.
func finish(library *apply.Library, stop bool, signals <-chan os.Signal) error {
	ended := make(chan error, 1)
	go func() {
		if stop {
			ended <- library.Kill()
		} else {
			ended <- library.Close()
		}
	}()
	for {
		select {
		case err := <-ended:
			if errors.Is(err, proxyprocess.ErrClosed) {
				err = nil
			}
			if err == nil {
				foreground.Logf(proxyprocess.LogInfo, "ended")
			}
			return err
		case <-signals:
			if stop {
				foreground.Logf(proxyprocess.LogWarn, "another signal during the stop: what is left gets SIGKILL now")
				if err := library.EndGrace(); err != nil {
					foreground.Logf(proxyprocess.LogError, "end grace: %v", err)
				}
			}
		}
	}
}

// printStatus prints what the node says of itself, as one JSON line on stdout: also when no store hears it.
func printStatus(ctx context.Context, agent *node.Node) {
	report, err := agent.Report(ctx)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(report)
	}
	if err != nil {
		foreground.Logf(proxyprocess.LogWarn, "print status: %v", err)
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func closeClient(client *clientv3.Client) {
	if err := client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		foreground.Logf(proxyprocess.LogWarn, "close the connection: %v", err)
	}
}

// SPDX-License-Identifier: MPL-2.0

// Package ctl has the commands of those who declare what a fleet runs.
package ctl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/store"
)

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Names are the commands.
const Names = "set, rm, get, groups, status, diff, rollout, history, rollback, confirm"

type usageError string

func (e usageError) Error() string { return string(e) }

// Usage is an error of the arguments.
func Usage(text string) error { return usageError(text) }

// IsUsage tells whether the arguments were wrong.
func IsUsage(err error) bool {
	var usage usageError
	return errors.As(err, &usage)
}

// ParseFlags reads arguments, of which at most so many may be left, before flags, between and behind them. What is wrong, and
// help, was printed.
func ParseFlags(flags *flag.FlagSet, args []string, most int) error {
	var others []string
	for rest := args; ; rest = flags.Args()[1:] {
		if err := flags.Parse(rest); errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		} else if err != nil {
			return Usage("")
		}
		if flags.NArg() == 0 {
			break
		}
		others = append(others, flags.Arg(0))
	}
	if len(others) > most {
		return Usage(fmt.Sprintf("argument %s: not expected", others[most]))
	}
	return flags.Parse(append([]string{"--"}, others...))
}

// Connection is how the store is reached, as flags say.
type Connection struct {
	endpoints string
	store.Connection
}

// ConnectionFlags has flags for how the store is reached.
func ConnectionFlags(flags *flag.FlagSet) *Connection {
	var c Connection
	flags.StringVar(&c.endpoints, "endpoints", "http://127.0.0.1:2379", "the `URLs` of etcd, with commas between them")
	flags.StringVar(&c.CACert, "cacert", "", "a `file` with the certificates that etcd's is checked with")
	flags.StringVar(&c.Cert, "cert", "", "a `file` with the client certificate")
	flags.StringVar(&c.Key, "key", "", "a `file` with its key")
	flags.StringVar(&c.User, "user", "", "the `name` of an etcd user")
	flags.StringVar(&c.PasswordFile, "password-file", "", "a `file` with its password")
	return &c
}

// Open makes a client.
func (c *Connection) Open() (*clientv3.Client, error) {
	c.Endpoints = strings.Split(c.endpoints, ",")
	if (c.Cert == "") != (c.Key == "") || (c.User == "") != (c.PasswordFile == "") {
		return nil, Usage("--cert and --key, and --user and --password-file, belong together")
	}
	return c.Connection.Open()
}

// command is a command that has begun.
type command struct {
	Streams
	flags      *flag.FlagSet
	connection *Connection
	node       string
	group      string
	client     *clientv3.Client
}

const timeout = 10 * time.Second

// Run runs a command.
func Run(name string, args []string, streams Streams) error {
	run := map[string]func(*command, []string) error{
		"set": set, "rm": remove, "get": get, "groups": groups, "status": showStatus, "diff": diff, "rollout": rollouts,
		"history": history, "rollback": rollback, "confirm": confirm,
	}[name]
	if run == nil {
		return Usage(fmt.Sprintf("%s: unknown command, expected run, version or one of %s", name, Names))
	}
	c := &command{Streams: streams, flags: flag.NewFlagSet(name, flag.ContinueOnError)}
	c.flags.SetOutput(streams.Err)
	c.connection = ConnectionFlags(c.flags)
	defer func() {
		if c.client != nil {
			c.client.Close()
		}
	}()
	return run(c, args)
}

// places has the flags of commands that are about a node or a group.
func (c *command) places() {
	c.flags.StringVar(&c.node, "node", "", "of this `node`")
	c.flags.StringVar(&c.group, "group", "", "of this `group`")
}

// open reads the arguments, and connects.
func (c *command) open(args []string, most int) error {
	if err := ParseFlags(c.flags, args, most); err != nil {
		return err
	}
	var err error
	c.client, err = c.connection.Open()
	return err
}

// openAt reads the arguments of a command about one node or group, and opens the store.
func (c *command) openAt(args []string, most int) (keys.Key, error) {
	if err := c.open(args, most); err != nil {
		return keys.Key{}, err
	}
	return c.place()
}

// place is the node or group that the command is about.
func (c *command) place() (keys.Key, error) {
	place, flag := keys.Key{Kind: keys.NodeProxy, Name: c.node}, "--node"
	if c.node == "" {
		place, flag = keys.Key{Kind: keys.GroupProxy, Name: c.group}, "--group"
	}
	if (c.node == "") == (c.group == "") {
		return place, Usage("expected one of --node and --group")
	}
	if err := keys.CheckName(flag, place.Name); err != nil {
		return place, Usage(err.Error())
	}
	return place, nil
}

func (c *command) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), timeout)
}

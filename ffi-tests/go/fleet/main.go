// SPDX-License-Identifier: MPL-2.0

// The agent of a fleet: it runs the proxies that etcd, or a directory of files, declares for its node. Under the name fleetctl
// it is the tool for those who declare them.
package main

import (
	"fmt"
	"os"

	"example.org/agent/fleet/ctl"
	"example.org/agent/foreground"
)

const usage = `usage: fleet-agent run --node NAME --data-dir DIR (--endpoints URL[,URL...] | --from dir:PATH) [--allow-root]
       fleet-agent COMMAND ...   (or: fleetctl COMMAND ...)
       fleet-agent run --help, fleet-agent COMMAND --help, fleet-agent version

commands: ` + ctl.Names + `

exit code: 0 done as asked, 1 failure, 2 wrong arguments`

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	foreground.KeepStandardDescriptors()
	foreground.SurviveBrokenPipes()
	os.Exit(command(os.Args[1:]))
}

// command does what the arguments ask for, and returns the exit code.
func command(args []string) int {
	switch {
	case len(args) == 0:
		fmt.Fprintf(os.Stderr, "fleet-agent: arguments: expected a command\n%s\n", usage)
		return exitUsage
	case args[0] == "--help" || args[0] == "-h" || args[0] == "help":
		fmt.Println(usage)
		return exitOK
	case args[0] == "version":
		fmt.Println(version())
		return exitOK
	case args[0] == "run":
		return exitCode(run(args[1:]))
	default:
		return exitCode(ctl.Run(args[0], args[1:], ctl.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
}

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case ctl.IsUsage(err):
		if text := err.Error(); text != "" {
			fmt.Fprintf(os.Stderr, "fleet-agent: %s\n", text)
		}
		return exitUsage
	default:
		fmt.Fprintf(os.Stderr, "fleet-agent: %v\n", err)
		return exitFailure
	}
}

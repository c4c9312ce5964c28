// SPDX-License-Identifier: MPL-2.0

// An agent that runs real proxies with the library, in the foreground: the example agent of the library in Go.
//
// It runs the proxies of a configuration file. SIGHUP reads the file again, SIGUSR1 prints the status as one JSON line
// on stdout, SIGINT and SIGTERM end the agent, SIGQUIT ends it and its proxies. While these are stopped, another SIGINT or
// SIGQUIT kills what is left.
package main

import (
	"fmt"
	"os"
	"strings"

	"example.org/agent/foreground"
)

const usage = `usage: agent CONFIG.json
       agent --help`

const help = `
  CONFIG.json  run the proxies that the file declares; log on stderr (level: RUST_LOG, info unless set)
                 SIGHUP   read the file again; a bad file changes nothing
                 SIGUSR1  print the status as one JSON line on stdout
                 SIGINT, SIGTERM  end as "on_exit" says: "leave" the proxies running (default) or "stop" them
                 SIGQUIT  stop the proxies and end
                 SIGINT, SIGQUIT  once more, while they are stopped: SIGKILL to what is left

exit code: 0 ended as asked, 1 failure, 2 wrong arguments`

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
	wrong := ""
	switch {
	case len(args) == 0:
		wrong = "arguments: expected a configuration file"
	case contains(args, "--help") || contains(args, "-h"):
		fmt.Printf("%s\n%s\n", usage, help)
		return exitOK
	case strings.HasPrefix(args[0], "-"):
		wrong = fmt.Sprintf("argument %s: unknown option", args[0])
	case len(args) > 1:
		wrong = fmt.Sprintf("argument %s: not expected", args[1])
	}
	if wrong != "" {
		fmt.Fprintf(os.Stderr, "agent: %s\n%s\n", wrong, usage)
		return exitUsage
	}
	if err := run(args[0]); err != nil {
		if err != errLogged {
			fmt.Fprintf(os.Stderr, "agent: %v\n", err)
		}
		return exitFailure
	}
	return exitOK
}

func contains(words []string, wanted string) bool {
	for _, word := range words {
		if word == wanted {
			return true
		}
	}
	return false
}

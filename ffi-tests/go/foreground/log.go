// SPDX-License-Identifier: MPL-2.0

package foreground

import (
	"fmt"
	"log"
	"os"
	"strings"

	"example.org/agent/proxyprocess"
)

// lines is where the log goes. The log of package log is not used: a package of etcd's client takes that over.
var lines = log.New(os.Stderr, "", log.LstdFlags|log.LUTC)

// logLevel is what is logged, of the agent and of the library.
var logLevel = proxyprocess.LogInfo

// StartLog has the library log as the agent does, on stderr.
func StartLog() error {
	name := os.Getenv("RUST_LOG")
	level, known := parseLevel(name)
	if known {
		logLevel = level
	} else if name != "" {
		Logf(proxyprocess.LogWarn, "RUST_LOG: expected off, error, warn, info, debug or trace, got %q", name)
	}
	return proxyprocess.SetLog(logLevel, func(level proxyprocess.LogLevel, message string) {
		lines.Printf("%-5s %s", strings.ToUpper(level.String()), message)
	})
}

func parseLevel(name string) (proxyprocess.LogLevel, bool) {
	for level := proxyprocess.LogOff; level <= proxyprocess.LogTrace; level++ {
		if strings.EqualFold(name, level.String()) {
			return level, true
		}
	}
	return proxyprocess.LogOff, false
}

// Logf logs a line of the agent's own.
func Logf(level proxyprocess.LogLevel, format string, values ...interface{}) {
	if level <= logLevel {
		lines.Printf("%-5s %s", strings.ToUpper(level.String()), fmt.Sprintf(format, values...))
	}
}

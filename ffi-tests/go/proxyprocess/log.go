// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include "bridge.h"
import "C"

import (
	"fmt"
	"runtime/cgo"
)

// LogLevel is how much is logged: one level and all above it.
type LogLevel int32

// The levels.
const (
	// LogOff is nothing.
	LogOff LogLevel = C.PROXYPROCESS_LOG_OFF
	// LogError is what failed.
	LogError LogLevel = C.PROXYPROCESS_LOG_ERROR
	// LogWarn is unexpected exits and refused adoptions.
	LogWarn LogLevel = C.PROXYPROCESS_LOG_WARN
	// LogInfo is starts, adoptions, stops and waits.
	LogInfo LogLevel = C.PROXYPROCESS_LOG_INFO
	// LogDebug is for developers of the library.
	LogDebug LogLevel = C.PROXYPROCESS_LOG_DEBUG
	// LogTrace is for developers of the library, and more than they can read.
	LogTrace LogLevel = C.PROXYPROCESS_LOG_TRACE
)

var logLevelNames = [...]string{"off", "error", "warn", "info", "debug", "trace"}

// String returns the name of the level, like "warn".
func (l LogLevel) String() string {
	if l < 0 || int(l) >= len(logLevelNames) {
		return fmt.Sprintf("level %d", int32(l))
	}
	return logLevelNames[l]
}

// SetLog sets a function that gets the log of the library in the whole program; NewLogs and Manager.Logs do without one.
// Before the first call it goes nowhere. A later
// call replaces the function; when it returns, the earlier one is not executing any more. A nil function is none.
//
// The function takes one line, without a newline. It is called by several threads at the same time, and while it runs,
// the supervision may stand still: it must be short, and must not wait for a lock that is held where methods of this
// package are called. It can call no method of this package that returns an error.
func SetLog(level LogLevel, function func(level LogLevel, message string)) error {
	var word cgo.Handle
	if function != nil {
		word = cgo.NewHandle(function)
	}
	err := call(func(failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_go_set_log(C.int32_t(level), C.uintptr_t(word), failure)
	})
	if err != nil && function != nil {
		word.Delete()
	}
	return err
}

//export proxyprocessGoLog
func proxyprocessGoLog(level C.int32_t, message *C.char, length C.size_t, function C.uintptr_t) {
	guard(func() error {
		line := C.GoStringN(message, C.int(length))
		cgo.Handle(function).Value().(func(LogLevel, string))(LogLevel(level), line)
		return nil
	})
}

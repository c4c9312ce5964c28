// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"context"
	"io"
	"time"
	"unsafe"
)

// LogLine is one line of the log.
type LogLine struct {
	// Number counts up by one with every line of the reader's level.
	Number uint64
	// Time is when it was written.
	Time time.Time
	// Level is how serious it is.
	Level LogLevel
	// Message is one line of at most 4096 bytes, without a newline; a longer one is cut and ends with "...".
	Message string
	// Missed is how many lines the reader has lost, for it fell behind: Message says so as well. It is 0 for every other line.
	Missed uint64
}

// Logs is a reader of lines of the log, of one manager (Manager.Logs) or of the whole library (NewLogs), from its creation on.
// It works beside SetLog, and without it: nothing of Go's is called on a thread of the library. Reading slowly delays nothing:
// the last LogCapacity lines are kept for each reader, and when it reads again, one line says how many older ones it has lost.
type Logs struct {
	reader reader
}

// NewLogs returns a reader of all lines of the library that are at least so serious, of all its managers and daemons. They
// have no end.
func NewLogs(level LogLevel) (*Logs, error) {
	return newLogs(func(logs **C.proxyprocess_logs) error {
		return call(func(failure **C.proxyprocess_error) C.int32_t {
			return C.proxyprocess_logs_new(C.int32_t(level), logs, failure)
		})
	})
}

// Logs returns a reader of the lines about this manager and its proxies that are at least so serious. What concerns all
// managers of the program is not among them: lines of the threads that they share, and of opening a data directory; NewLogs
// has those as well.
func (m *Manager) Logs(level LogLevel) (*Logs, error) {
	return newLogs(func(logs **C.proxyprocess_logs) error {
		return m.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
			return C.proxyprocess_manager_logs(manager, C.int32_t(level), logs, failure)
		})
	})
}

// newLogs makes a reader of what open puts there.
func newLogs(open func(**C.proxyprocess_logs) error) (*Logs, error) {
	var object *C.proxyprocess_logs
	if err := open(&object); err != nil {
		return nil, err
	}
	logs := newHandle(unsafe.Pointer(object), func(pointer unsafe.Pointer) {
		C.proxyprocess_logs_free((*C.proxyprocess_logs)(pointer))
	})
	reader, err := newReader(logs, func(descriptor *C.int32_t, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_logs_descriptor(object, descriptor, failure)
	})
	if err != nil {
		return nil, err
	}
	return &Logs{reader}, nil
}

// Close releases the reader; a Next that waits returns ErrClosed.
func (l *Logs) Close() error {
	l.reader.close()
	return nil
}

// Next returns the next line. It waits for it until the context is done, whose error it returns then; with a context that is
// done it does not wait. It returns io.EOF when no line will come any more: the manager has ended, and all were read.
func (l *Logs) Next(ctx context.Context) (LogLine, error) {
	var line LogLine
	ended := false
	err := l.reader.next(ctx, func() (bool, error) {
		err := l.reader.use(func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t {
			var found C.proxyprocess_log_line
			found.struct_size = C.sizeof_proxyprocess_log_line
			code := C.proxyprocess_logs_next((*C.proxyprocess_logs)(object), 0, &found, failure)
			if code == C.PROXYPROCESS_OK {
				line, ended = lineOf(&found), found.ended != 0
			}
			return code
		})
		return ended || line.Level != LogOff, err
	})
	if err == nil && ended {
		err = io.EOF
	}
	if err != nil {
		return LogLine{}, err
	}
	return line, nil
}

func lineOf(line *C.proxyprocess_log_line) LogLine {
	return LogLine{
		Number:  uint64(line.number),
		Time:    time.Unix(0, int64(line.at_unix_ns)),
		Level:   LogLevel(line.level),
		Message: C.GoStringN(line.message, C.int(line.message_length)),
		Missed:  uint64(line.missed),
	}
}

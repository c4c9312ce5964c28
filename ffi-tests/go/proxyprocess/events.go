package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Events is a reader of lifecycle events. Reading slowly costs nobody anything: what does not fit is reported as a gap.
type Events struct {
	handle *handle
	// The reader's descriptor, on the poller of Go's runtime.
	ready *os.File
	poll  syscall.RawConn
	// Holds a token while somebody reads: an event is there until the next call with the same reader.
	turn chan struct{}
}

// newEvents makes a reader of what open puts there.
func newEvents(open func(**C.proxyprocess_events) error) (*Events, error) {
	var object *C.proxyprocess_events
	if err := open(&object); err != nil {
		return nil, err
	}
	events := &Events{turn: make(chan struct{}, 1)}
	events.handle = newHandle(unsafe.Pointer(object), func(pointer unsafe.Pointer) {
		C.proxyprocess_events_free((*C.proxyprocess_events)(pointer))
	})
	var err error
	if events.ready, err = pollable(object); err == nil {
		events.poll, err = events.ready.SyscallConn()
	}
	if err != nil {
		events.Close()
		return nil, err
	}
	return events, nil
}

// pollable duplicates the descriptor of a reader: an os.File closes its own.
func pollable(events *C.proxyprocess_events) (*os.File, error) {
	var descriptor C.int32_t
	if err := call(func(failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_events_descriptor(events, &descriptor, failure)
	}); err != nil {
		return nil, err
	}
	own, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(descriptor), syscall.F_DUPFD_CLOEXEC, 3)
	if errno != 0 {
		return nil, &Error{Code: ErrExhausted, Errno: errno, Message: "duplicate event descriptor: " + errno.Error()}
	}
	return os.NewFile(own, "events"), nil
}

// Close releases the reader; a Next that waits returns ErrClosed.
func (e *Events) Close() error {
	// ORDER: who is woken by the end of the file finds the reader closed.
	e.handle.close()
	if e.ready != nil {
		e.ready.Close()
	}
	return nil
}

// Next returns the next event. It waits for it until the context is done, whose error it returns then; with a context
// that is done it only looks. It returns io.EOF when no event will come any more: the manager or daemon has ended,
// and all its events were read.
func (e *Events) Next(ctx context.Context) (Event, error) {
	if e.handle == nil {
		return Event{}, closedError()
	}
	select {
	case e.turn <- struct{}{}:
	default:
		select {
		case e.turn <- struct{}{}:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
	defer func() { <-e.turn }()
	event, err := e.look()
	if err == nil && event.Kind == eventNone {
		event, err = e.wait(ctx)
	}
	if err == nil && event.Kind == eventEnd {
		err = io.EOF
	}
	if err != nil {
		return Event{}, err
	}
	return event, nil
}

// wait parks the goroutine, not its thread, until there is something to read.
func (e *Events) wait(ctx context.Context) (event Event, err error) {
	if err := e.ready.SetReadDeadline(time.Time{}); err != nil {
		return Event{}, e.closedOr(err)
	}
	interrupted := interrupt(ctx, e.ready)
	defer interrupted()
	failed := e.poll.Read(func(uintptr) bool {
		event, err = e.look()
		return err != nil || event.Kind != eventNone
	})
	switch {
	case errors.Is(failed, os.ErrDeadlineExceeded):
		return Event{}, ctx.Err()
	case failed != nil:
		return Event{}, e.closedOr(failed)
	}
	return event, err
}

// closedOr returns why the poller has failed.
func (e *Events) closedOr(err error) error {
	if !e.handle.acquire() {
		return closedError()
	}
	e.handle.release()
	return err
}

// look returns the next event if there is one, else eventNone or eventEnd.
func (e *Events) look() (event Event, err error) {
	err = e.handle.use(func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t {
		var found C.proxyprocess_event
		found.struct_size = C.sizeof_proxyprocess_event
		code := C.proxyprocess_events_next((*C.proxyprocess_events)(object), 0, &found, failure)
		if code == C.PROXYPROCESS_OK {
			event = eventOf(&found)
		}
		return code
	})
	return event, err
}

// interrupt ends what waits for a file when the context is done. The function that it returns is called after the wait:
// then the file is as before.
func interrupt(ctx context.Context, file *os.File) func() {
	if ctx.Done() == nil {
		return func() {}
	}
	waited, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ctx.Done():
			file.SetReadDeadline(time.Unix(1, 0))
		case <-waited:
		}
	}()
	return func() {
		close(waited)
		<-ended
	}
}

// Channel returns a channel of the events that are read from now on. It is closed when no event will come any more,
// when the reader is closed, and when the context is done; one of them must come, else a goroutine is lost. An event
// that nobody has received by then is lost.
func (e *Events) Channel(ctx context.Context) <-chan Event {
	channel := make(chan Event)
	go func() {
		defer close(channel)
		for {
			event, err := e.Next(ctx)
			if err != nil {
				return
			}
			select {
			case channel <- event:
			case <-ctx.Done():
				return
			}
		}
	}()
	return channel
}

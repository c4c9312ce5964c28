// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"context"
	"io"
	"unsafe"
)

// Events is a reader of lifecycle events. Reading slowly holds up nothing: what does not fit is reported as a gap.
type Events struct {
	reader reader
}

// newEvents makes a reader of what open puts there.
func newEvents(open func(**C.proxyprocess_events) error) (*Events, error) {
	var object *C.proxyprocess_events
	if err := open(&object); err != nil {
		return nil, err
	}
	events := newHandle(unsafe.Pointer(object), func(pointer unsafe.Pointer) {
		C.proxyprocess_events_free((*C.proxyprocess_events)(pointer))
	})
	reader, err := newReader(events, func(descriptor *C.int32_t, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_events_descriptor(object, descriptor, failure)
	})
	if err != nil {
		return nil, err
	}
	return &Events{reader}, nil
}

// Close releases the reader; a Next that waits returns ErrClosed.
func (e *Events) Close() error {
	e.reader.close()
	return nil
}

// Next returns the next event. It waits for it until the context is done, whose error it returns then; with a context
// that is done it only looks. It returns io.EOF when no event will come any more: the manager or daemon has ended,
// and all its events were read.
func (e *Events) Next(ctx context.Context) (Event, error) {
	var event Event
	err := e.reader.next(ctx, func() (bool, error) {
		err := e.reader.use(func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t {
			var found C.proxyprocess_event
			found.struct_size = C.sizeof_proxyprocess_event
			code := C.proxyprocess_events_next((*C.proxyprocess_events)(object), 0, &found, failure)
			if code == C.PROXYPROCESS_OK {
				event = eventOf(&found)
			}
			return code
		})
		return event.Kind != eventNone, err
	})
	if err == nil && event.Kind == eventEnd {
		err = io.EOF
	}
	if err != nil {
		return Event{}, err
	}
	return event, nil
}

// Channel returns a channel of the events that are read from now on. It is closed when no event will come any more,
// when the reader is closed, and when the context is done; one of them must come, else a goroutine is lost. An event
// that was not received by then is lost.
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

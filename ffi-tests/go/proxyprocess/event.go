// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import "time"

// EventKind is what happened. A later version of the library may report others.
type EventKind int32

// The kinds of events.
const (
	// EventStarted: the proxy runs; PID is 0 for kinds that have no process.
	EventStarted EventKind = C.PROXYPROCESS_EVENT_STARTED
	// EventStartFailed: a process could not be started, and Text says why; it is tried again.
	EventStartFailed EventKind = C.PROXYPROCESS_EVENT_START_FAILED
	// EventAdopted: the process PID of an earlier agent is supervised from now on.
	EventAdopted EventKind = C.PROXYPROCESS_EVENT_ADOPTED
	// EventAdoptionRefused: a recorded process, or one of which it is not known whether there is one, was not adopted, and
	// Text says why.
	EventAdoptionRefused EventKind = C.PROXYPROCESS_EVENT_ADOPTION_REFUSED
	// EventExited: the process PID has ended, and Exit says how.
	EventExited EventKind = C.PROXYPROCESS_EVENT_EXITED
	// EventWaiting: the next start is due in Wait.
	EventWaiting EventKind = C.PROXYPROCESS_EVENT_WAITING
	// EventStopping: the process PID was told to end.
	EventStopping EventKind = C.PROXYPROCESS_EVENT_STOPPING
	// EventStopped: the process is gone, as was wanted.
	EventStopped EventKind = C.PROXYPROCESS_EVENT_STOPPED
	// EventFailed: the proxy cannot be started as it is declared, or may not be, and Text says why.
	EventFailed EventKind = C.PROXYPROCESS_EVENT_FAILED
	// EventSnapshotWritten: the snapshot was written.
	EventSnapshotWritten EventKind = C.PROXYPROCESS_EVENT_SNAPSHOT_WRITTEN
	// EventSnapshotFailed: the snapshot could not be written, or what was there could not be read, and Text says why.
	EventSnapshotFailed EventKind = C.PROXYPROCESS_EVENT_SNAPSHOT_FAILED
	// EventGap: the reader fell behind, and Missed events are lost to it. The status tells where things stand.
	EventGap EventKind = C.PROXYPROCESS_EVENT_GAP
	// EventUnproven: the process is gone, and others live that it may have left. They are not proven to be its own, and not
	// signalled; Text names them.
	EventUnproven EventKind = C.PROXYPROCESS_EVENT_UNPROVEN
	// EventReady: the process is ready, as its declaration says when.
	EventReady EventKind = C.PROXYPROCESS_EVENT_READY
	// EventNotReady: the process was not ready within its start timeout, and Text says why: it is stopped, and started again
	// as after a crash.
	EventNotReady EventKind = C.PROXYPROCESS_EVENT_NOT_READY
	// EventWatchdogExpired: the process has not fed its watchdog in time, or asked to be treated so, and Text says which: it
	// gets SIGABRT, and is started again as after a crash.
	EventWatchdogExpired EventKind = C.PROXYPROCESS_EVENT_WATCHDOG_EXPIRED
	// EventCompleted: the process has ended as it may, and the proxy is not started again as its declaration says: Exit. The next
	// agent tells so again.
	EventCompleted EventKind = C.PROXYPROCESS_EVENT_COMPLETED
)

// What the library says in place of an event.
const (
	eventNone EventKind = C.PROXYPROCESS_EVENT_NONE
	eventEnd  EventKind = C.PROXYPROCESS_EVENT_END
)

// String returns the name of the kind, like "start_failed", which is that of its JSON form.
func (k EventKind) String() string {
	return C.GoString(C.proxyprocess_event_kind_str(C.int32_t(k)))
}

// Event is something that happened to a proxy or to the snapshot.
type Event struct {
	// Kind is what happened.
	Kind EventKind
	// Number counts up by one with every event of the manager or daemon. A gap has the number of the last event it
	// covers.
	Number uint64
	// Time is when it happened.
	Time time.Time
	// ID is the proxy, empty where it is about none.
	ID string
	// Text is an error or a reason.
	Text string
	// PID is the process, or 0.
	PID int
	// Exit is how the process ended.
	Exit Exit
	// Wait is the time until the next start.
	Wait time.Duration
	// Missed is how many events are lost.
	Missed uint64
	// Generation tells which start of the proxy the process comes from that it happened to, or 0: see Status.Generation.
	Generation uint64
}

func eventOf(event *C.proxyprocess_event) Event {
	return Event{
		Kind:       EventKind(event.kind),
		Number:     uint64(event.number),
		Time:       time.Unix(0, int64(event.at_unix_ns)),
		ID:         C.GoString(event.id),
		Text:       C.GoString(event.text),
		PID:        int(event.pid),
		Exit:       Exit{ExitKind(event.exit), int(event.exit_value)},
		Wait:       time.Duration(event.wait_ms) * time.Millisecond,
		Missed:     uint64(event.missed),
		Generation: uint64(event.generation),
	}
}

// MarshalJSON returns one object with the keys number, at_unix_ns, id, kind, pid, exit, wait_ms, text, missed and generation; null
// is what the kind does not have. It is the same in all languages.
func (e Event) MarshalJSON() ([]byte, error) {
	var mem cMemory
	defer mem.free()
	event := C.proxyprocess_event{
		struct_size: C.sizeof_proxyprocess_event,
		kind:        C.int32_t(e.Kind),
		number:      C.uint64_t(e.Number),
		at_unix_ns:  C.uint64_t(e.Time.UnixNano()),
		id:          mem.optional("id", e.ID),
		text:        mem.optional("text", e.Text),
		wait_ms:     C.uint64_t(e.Wait / time.Millisecond),
		missed:      C.uint64_t(e.Missed),
		pid:         C.uint32_t(e.PID),
		exit:        C.int32_t(e.Exit.Kind),
		exit_value:  C.int32_t(e.Exit.Value),
		generation:  C.uint64_t(e.Generation),
	}
	if mem.err != nil {
		return nil, mem.err
	}
	var text *C.char
	var length C.size_t
	err := call(func(failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_event_json(&event, &text, &length, failure)
	})
	return taken(text, length), err
}

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"fmt"
	"time"
)

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
)

// What the library says in place of an event.
const (
	eventNone EventKind = C.PROXYPROCESS_EVENT_NONE
	eventEnd  EventKind = C.PROXYPROCESS_EVENT_END
)

var eventNames = map[EventKind]string{
	EventStarted:         "started",
	EventStartFailed:     "start failed",
	EventAdopted:         "adopted",
	EventAdoptionRefused: "adoption refused",
	EventExited:          "exited",
	EventWaiting:         "waiting",
	EventStopping:        "stopping",
	EventStopped:         "stopped",
	EventFailed:          "failed",
	EventSnapshotWritten: "snapshot written",
	EventSnapshotFailed:  "snapshot failed",
	EventGap:             "gap",
	EventUnproven:        "unproven",
}

// String returns the name of the kind, like "start failed".
func (k EventKind) String() string {
	if name, ok := eventNames[k]; ok {
		return name
	}
	return fmt.Sprintf("event %d", int32(k))
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
}

func eventOf(event *C.proxyprocess_event) Event {
	return Event{
		Kind:   EventKind(event.kind),
		Number: uint64(event.number),
		Time:   time.Unix(0, int64(event.at_unix_ns)),
		ID:     C.GoString(event.id),
		Text:   C.GoString(event.text),
		PID:    int(event.pid),
		Exit:   Exit{ExitKind(event.exit), int(event.exit_value)},
		Wait:   time.Duration(event.wait_ms) * time.Millisecond,
		Missed: uint64(event.missed),
	}
}

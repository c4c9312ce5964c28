// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"errors"
	"syscall"
)

// Code says what kind of error an Error is. Codes are errors themselves, for errors.Is. A later version of the library
// may have others.
type Code int32

// The codes.
const (
	// ErrInvalidConfig: a field of a configuration, a document or an argument is not acceptable; the message names it.
	ErrInvalidConfig Code = C.PROXYPROCESS_E_INVALID_CONFIG
	// ErrInvalidID: the id of a proxy is empty or longer than 1024 bytes.
	ErrInvalidID Code = C.PROXYPROCESS_E_INVALID_ID
	// ErrIO: a system call on a file or directory failed.
	ErrIO Code = C.PROXYPROCESS_E_IO
	// ErrLocked: the data directory belongs to a manager that is alive; the message names its process.
	ErrLocked Code = C.PROXYPROCESS_E_LOCKED
	// ErrUntrusted: a file or directory has an owner, a mode or a type that cannot be trusted.
	ErrUntrusted Code = C.PROXYPROCESS_E_UNTRUSTED
	// ErrCorruptSnapshot: a snapshot cannot be read, or is of a version that is not known.
	ErrCorruptSnapshot Code = C.PROXYPROCESS_E_CORRUPT_SNAPSHOT
	// ErrStopped: the proxy was stopped for good and cannot be started again.
	ErrStopped Code = C.PROXYPROCESS_E_STOPPED
	// ErrClosed: it was closed or killed.
	ErrClosed Code = C.PROXYPROCESS_E_CLOSED
	// ErrStillRunning: processes outlived a stop; the message names them.
	ErrStillRunning Code = C.PROXYPROCESS_E_STILL_RUNNING
	// ErrExhausted: the system has no more of something that the library needs (threads, descriptors, memory).
	ErrExhausted Code = C.PROXYPROCESS_E_EXHAUSTED
	// ErrRootRefused: proxies may not run as root (ManagerOptions.AllowRoot is false).
	ErrRootRefused Code = C.PROXYPROCESS_E_ROOT_REFUSED
	// ErrUnknownMode: the mode is not registered.
	ErrUnknownMode Code = C.PROXYPROCESS_E_UNKNOWN_MODE
	// ErrStartFailed: a process could not be started; the message names the step that failed.
	ErrStartFailed Code = C.PROXYPROCESS_E_START_FAILED
	// ErrAdoptionRefused: a process could not be adopted, and why.
	ErrAdoptionRefused Code = C.PROXYPROCESS_E_ADOPTION_REFUSED
	// ErrForked: it was made before a fork; its threads live in the other process.
	ErrForked Code = C.PROXYPROCESS_E_FORKED
	// ErrInternal: a fault of the library, or of a Proxy of one's own.
	ErrInternal Code = C.PROXYPROCESS_E_INTERNAL
	// ErrUnproven: what a stop could prove to be of the proxy is gone, but processes live that may be of it; the message
	// names them.
	ErrUnproven Code = C.PROXYPROCESS_E_UNPROVEN
	// ErrNotFound: no proxy of this id is managed: it is not declared, or its declaration was not followed yet.
	ErrNotFound Code = C.PROXYPROCESS_E_NOT_FOUND
	// ErrNotRunning: the proxy has no process now, or one that cannot do yet what it was asked for.
	ErrNotRunning Code = C.PROXYPROCESS_E_NOT_RUNNING
	// ErrTimeout: what was waited for has not come in time.
	ErrTimeout Code = C.PROXYPROCESS_E_TIMEOUT
	// ErrCommandFailed: a command that was run for a proxy has failed; the message says how it ended.
	ErrCommandFailed Code = C.PROXYPROCESS_E_COMMAND_FAILED
	// ErrPaused: the proxy is paused, by its declaration or by a call.
	ErrPaused Code = C.PROXYPROCESS_E_PAUSED
	// ErrNullArgument: something is missing that must be there; the message names it.
	ErrNullArgument Code = C.PROXYPROCESS_E_NULL_ARGUMENT
	// ErrInvalidUTF8: a text must be UTF-8 and is not.
	ErrInvalidUTF8 Code = C.PROXYPROCESS_E_INVALID_UTF8
	// ErrStructSize: this package and the library that is linked do not fit.
	ErrStructSize Code = C.PROXYPROCESS_E_STRUCT_SIZE
	// ErrInvalidArgument: a number is out of its range; the message names the argument.
	ErrInvalidArgument Code = C.PROXYPROCESS_E_INVALID_ARGUMENT
	// ErrInCallback: the method cannot be called from this callback.
	ErrInCallback Code = C.PROXYPROCESS_E_IN_CALLBACK
	// ErrLoggerInstalled: the program has a logger already that is not this library's.
	ErrLoggerInstalled Code = C.PROXYPROCESS_E_LOGGER_INSTALLED
	// ErrPanic: a fault of the library was caught. The value can only be closed from now on.
	ErrPanic Code = C.PROXYPROCESS_E_PANIC
	// ErrAbandoned: a call in C on the same thread was left by longjmp, which no program in Go does.
	ErrAbandoned Code = C.PROXYPROCESS_E_ABANDONED
)

// Error returns a short text, like "data directory is locked".
func (c Code) Error() string {
	return C.GoString(C.proxyprocess_code_str(C.int32_t(c)))
}

// Class returns where the cause of errors of this code lies.
func (c Code) Class() Class {
	return Class(C.proxyprocess_code_class(C.int32_t(c)))
}

// Class says where the cause of an error lies.
type Class int32

// The classes.
const (
	// ClassArgument: the caller; what it passed is not acceptable.
	ClassArgument Class = C.PROXYPROCESS_CLASS_ARGUMENT
	// ClassSystem: the system, which failed or has no more of something. Error.Errno may say more.
	ClassSystem Class = C.PROXYPROCESS_CLASS_SYSTEM
	// ClassState: the order of calls; not now, or not any more.
	ClassState Class = C.PROXYPROCESS_CLASS_STATE
	// ClassData: what is on the disk.
	ClassData Class = C.PROXYPROCESS_CLASS_DATA
	// ClassProcess: a process that is or should be supervised.
	ClassProcess Class = C.PROXYPROCESS_CLASS_PROCESS
	// ClassInternal: the library itself, or a code of a later version.
	ClassInternal Class = C.PROXYPROCESS_CLASS_INTERNAL
)

// String returns the name of the class, like "system".
func (c Class) String() string {
	names := map[Class]string{
		ClassArgument: "argument", ClassSystem: "system", ClassState: "state",
		ClassData: "data", ClassProcess: "process", ClassInternal: "internal",
	}
	if name, ok := names[c]; ok {
		return name
	}
	return "unknown"
}

// Error is what went wrong in one call.
type Error struct {
	// Code says what kind of error it is.
	Code Code
	// Errno is the error of the system call that failed, or 0 when none did.
	Errno syscall.Errno
	// Message is one line, like "chdir /x: No such file or directory (os error 2)".
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Class returns where its cause lies.
func (e *Error) Class() Class { return e.Code.Class() }

// Is reports whether the target is the code of the error.
func (e *Error) Is(target error) bool { return target == e.Code }

// As puts the code into a target of type *Code.
func (e *Error) As(target interface{}) bool {
	code, ok := target.(*Code)
	if ok {
		*code = e.Code
	}
	return ok
}

// Unwrap returns the error of the system call, or nil when none failed.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// call calls a function of the library, and makes an error of what it leaves.
func call(function func(failure **C.proxyprocess_error) C.int32_t) error {
	var failure *C.proxyprocess_error
	code := function(&failure)
	if code == C.PROXYPROCESS_OK {
		return nil
	}
	defer C.proxyprocess_error_free(failure)
	var length C.size_t
	message := C.proxyprocess_error_message(failure, &length)
	err := &Error{
		Code:    Code(code),
		Errno:   syscall.Errno(C.proxyprocess_error_os_errno(failure)),
		Message: C.GoStringN(message, C.int(length)),
	}
	if err.Message == "" {
		err.Message = err.Code.Error()
	}
	return err
}

func closedError() error {
	return &Error{Code: ErrClosed, Message: ErrClosed.Error()}
}

// codeOf is the code that an error of the host's own goes back to the library by.
func codeOf(err error) Code {
	code := ErrInternal
	if errors.As(err, &code) && code >= C.PROXYPROCESS_OK {
		code = ErrInternal
	}
	return code
}

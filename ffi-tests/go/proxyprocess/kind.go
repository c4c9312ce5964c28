// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include "bridge.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"log"
	"runtime/cgo"
	"runtime/debug"
	"strings"
	"unsafe"
)

// The functions of a kind, as bridge.c gives them to the library. User words are handles of a Factory or a Proxy.

//export proxyprocessGoCreate
func proxyprocessGoCreate(
	factory C.uintptr_t, context *C.proxyprocess_proxy_context, made *C.uintptr_t, reply *C.proxyprocess_reply,
) C.int32_t {
	return answer(reply, func() error {
		told := ProxyContext{ID: C.GoString(context.id), Mode: C.GoString(context.mode)}
		if context.declaration_json != nil {
			length := C.int(context.declaration_json_length)
			told.Declaration = C.GoBytes(unsafe.Pointer(context.declaration_json), length)
		}
		proxy, err := cgo.Handle(factory).Value().(Factory)(told)
		if err != nil {
			return err
		}
		if proxy == nil {
			return &Error{Code: ErrInternal, Message: "the factory made no proxy"}
		}
		*made = C.uintptr_t(cgo.NewHandle(proxy))
		return nil
	})
}

// proxyprocessGoRelease is the end of a Factory, of a Proxy, and of a log function.
//
//export proxyprocessGoRelease
func proxyprocessGoRelease(word C.uintptr_t) {
	cgo.Handle(word).Delete()
}

//export proxyprocessGoStart
func proxyprocessGoStart(proxy C.uintptr_t, reply *C.proxyprocess_reply) C.int32_t {
	return answer(reply, func() error { return proxyOf(proxy).Start() })
}

//export proxyprocessGoStop
func proxyprocessGoStop(proxy C.uintptr_t, reply *C.proxyprocess_reply) C.int32_t {
	return answer(reply, func() error { return proxyOf(proxy).Stop() })
}

//export proxyprocessGoClose
func proxyprocessGoClose(proxy C.uintptr_t, reply *C.proxyprocess_reply) C.int32_t {
	return answer(reply, func() error { return proxyOf(proxy).Close() })
}

//export proxyprocessGoEqual
func proxyprocessGoEqual(proxy, other C.uintptr_t) (equal C.uint8_t) {
	// What panics is not equal.
	guard(func() error {
		if proxyOf(proxy).Equal(proxyOf(other)) {
			equal = 1
		}
		return nil
	})
	return equal
}

//export proxyprocessGoMarshalSnapshot
func proxyprocessGoMarshalSnapshot(proxy C.uintptr_t, reply *C.proxyprocess_reply) C.int32_t {
	return answer(reply, func() error {
		snapshot := proxyOf(proxy).MarshalSnapshot()
		if snapshot == nil {
			snapshot = map[string]interface{}{}
		}
		text, err := json.Marshal(snapshot)
		if err == nil {
			err = replyText(reply, text)
		}
		return err
	})
}

//export proxyprocessGoUnmarshalSnapshot
func proxyprocessGoUnmarshalSnapshot(
	proxy C.uintptr_t, text *C.char, length C.size_t, reply *C.proxyprocess_reply,
) C.int32_t {
	return answer(reply, func() error {
		snapshot, err := decodeSnapshot(C.GoBytes(unsafe.Pointer(text), C.int(length)))
		if err != nil {
			return err
		}
		return proxyOf(proxy).UnmarshalSnapshot(snapshot)
	})
}

//export proxyprocessGoRequestStop
func proxyprocessGoRequestStop(proxy C.uintptr_t) {
	// Stop, which follows, tells what goes wrong.
	guard(func() error {
		if requester, ok := proxyOf(proxy).(StopRequester); ok {
			requester.RequestStop()
		}
		return nil
	})
}

func proxyOf(proxy C.uintptr_t) Proxy {
	return cgo.Handle(proxy).Value().(Proxy)
}

// answer calls code of the host's, and makes of its error what the library wants: a code, and a text as the reply.
func answer(reply *C.proxyprocess_reply, function func() error) C.int32_t {
	err := guard(function)
	if err == nil {
		return C.PROXYPROCESS_OK
	}
	// The code says enough if the text cannot.
	_ = replyText(reply, []byte(strings.ToValidUTF8(err.Error(), "\uFFFD")))
	return C.int32_t(codeOf(err))
}

// guard calls code of the host's. It must not unwind into C: a panic is logged, as net/http does it, and is an error.
func guard(function func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			log.Printf("proxyprocess: panic in a callback: %v\n%s", reason, debug.Stack())
			err = &Error{Code: ErrInternal, Message: fmt.Sprintf("panic: %v", reason)}
		}
	}()
	return function()
}

func replyText(reply *C.proxyprocess_reply, text []byte) error {
	bytes, length := bytesOf(text)
	if code := C.proxyprocess_reply_text(reply, bytes, length); code != C.PROXYPROCESS_OK {
		return Code(code)
	}
	return nil
}

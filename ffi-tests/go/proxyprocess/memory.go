// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
// #include <stdint.h>
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"
)

// cMemory is what the library is given to read during one call. Its methods note the first text that C cannot hold.
type cMemory struct {
	allocated []unsafe.Pointer
	// Open until the call is over.
	files []*os.File
	err   error
}

func (m *cMemory) free() {
	for _, pointer := range m.allocated {
		C.free(pointer)
	}
	runtime.KeepAlive(m.files)
}

// descriptor is the number of an open file.
func (m *cMemory) descriptor(file *os.File) C.int32_t {
	m.files = append(m.files, file)
	return C.int32_t(file.Fd())
}

func (m *cMemory) keep(pointer unsafe.Pointer) unsafe.Pointer {
	m.allocated = append(m.allocated, pointer)
	return pointer
}

// text copies a string; place is what an error calls it.
func (m *cMemory) text(place, text string) *C.char {
	if strings.IndexByte(text, 0) >= 0 && m.err == nil {
		m.err = &Error{Code: ErrInvalidConfig, Message: place + ": expected no NUL byte"}
	}
	return (*C.char)(m.keep(unsafe.Pointer(C.CString(text))))
}

// optional copies a string that is not empty.
func (m *cMemory) optional(place, text string) *C.char {
	if text == "" {
		return nil
	}
	return m.text(place, text)
}

// list copies strings into an array that ends with NULL.
func (m *cMemory) list(place string, texts []string) **C.char {
	var element *C.char
	size := C.size_t(len(texts)+1) * C.size_t(unsafe.Sizeof(element))
	array := (**C.char)(m.keep(C.malloc(size)))
	elements := unsafe.Slice(array, len(texts)+1)
	for i, text := range texts {
		elements[i] = m.text(fmt.Sprintf("%s[%d]", place, i), text)
	}
	elements[len(texts)] = nil
	return array
}

// numbers copies numbers.
func (m *cMemory) numbers(numbers []uint32) *C.uint32_t {
	if len(numbers) == 0 {
		return nil
	}
	array := (*C.uint32_t)(m.keep(C.malloc(C.size_t(len(numbers)) * C.sizeof_uint32_t)))
	for i, number := range numbers {
		unsafe.Slice(array, len(numbers))[i] = C.uint32_t(number)
	}
	return array
}

// bytesOf is where bytes are, and how many. They may be Go's: the library reads them only during the call.
func bytesOf(text []byte) (*C.char, C.size_t) {
	if len(text) == 0 {
		return nil, 0
	}
	return (*C.char)(unsafe.Pointer(&text[0])), C.size_t(len(text))
}

// taken copies a text that the library gave away, and frees it; nil for NULL.
func taken(text *C.char, length C.size_t) []byte {
	if text == nil {
		return nil
	}
	defer C.proxyprocess_text_free(text)
	return C.GoBytes(unsafe.Pointer(text), C.int(length))
}

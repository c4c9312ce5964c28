// SPDX-License-Identifier: MPL-2.0
/* The C side of callbacks: functions of the library's types that call Go, with a cgo.Handle, a number, as user word. */

#ifndef PROXYPROCESS_GO_BRIDGE_H
#define PROXYPROCESS_GO_BRIDGE_H

#include <proxyprocess.h>
#include <stdint.h>

/* Registers the kind of a Factory. */
int32_t proxyprocess_go_register_kind(const proxyprocess_manager *manager, const char *mode, uintptr_t factory,
                                      proxyprocess_error **err);

/* Sets the log callback to a Go function; 0 is none. */
int32_t proxyprocess_go_set_log(int32_t level, uintptr_t function, proxyprocess_error **err);

#endif

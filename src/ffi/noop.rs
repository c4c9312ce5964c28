// SPDX-License-Identifier: MPL-2.0
//! The proxy that does nothing.

use std::mem::MaybeUninit;

use super::failure::{ErrorOut, Failure};
use super::handle::{Handle, call, enter, free, place};
use super::input::Text;
use super::json::{encode, object};
use super::output::OwnedText;
use super::owned_text::give;
use crate::proxy::{Noop, Proxy};

/// A proxy that does nothing, for tests or in place of a proxy that is switched off. In a declaration it is the mode
/// "noop".
pub struct proxyprocess_noop(Handle<Noop>);

/// Creates a proxy that does nothing.
///
/// `noop`: receives the handle; free it with proxyprocess_noop_free().
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_noop_new(
    noop: Option<&mut MaybeUninit<Option<Box<proxyprocess_noop>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    enter(err, || {
        place("noop", noop)?.write(Some(Box::new(proxyprocess_noop(Handle::new(Noop)))));
        Ok(())
    })
}

/// Frees the handle.
///
/// `noop`: may be NULL, which does nothing.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_noop_free(noop: Option<Box<proxyprocess_noop>>) {
    free(noop, |noop| &noop.0);
}

/// Does nothing. Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_noop_start(noop: Option<&proxyprocess_noop>, err: ErrorOut<'_>) -> i32 {
    call("noop", noop.map(|noop| &noop.0), err, |noop| Ok(noop.start()?))
}

/// Does nothing. Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_noop_stop(noop: Option<&proxyprocess_noop>, err: ErrorOut<'_>) -> i32 {
    call("noop", noop.map(|noop| &noop.0), err, |noop| Ok(noop.stop()?))
}

/// Does nothing. Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_noop_close(noop: Option<&proxyprocess_noop>, err: ErrorOut<'_>) -> i32 {
    call("noop", noop.map(|noop| &noop.0), err, |noop| Ok(noop.close()?))
}

/// Two proxies that do nothing are always equal: `equal` receives 1. Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_noop_equal(
    noop: Option<&proxyprocess_noop>,
    other: Option<&proxyprocess_noop>,
    equal: Option<&mut MaybeUninit<u8>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("noop", noop.map(|noop| &noop.0), err, |noop| {
        let other = other.ok_or_else(|| Failure::null("other"))?.0.get()?;
        place("equal", equal)?.write(u8::from(noop.equal(other)));
        Ok(())
    })
}

/// Returns the empty JSON object; free the text with proxyprocess_text_free(). `json_length` may be NULL. Returns 0;
/// PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_noop_marshal_snapshot(
    noop: Option<&proxyprocess_noop>,
    json: Option<&mut MaybeUninit<OwnedText>>,
    json_length: Option<&mut MaybeUninit<usize>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("noop", noop.map(|noop| &noop.0), err, |noop| {
        give("json", json, json_length, Some(encode(noop.marshal_snapshot())?))
    })
}

/// Accepts any JSON object. Returns 0; PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_UTF8 if the text is not
/// one.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_noop_unmarshal_snapshot(
    noop: Option<&proxyprocess_noop>,
    json: Text,
    json_length: usize,
    err: ErrorOut<'_>,
) -> i32 {
    call("noop", noop.map(|noop| &noop.0), err, |noop| {
        Ok(noop.unmarshal_snapshot(&object("snapshot", json.utf8_of_length("json", json_length)?)?)?)
    })
}

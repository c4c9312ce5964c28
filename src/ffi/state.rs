// SPDX-License-Identifier: MPL-2.0
//! The desired set.

use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::failure::ErrorOut;
use super::handle::{Handle, call, enter, free, place};
use super::input::Text;
use super::json::encode;
use super::output::OwnedText;
use super::owned_text::give;
use super::proxy_options::ProxyOptionsIn;
use crate::declaration::{ProxyConfig, ProxySnapshot};
use crate::state::State;
use crate::subscription::Subscription;

/// The desired set: which proxies should run. It is the source of truth for a manager. A change never waits for the
/// manager and starts or stops nothing by itself: a running manager applies it shortly after the last change
/// (PROXYPROCESS_MANAGER_QUIESCENT_PERIOD_MS, PROXYPROCESS_MANAGER_COALESCE_PERIOD_MS). All functions can be called
/// from any thread, several at the same time.
pub struct proxyprocess_state(pub(super) Handle<State>);

/// Reports changes of a state.
pub struct proxyprocess_subscription(Handle<Subscription>);

/// Creates an empty set.
///
/// `state`: receives the handle; free it with proxyprocess_state_free().
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_state_new(
    state: Option<&mut MaybeUninit<Option<Box<proxyprocess_state>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    enter(err, || {
        place("state", state)?.write(Some(Box::new(proxyprocess_state(Handle::new(State::new())))));
        Ok(())
    })
}

/// Frees the handle. Managers that were created with it keep the set.
///
/// `state`: may be NULL, which does nothing.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_state_free(state: Option<Box<proxyprocess_state>>) {
    free(state, |state| &state.0);
}

/// Adds a proxy, or replaces the one with this id. If the declaration has no token, the proxy keeps the token that was
/// generated for this id before, or gets a new one. A proxy that is added again after proxyprocess_state_remove() gets
/// a new one.
///
/// `id`: 1 to 1024 bytes of UTF-8.
///
/// `options`: the declaration.
///
/// Returns 0; PROXYPROCESS_E_INVALID_ID, PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_ARGUMENT,
/// PROXYPROCESS_E_INVALID_UTF8, PROXYPROCESS_E_STRUCT_SIZE, naming the field: the declaration can never work;
/// PROXYPROCESS_E_IO: no random token could be generated. On failure nothing is changed.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_state_set(
    state: Option<&proxyprocess_state>,
    id: Text,
    options: ProxyOptionsIn,
    err: ErrorOut<'_>,
) -> i32 {
    call("state", state.map(|state| &state.0), err, |state| {
        Ok(state.set(id.utf8("id")?, options.required("options")?.config()?)?)
    })
}

/// Adds a proxy, or replaces the one with this id, from the JSON form of a declaration.
///
/// `id`: 1 to 1024 bytes of UTF-8.
///
/// `json`, `json_length`: an object like {"command": ["/bin/a"]}; it need not end with NUL.
///
/// Returns 0, or the codes of proxyprocess_state_set().
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_state_set_json(
    state: Option<&proxyprocess_state>,
    id: Text,
    json: Text,
    json_length: usize,
    err: ErrorOut<'_>,
) -> i32 {
    call("state", state.map(|state| &state.0), err, |state| {
        let config = ProxyConfig::from_json(json.utf8_of_length("json", json_length)?)?;
        Ok(state.set(id.utf8("id")?, config)?)
    })
}

/// Removes a proxy.
///
/// `removed`: receives 1 if there was a proxy with this id, else 0; may be NULL.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_INVALID_UTF8.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_state_remove(
    state: Option<&proxyprocess_state>,
    id: Text,
    removed: Option<&mut MaybeUninit<u8>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("state", state.map(|state| &state.0), err, |state| {
        let found = state.remove(id.utf8("id")?);
        if let Some(removed) = removed {
            removed.write(u8::from(found));
        }
        Ok(())
    })
}

/// Replaces the whole set in one step.
///
/// `json`, `json_length`: an object of declarations by id, like {"web-proxy": {"command": ["/bin/a"]}}; it need not end
/// with NUL.
///
/// Returns 0; PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_ID, naming the field, as in "proxies.web.command:
/// expected a list of strings, got nothing"; PROXYPROCESS_E_INVALID_UTF8; PROXYPROCESS_E_IO. On failure nothing is
/// changed.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_state_replace_all_json(
    state: Option<&proxyprocess_state>,
    json: Text,
    json_length: usize,
    err: ErrorOut<'_>,
) -> i32 {
    call("state", state.map(|state| &state.0), err, |state| {
        Ok(state.replace_all_json(json.utf8_of_length("json", json_length)?)?)
    })
}

/// Returns the declaration of one proxy as JSON, with its token and without fields that have their default value.
///
/// `json`: receives the text, or NULL if there is no proxy with this id; free it with proxyprocess_text_free().
///
/// `json_length`: receives its length; may be NULL.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_INVALID_UTF8.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_state_get_json(
    state: Option<&proxyprocess_state>,
    id: Text,
    json: Option<&mut MaybeUninit<OwnedText>>,
    json_length: Option<&mut MaybeUninit<usize>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("state", state.map(|state| &state.0), err, |state| {
        let config = state.get(id.utf8("id")?);
        give("json", json, json_length, config.map(|config| encode(config.to_json())).transpose()?)
    })
}

/// Returns all declarations as one JSON object by id, which proxyprocess_state_replace_all_json() accepts.
///
/// `json`: receives the text; free it with proxyprocess_text_free().
///
/// `json_length`: receives its length; may be NULL.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_state_list_json(
    state: Option<&proxyprocess_state>,
    json: Option<&mut MaybeUninit<OwnedText>>,
    json_length: Option<&mut MaybeUninit<usize>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("state", state.map(|state| &state.0), err, |state| {
        let proxies: ProxySnapshot =
            state.list().into_iter().map(|(id, config)| (id, config.to_json().into())).collect();
        give("json", json, json_length, Some(encode(proxies)?))
    })
}

/// Creates a subscription that reports changes from now on.
///
/// `subscription`: receives the handle; free it with proxyprocess_subscription_free().
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_state_subscribe(
    state: Option<&proxyprocess_state>,
    subscription: Option<&mut MaybeUninit<Option<Box<proxyprocess_subscription>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("state", state.map(|state| &state.0), err, |state| {
        let place = place("subscription", subscription)?;
        place.write(Some(Box::new(proxyprocess_subscription(Handle::new(state.subscribe())))));
        Ok(())
    })
}

/// Waits for a change. All changes since the last wait are reported as one.
///
/// `timeout_ms`: the longest wait; 0 does not wait.
///
/// `changed`: receives 1 if there was a change, else 0. Once no change can come any more, because the state was freed
/// and all its managers were closed or killed, 0 is returned without waiting.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_subscription_wait(
    subscription: Option<&proxyprocess_subscription>,
    timeout_ms: u64,
    changed: Option<&mut MaybeUninit<u8>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("subscription", subscription.map(|subscription| &subscription.0), err, |subscription| {
        let changed = place("changed", changed)?;
        changed.write(u8::from(subscription.wait(Duration::from_millis(timeout_ms))));
        Ok(())
    })
}

/// Returns a descriptor that is readable while there is a change that proxyprocess_subscription_wait() has not
/// reported, and permanently once no change can come any more. Wait for it with poll(2) or epoll(7) and never read from
/// it. Then call proxyprocess_subscription_wait() with timeout 0, which reports the change and makes the descriptor
/// unreadable again.
///
/// `descriptor`: receives its number. It belongs to the subscription, is closed with it, and must not be closed by the
/// caller.
///
/// Returns 0; PROXYPROCESS_E_EXHAUSTED: no descriptor is left; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_subscription_descriptor(
    subscription: Option<&proxyprocess_subscription>,
    descriptor: Option<&mut MaybeUninit<i32>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("subscription", subscription.map(|subscription| &subscription.0), err, |subscription| {
        place("descriptor", descriptor)?.write(subscription.descriptor()?.as_raw_fd());
        Ok(())
    })
}

/// Frees a subscription, before or after the state.
///
/// `subscription`: may be NULL, which does nothing.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_subscription_free(subscription: Option<Box<proxyprocess_subscription>>) {
    free(subscription, |subscription| &subscription.0);
}

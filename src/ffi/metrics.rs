// SPDX-License-Identifier: MPL-2.0
//! Metrics of a manager.

use std::mem::MaybeUninit;

use super::failure::ErrorOut;
use super::handle::call_manager;
use super::manager::proxyprocess_manager;
use super::output::OwnedText;
use super::owned_text::give;

/// Returns metrics of the manager and its proxies in the text format of Prometheus, version 0.0.4 (content type
/// "text/plain; version=0.0.4"). The names of all metrics begin with "proxyprocess_". Counters of the manager start at
/// 0 when it is created; those of a proxy, which have the label "proxy", start at 0 with each of its processes.
///
/// `text`: receives the text, UTF-8; free it with proxyprocess_text_free().
///
/// `text_length`: receives its length; may be NULL.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_metrics(
    manager: Option<&proxyprocess_manager>,
    text: Option<&mut MaybeUninit<OwnedText>>,
    text_length: Option<&mut MaybeUninit<usize>>,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| {
        give("text", text, text_length, Some(running.manager.metrics().into_bytes()))
    })
}

// SPDX-License-Identifier: MPL-2.0
//! Freeing strings.

use super::output::OwnedText;

/// Frees a string that a function of this library returned to the caller. Never use free(3) for it.
///
/// `text`: may be NULL, which does nothing.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_text_free(text: OwnedText) {
    drop(text.take_back());
}

// SPDX-License-Identifier: MPL-2.0
//! Kinds of proxy that are implemented by the host: a table of its functions behind the interface `Proxy`.

use std::any::Any;
use std::ffi::{CString, c_char};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::callback::{Inside, UserWord, within};
use super::error::code_from_kind;
use super::failure::{ErrorOut, Failure};
use super::handle::enter;
use super::input::Text;
use super::json::object;
use super::log::proxyprocess_destroy_fn;
use super::output::{TextOut, c_string};
use super::sized::{In, Out, SizedStruct};
use crate::declaration::{ExecMode, ProxySnapshot};
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{self, Level};
use crate::manager::Manager;
use crate::proxy::{Proxy, ProxyContext};

/// What a proxy of a kind is created from. The pointers are valid until the function returns.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct proxyprocess_proxy_context {
    /// The size of this struct as the library was compiled with it.
    pub struct_size: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// The id of the proxy, UTF-8.
    pub id: TextOut,
    /// The mode under which the kind is registered, ASCII.
    pub mode: TextOut,
    /// The declaration as a JSON object, with its token and its "options". NULL if the proxy is created to be restored:
    /// `unmarshal_snapshot` is called next, and later `equal` decides whether the proxy is still what is declared.
    pub declaration_json: TextOut,
    /// The length of the declaration.
    pub declaration_json_length: usize,
}

/// Where a function of a kind leaves text: an error message or a snapshot. It is valid until the function returns.
pub struct proxyprocess_reply(Option<Vec<u8>>);

/// A kind of proxy that the host implements. A manager creates, compares, stores and restores its proxies like the
/// built-in ones. Set it up with proxyprocess_proxy_kind_init(), set the functions, and register it with
/// proxyprocess_manager_register_kind().
///
/// The functions may be called on any thread, those of one proxy on several threads at the same time. start, stop and
/// close are called one after the other on a thread of the library. They may block: this delays other proxies of
/// registered kinds, but no daemon. A function must not unwind or longjmp, and must not call proxyprocess_manager_*(),
/// which would return PROXYPROCESS_E_IN_CALLBACK; all other functions are allowed.
///
/// A function that returns a code returns 0 or a negative code; it may add a message with proxyprocess_reply_text().
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct proxyprocess_proxy_kind {
    /// The size of this struct as the caller was compiled with it.
    pub struct_size: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// Passed to `create` and `destroy_user` unchanged: a pointer or a number.
    pub user: UserWord,
    /// Called once, after the last proxy was destroyed, when `user` is no longer needed; may be NULL.
    pub destroy_user: proxyprocess_destroy_fn,
    /// Creates a proxy that is not started, and stores it in `*proxy`: a pointer or a number. Required.
    pub create: Option<
        unsafe extern "C" fn(
            user: UserWord,
            context: *const proxyprocess_proxy_context,
            proxy: *mut UserWord,
            reply: *mut proxyprocess_reply,
        ) -> i32,
    >,
    /// Frees a proxy that `create` made. Called once, after all other calls; it neither stops nor closes the proxy.
    /// Required.
    pub destroy: Option<unsafe extern "C" fn(proxy: UserWord)>,
    /// Starts the proxy. It must fail only if the proxy can never work as configured; the proxy itself must retry after
    /// any other failure. Starting a started proxy is no error. Required.
    pub start: Option<unsafe extern "C" fn(proxy: UserWord, reply: *mut proxyprocess_reply) -> i32>,
    /// Stops the proxy for good, frees its resources, and returns when it is gone. Stopping twice is no error.
    /// Required.
    pub stop: Option<unsafe extern "C" fn(proxy: UserWord, reply: *mut proxyprocess_reply) -> i32>,
    /// Frees the resources of this proxy and leaves it running. Only one of `close` and `stop` is called. Required.
    pub close: Option<unsafe extern "C" fn(proxy: UserWord, reply: *mut proxyprocess_reply) -> i32>,
    /// Returns 1 if `other`, a proxy of the same kind, has the same declaration, so that this proxy may keep running in
    /// its place; else 0. Required.
    pub equal: Option<unsafe extern "C" fn(proxy: UserWord, other: UserWord) -> u8>,
    /// Returns by proxyprocess_reply_text() the state from which `unmarshal_snapshot` restores the proxy: a JSON
    /// object. The manager stores the id itself. Required.
    pub marshal_snapshot: Option<unsafe extern "C" fn(proxy: UserWord, reply: *mut proxyprocess_reply) -> i32>,
    /// Restores a proxy that `create` has just made from a stored state: a JSON object that ends with NUL. A failure is
    /// logged, and the stored state is lost. Required.
    pub unmarshal_snapshot: Option<
        unsafe extern "C" fn(
            proxy: UserWord,
            json: *const c_char,
            json_length: usize,
            reply: *mut proxyprocess_reply,
        ) -> i32,
    >,
    /// Begins to stop without waiting. It is called on all proxies that must stop, before `stop` is called on them one
    /// after the other, so that slow proxies stop at the same time. May be NULL.
    pub request_stop: Option<unsafe extern "C" fn(proxy: UserWord)>,
}

/// In C: `const proxyprocess_proxy_kind *`.
pub type ProxyKindIn = In<proxyprocess_proxy_kind>;

/// In C: `proxyprocess_proxy_kind *`.
pub type ProxyKindOut = Out<proxyprocess_proxy_kind>;

// SAFETY: it is repr(C), begins with its size, and consists of numbers and pointers; a pointer to a function is only
// ever called, and that it can be is what the header demands.
unsafe impl SizedStruct for proxyprocess_proxy_kind {
    const NAME: &'static str = "proxy_kind";
    const FIRST_SIZE: usize = 96;

    fn defaults() -> Self {
        proxyprocess_proxy_kind {
            struct_size: 0,
            reserved: 0,
            user: UserWord(std::ptr::null_mut()),
            destroy_user: None,
            create: None,
            destroy: None,
            start: None,
            stop: None,
            close: None,
            equal: None,
            marshal_snapshot: None,
            unmarshal_snapshot: None,
            request_stop: None,
        }
    }
}

/// Fills a struct with no functions.
///
/// `kind`: need not be initialized.
///
/// `struct_size`: `sizeof *kind`.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_proxy_kind_init(mut kind: ProxyKindOut, struct_size: usize) -> i32 {
    enter(ErrorOut::none(), || kind.initialize("kind", struct_size))
}

/// Passes text from a function of a proxy kind to the library: the snapshot of a `marshal_snapshot` that returns 0, or
/// an error message. A later call replaces the text.
///
/// `reply`: as passed to the function.
///
/// `text`, `length`: UTF-8, copied; it need not end with NUL.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_INVALID_UTF8.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_reply_text(reply: Option<&mut proxyprocess_reply>, text: Text, length: usize) -> i32 {
    enter(ErrorOut::none(), || {
        let reply = reply.ok_or_else(|| Failure::null("reply"))?;
        reply.0 = Some(text.utf8_of_length("text", length)?.as_bytes().to_vec());
        Ok(())
    })
}

/// Registers a kind. All its required functions must be set.
pub(super) fn register(
    manager: &Manager,
    mode: ExecMode,
    table: proxyprocess_proxy_kind,
) -> std::result::Result<(), Failure> {
    let kind = Arc::new(Kind { functions: Functions::of(&table)?, owned: AtomicBool::new(true) });
    let registered = manager.register_kind(mode, {
        let kind = kind.clone();
        move |context| kind.create(context)
    });
    if registered.is_err() {
        // The user word stays with the caller.
        kind.owned.store(false, Ordering::Release);
    }
    Ok(registered?)
}

/// The functions of a kind; all required ones are set.
struct Functions {
    user: UserWord,
    destroy_user: proxyprocess_destroy_fn,
    create: unsafe extern "C" fn(
        UserWord,
        *const proxyprocess_proxy_context,
        *mut UserWord,
        *mut proxyprocess_reply,
    ) -> i32,
    destroy: unsafe extern "C" fn(UserWord),
    start: StepFunction,
    stop: StepFunction,
    close: StepFunction,
    equal: unsafe extern "C" fn(UserWord, UserWord) -> u8,
    marshal_snapshot: StepFunction,
    unmarshal_snapshot: unsafe extern "C" fn(UserWord, *const c_char, usize, *mut proxyprocess_reply) -> i32,
    request_stop: Option<unsafe extern "C" fn(UserWord)>,
}

type StepFunction = unsafe extern "C" fn(UserWord, *mut proxyprocess_reply) -> i32;

impl Functions {
    fn of(table: &proxyprocess_proxy_kind) -> std::result::Result<Functions, Failure> {
        super::sized::reserved("kind.reserved", &table.reserved.to_ne_bytes())?;
        let missing = |name: &str| Failure::null(&format!("kind.{name}"));
        Ok(Functions {
            user: table.user,
            destroy_user: table.destroy_user,
            create: table.create.ok_or_else(|| missing("create"))?,
            destroy: table.destroy.ok_or_else(|| missing("destroy"))?,
            start: table.start.ok_or_else(|| missing("start"))?,
            stop: table.stop.ok_or_else(|| missing("stop"))?,
            close: table.close.ok_or_else(|| missing("close"))?,
            equal: table.equal.ok_or_else(|| missing("equal"))?,
            marshal_snapshot: table.marshal_snapshot.ok_or_else(|| missing("marshal_snapshot"))?,
            unmarshal_snapshot: table.unmarshal_snapshot.ok_or_else(|| missing("unmarshal_snapshot"))?,
            request_stop: table.request_stop,
        })
    }
}

/// A registered kind; it lives as long as the registration or one of its proxies.
struct Kind {
    functions: Functions,
    /// Whether `destroy_user` must be called on drop.
    owned: AtomicBool,
}

impl Kind {
    fn create(self: &Arc<Self>, context: ProxyContext<'_>) -> Result<Box<dyn Proxy>> {
        let declaration = context.config.map(|config| c_string(&serde_json::Value::from(config.to_json()).to_string()));
        let (id, mode) = (c_string(context.id), c_string(context.mode.as_str()));
        let told = proxyprocess_proxy_context {
            struct_size: size_of::<proxyprocess_proxy_context>() as u32,
            reserved: 0,
            id: TextOut::of(&id),
            mode: TextOut::of(&mode),
            declaration_json: declaration.as_deref().map_or(TextOut::NULL, TextOut::of),
            declaration_json_length: declaration.as_ref().map_or(0, |text| text.as_bytes().len()),
        };
        let mut word = UserWord(std::ptr::null_mut());
        let create = self.functions.create;
        ask(|reply| {
            // SAFETY: the header says what the function gets, and demands that it can be called so on any thread;
            // all that is pointed to lives through the call.
            unsafe { create(self.functions.user, &raw const told, &raw mut word, reply) }
        })?;
        Ok(Box::new(HostProxy { kind: self.clone(), word }))
    }
}

impl Drop for Kind {
    fn drop(&mut self) {
        if let Some(destroy) = self.functions.destroy_user.filter(|_| *self.owned.get_mut()) {
            // SAFETY: the header demands that it can be called with this word, once, on any thread; the registration
            // and all proxies are gone.
            within(Inside::Kind, || unsafe { destroy(self.functions.user) });
        }
    }
}

/// A proxy of a kind that the host registered.
struct HostProxy {
    kind: Arc<Kind>,
    /// What `create` stored.
    word: UserWord,
}

impl HostProxy {
    fn step(&self, step: StepFunction) -> Result<Option<Vec<u8>>> {
        // SAFETY: the header demands that the function can be called with a proxy that `create` made, at any time until
        // it is destroyed, on any thread.
        ask(|reply| unsafe { step(self.word, reply) })
    }
}

impl Proxy for HostProxy {
    fn start(&self) -> Result<()> {
        self.step(self.kind.functions.start).map(drop)
    }

    fn stop(&self) -> Result<()> {
        self.step(self.kind.functions.stop).map(drop)
    }

    fn close(&self) -> Result<()> {
        self.step(self.kind.functions.close).map(drop)
    }

    fn equal(&self, other: &dyn Proxy) -> bool {
        let Some(other) = other.as_any().downcast_ref::<HostProxy>() else { return false };
        let equal = self.kind.functions.equal;
        // SAFETY: both proxies are of the kind whose function this is, and are not destroyed while they are borrowed.
        Arc::ptr_eq(&self.kind, &other.kind) && within(Inside::Kind, || unsafe { equal(self.word, other.word) }) != 0
    }

    fn marshal_snapshot(&self) -> ProxySnapshot {
        let text = self.step(self.kind.functions.marshal_snapshot);
        let snapshot = text.and_then(|text| {
            let text = text.unwrap_or_else(|| b"{}".to_vec());
            let text = String::from_utf8_lossy(&text);
            object("snapshot", &text).map_err(|failure| Error::new(ErrorCode::InvalidConfig, failure.to_string()))
        });
        snapshot.unwrap_or_else(|error| {
            // The interface has no place for it; what is stored then is what `unmarshal_snapshot` gets.
            logging::write(Level::Error, format_args!("marshal snapshot of a proxy: {error}"));
            ProxySnapshot::new()
        })
    }

    fn unmarshal_snapshot(&self, snapshot: &ProxySnapshot) -> Result<()> {
        let json: CString = c_string(&serde_json::Value::from(snapshot.clone()).to_string());
        let unmarshal = self.kind.functions.unmarshal_snapshot;
        // SAFETY: as for every function of the kind; the text lives through the call.
        ask(|reply| unsafe { unmarshal(self.word, json.as_ptr(), json.as_bytes().len(), reply) }).map(drop)
    }

    fn request_stop(&self) {
        if let Some(request_stop) = self.kind.functions.request_stop {
            // SAFETY: as for every function of the kind.
            within(Inside::Kind, || unsafe { request_stop(self.word) });
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for HostProxy {
    fn drop(&mut self) {
        // SAFETY: no other owner of the proxy is left, so this is the last call with it.
        within(Inside::Kind, || unsafe { (self.kind.functions.destroy)(self.word) });
    }
}

/// Calls a function of the host that returns a code and may leave text.
fn ask(call: impl FnOnce(*mut proxyprocess_reply) -> i32) -> Result<Option<Vec<u8>>> {
    let mut reply = proxyprocess_reply(None);
    let code = within(Inside::Kind, || call(&raw mut reply));
    if code == 0 {
        return Ok(reply.0);
    }
    let message = reply.0.map(|text| String::from_utf8_lossy(&text).into_owned());
    let message = message.unwrap_or_else(|| format!("the proxy's own code returned {code}"));
    Err(Error::new(code_from_kind(code), message))
}

// SPDX-License-Identifier: MPL-2.0
//! A registered kind of proxy that does as its options say, and keeps a list of the calls that were made.

use std::any::Any;
use std::sync::{Arc, Mutex};

use proxyprocess::{Error, ErrorCode, ExecMode, Manager, Proxy, ProxyConfig, ProxySnapshot, Result};
use serde_json::{Value, json};

use super::bomb::Bomb;

/// The name of the mode.
pub(crate) const SCRIPTED: &str = "scripted";

/// The calls to all proxies of the kind, in order: `"<id> <call>"`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    fn add(&self, id: &str, call: &str) {
        self.0.lock().unwrap().push(format!("{id} {call}"));
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The calls but those that only look at the proxy, and its end.
    pub(crate) fn commands(&self) -> Vec<String> {
        let looks =
            |call: &String| [" equal", " marshal", " request_stop", " drop"].iter().any(|look| call.ends_with(look));
        self.all().into_iter().filter(|call| !looks(call)).collect()
    }
}

/// A declaration of the kind: each call in `fails` returns an error, each in `panics` panics, with a
/// payload that panics when it is dropped; a `drop` as well.
pub(crate) fn scripted(value: u32, fails: &[&str], panics: &[&str]) -> ProxyConfig {
    let mut config = ProxyConfig::of_mode(ExecMode::new(SCRIPTED).unwrap());
    let Value::Object(options) = json!({"value": value, "fails": fails, "panics": panics}) else { unreachable!() };
    config.options = options;
    config
}

/// Registers the kind.
pub(crate) fn register_scripted(manager: &Manager) -> Calls {
    let calls = Calls::default();
    let shared = calls.clone();
    let factory = move |context: proxyprocess::ProxyContext<'_>| -> Result<Box<dyn Proxy>> {
        let options = context.config.map(|config| config.options.clone());
        let from = if options.is_some() { "create" } else { "create to restore" };
        shared.add(context.id, from);
        let options = Mutex::new(options.unwrap_or_default());
        let scripted = Scripted { id: context.id.to_owned(), calls: shared.clone(), options };
        scripted.call("create").map(|()| Box::new(scripted) as Box<dyn Proxy>)
    };
    manager.register_kind(ExecMode::new(SCRIPTED).unwrap(), factory).unwrap();
    calls
}

fn lists(options: &ProxySnapshot, field: &str, call: &str) -> bool {
    options.get(field).is_some_and(|list| list.as_array().unwrap().contains(&call.into()))
}

struct Scripted {
    id: String,
    calls: Calls,
    options: Mutex<ProxySnapshot>,
}

impl Scripted {
    fn options(&self) -> ProxySnapshot {
        self.options.lock().unwrap().clone()
    }

    fn call(&self, call: &str) -> Result<()> {
        if call != "create" {
            self.calls.add(&self.id, call);
        }
        let options = self.options();
        if lists(&options, "panics", call) {
            std::panic::panic_any(Bomb);
        }
        if lists(&options, "fails", call) {
            return Err(Error::new(ErrorCode::StartFailed, format!("{call} fails, as its options say")));
        }
        Ok(())
    }
}

impl Proxy for Scripted {
    fn start(&self) -> Result<()> {
        self.call("start")
    }

    fn stop(&self) -> Result<()> {
        self.call("stop")
    }

    fn close(&self) -> Result<()> {
        self.call("close")
    }

    fn equal(&self, other: &dyn Proxy) -> bool {
        let _ = self.call("equal");
        other.as_any().downcast_ref::<Scripted>().is_some_and(|other| other.options() == self.options())
    }

    fn marshal_snapshot(&self) -> ProxySnapshot {
        let _ = self.call("marshal");
        self.options()
    }

    fn unmarshal_snapshot(&self, snapshot: &ProxySnapshot) -> Result<()> {
        *self.options.lock().unwrap() = snapshot.clone();
        self.call("unmarshal")
    }

    fn request_stop(&self) {
        let _ = self.call("request_stop");
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.calls.add(&self.id, "drop");
        if lists(&self.options(), "panics", "drop") {
            std::panic::panic_any(Bomb);
        }
    }
}

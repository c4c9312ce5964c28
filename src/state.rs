// SPDX-License-Identifier: MPL-2.0
//! The desired set: which proxies should run, as the agent declares it at any time, from any thread.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::declaration::{ProxyConfig, proxies_from_json, validate_id};
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::subscription::{Subscribers, Subscription};
use crate::sys::random;

/// The set as the manager reads it.
pub(crate) type DesiredSet = BTreeMap<Arc<str>, Arc<ProxyConfig>>;

/// How many changes are remembered one by one. A reader that missed more reads the whole set.
const REMEMBERED_CHANGES: usize = 1024;

/// What changed since a version of the state.
#[derive(Debug)]
pub(crate) struct Changes {
    /// To be reported at the next wait.
    pub(crate) version: u64,
    /// The ids that changed; `None` when it may be any.
    pub(crate) ids: Option<BTreeSet<Arc<str>>>,
    /// What is wanted under these ids.
    pub(crate) wanted: DesiredSet,
}

/// The set of proxies that should run. A clone is another handle to the same set.
///
/// A change never waits for the manager, and does not start or stop anything itself: a running
/// [`Manager`](crate::Manager) applies it once there are no more changes for a while.
///
/// ```
/// use proxyprocess::{Command, ProxyConfig, State};
///
/// let state = State::new();
/// state.set("web-proxy", ProxyConfig::new(Command::new("/usr/sbin/haproxy")))?;
/// let token = state.get("web-proxy").unwrap().token.expect("one was generated");
/// assert_eq!(token.len(), 36);
/// # Ok::<(), proxyprocess::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct State {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    proxies: DesiredSet,
    /// Counts the changes; the last ones are these.
    version: u64,
    changed_ids: VecDeque<Arc<str>>,
    /// When the set last changed.
    changed_at: Option<Instant>,
    subscribers: Subscribers,
    /// Generated tokens of an earlier agent, by id: its proxies have them in their environment, so that another one
    /// would mean another process.
    remembered: HashMap<Arc<str>, String>,
    /// The last document, while the set is what it says.
    document: Option<DocumentInForce>,
    /// The keys of its digest.
    keys: RandomState,
}

/// A document that was read. To hash one again takes a fraction of the time to read it, and most agents read the same one again
/// and again. Two with the same digest are one in 2^64, whatever is in them, for its keys are random.
#[derive(Debug, PartialEq, Eq)]
struct DocumentInForce {
    digest: u64,
    /// That of the set, which no change has followed yet.
    version: u64,
}

impl State {
    /// An empty set.
    pub fn new() -> State {
        State::default()
    }

    /// Adds a proxy or replaces the one with this id.
    ///
    /// Without a token it gets one: the one generated for this id before, or a new one from the kernel's random source.
    ///
    /// An unregistered mode is no error here: the manager reports it in status, log and events.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidId`], [`ErrorCode::InvalidConfig`]: the declaration can never work. Nothing is changed.
    /// - [`ErrorCode::Io`]: the random source fails. Nothing is changed.
    pub fn set(&self, id: &str, config: ProxyConfig) -> Result<()> {
        validate_id(id)?;
        config.validate().map_err(|error| error.within(format_args!("proxy {}", excerpt(id))))?;
        let mut shared = self.lock();
        let config = shared.with_token(id, Arc::new(config))?;
        if shared.proxies.get(id) != Some(&config) {
            let id = Arc::from(id);
            shared.proxies.insert(Arc::clone(&id), config);
            shared.changed([id]);
        }
        Ok(())
    }

    /// Removes a proxy; `false` if there is none with this id.
    pub fn remove(&self, id: &str) -> bool {
        let mut shared = self.lock();
        shared.remembered.remove(id);
        let Some((id, _)) = shared.proxies.remove_entry(id) else { return false };
        shared.changed([id]);
        true
    }

    /// Replaces the whole set at once. Of two proxies with the same id the last one counts.
    ///
    /// # Errors
    /// Those of [`State::set`], for the first proxy that is refused. An error changes nothing.
    pub fn replace_all(&self, proxies: impl IntoIterator<Item = (String, ProxyConfig)>) -> Result<()> {
        self.replace_with(proxies, None)
    }

    /// Replaces the set by what a document says, or a caller.
    fn replace_with(
        &self,
        proxies: impl IntoIterator<Item = (String, ProxyConfig)>,
        digest: Option<u64>,
    ) -> Result<()> {
        // Where they stay: a million of them would be moved some times before.
        let proxies: BTreeMap<String, Arc<ProxyConfig>> =
            proxies.into_iter().map(|(id, config)| (id, Arc::new(config))).collect();
        for (id, config) in &proxies {
            validate_id(id)?;
            config.validate().map_err(|error| error.within(format_args!("proxy {}", excerpt(id))))?;
        }
        let mut shared = self.lock();
        let mut replaced = DesiredSet::new();
        let mut changed = Vec::new();
        for (id, config) in proxies {
            let config = shared.with_token(&id, config)?;
            // A proxy that did not change keeps its place in memory: the manager then sees at a glance that it did not.
            let (id, config) = match shared.proxies.get_key_value(&*id) {
                Some((id, known)) if *known == config => (id.clone(), known.clone()),
                _ => {
                    let id = Arc::<str>::from(id);
                    changed.push(id.clone());
                    (id, config)
                }
            };
            replaced.insert(id, config);
        }
        changed.extend(shared.proxies.keys().filter(|id| !replaced.contains_key(*id)).cloned());
        if !changed.is_empty() {
            shared.proxies = replaced;
            shared.changed(changed);
        }
        shared.document = digest.map(|digest| DocumentInForce { digest, version: shared.version });
        Ok(())
    }

    /// Replaces the whole set from a JSON document: an object of declarations by id.
    ///
    /// A declaration has the settings of [`ProxyConfig`], [`Command`](crate::Command), [`StopSettings`](crate::StopSettings)
    /// and [`RestartSettings`](crate::RestartSettings) as fields: `command` (a list; required for daemons), `dir`, `env` (a
    /// list of `NAME=value`), `stop_signal`, `grace_period_ms`, `restart` (an object) and others. `docs/configuration.md`
    /// describes all of them. A UTF-8 byte order mark before the document is skipped.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`] or [`ErrorCode::InvalidId`] naming the field, as in `proxies.web.command: expected
    /// a list of strings, got nothing`. Nothing is changed.
    pub fn replace_all_json(&self, document: &str) -> Result<()> {
        let keys = self.lock().keys.clone();
        let digest = keys.hash_one(document);
        {
            let shared = self.lock();
            if shared.document == Some(DocumentInForce { digest, version: shared.version }) {
                return Ok(());
            }
        }
        self.replace_with(proxies_from_json("proxies", document)?, Some(digest))
    }

    /// The declaration of a proxy, with its token.
    pub fn get(&self, id: &str) -> Option<ProxyConfig> {
        self.lock().proxies.get(id).map(|config| (**config).clone())
    }

    /// All declarations, by id.
    pub fn list(&self) -> Vec<(String, ProxyConfig)> {
        let proxies = self.lock().proxies.clone();
        proxies.into_iter().map(|(id, config)| (id.to_string(), (*config).clone())).collect()
    }

    /// A subscription to changes from now on.
    pub fn subscribe(&self) -> Subscription {
        self.lock().subscribers.add()
    }

    /// What changed since a version, at one moment.
    pub(crate) fn changes_since(&self, seen: Option<u64>) -> Changes {
        let shared = self.lock();
        let version = shared.version;
        let missed = seen.and_then(|seen| usize::try_from(version.checked_sub(seen)?).ok());
        let Some(missed) = missed.filter(|missed| *missed <= shared.changed_ids.len()) else {
            return Changes { version, ids: None, wanted: shared.proxies.clone() };
        };
        let ids: BTreeSet<Arc<str>> = shared.changed_ids.iter().rev().take(missed).cloned().collect();
        let wanted = ids.iter().filter_map(|id| Some((id.clone(), shared.proxies.get(id)?.clone()))).collect();
        Changes { version, ids: Some(ids), wanted }
    }

    /// Whether a proxy is declared.
    pub(crate) fn is_declared(&self, id: &str) -> bool {
        self.lock().proxies.contains_key(id)
    }

    /// Whether a proxy may have been declared, changed or removed since a version.
    pub(crate) fn has_changed_since(&self, id: &str, seen: u64) -> bool {
        let shared = self.lock();
        let missed = shared.version.checked_sub(seen).and_then(|missed| usize::try_from(missed).ok());
        let missed = missed.filter(|missed| *missed <= shared.changed_ids.len());
        missed.is_none_or(|missed| shared.changed_ids.iter().rev().take(missed).any(|changed| **changed == *id))
    }

    /// When the set last changed.
    pub(crate) fn changed_at(&self) -> Option<Instant> {
        self.lock().changed_at
    }

    /// Takes over the generated tokens of an earlier agent's proxies.
    pub(crate) fn remember_tokens(&self, tokens: impl Iterator<Item = (Arc<str>, String)>) {
        let mut shared = self.lock();
        for (id, token) in tokens {
            let known = shared.proxies.get(&id).filter(|config| config.token_generated);
            if let Some(config) = known {
                let config = ProxyConfig { token: Some(token.clone()), ..(**config).clone() };
                shared.proxies.insert(id.clone(), Arc::new(config));
                shared.changed([id.clone()]);
            }
            shared.remembered.insert(id, token);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing panics while it is held.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The declaration as it is kept.
    fn with_token(&self, id: &str, mut kept: Arc<ProxyConfig>) -> Result<Arc<ProxyConfig>> {
        let config = Arc::make_mut(&mut kept);
        config.command.shrink();
        config.token_generated = config.token.is_none();
        if config.token_generated {
            let known = self.proxies.get(id).filter(|known| known.token_generated);
            let known = known.and_then(|known| known.token.clone()).or_else(|| self.remembered.get(id).cloned());
            config.token = Some(match known {
                Some(token) => token,
                None => random::uuid().map_err(|error| Error::os(ErrorCode::Io, "draw a token", &error))?,
            });
        }
        Ok(kept)
    }

    fn changed(&mut self, ids: impl IntoIterator<Item = Arc<str>>) {
        for id in ids {
            self.version += 1;
            self.changed_ids.push_back(id);
            if self.changed_ids.len() > REMEMBERED_CHANGES {
                self.changed_ids.pop_front();
            }
        }
        self.changed_at = Some(Instant::now());
        self.subscribers.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use std::time::Duration;

    fn config(word: &str) -> ProxyConfig {
        ProxyConfig::new(Command::new(word))
    }

    #[test]
    fn many_changes_are_told_once_and_no_change_never() {
        let state = State::new();
        let subscription = state.subscribe();
        for _ in 0..3 {
            state.set("a", config("x")).unwrap();
            state.set("b", config("y")).unwrap();
        }
        assert!(subscription.wait(Duration::ZERO));
        assert!(!subscription.wait(Duration::ZERO));
        state.set("a", config("x")).unwrap();
        state.replace_all([("a".to_owned(), config("x")), ("b".to_owned(), config("y"))]).unwrap();
        assert!(!state.remove("c"));
        assert!(!subscription.wait(Duration::ZERO), "nothing changed");
        assert!(state.remove("a"));
        assert!(subscription.wait(Duration::ZERO));
    }

    #[test]
    fn document_that_was_read_before_counts_again_after_any_other_change() {
        let state = State::new();
        let document = r#"{"a": {"command": ["x"]}, "b": {"command": ["y"]}}"#;
        let argv = |id: &str| state.get(id).map(|config| config.command.argv().to_vec());
        state.replace_all_json(document).unwrap();
        let first = [argv("a"), argv("b")];
        type Change = fn(&State);
        let changes: [Change; 5] = [
            |state| state.set("a", config("z")).unwrap(),
            |state| assert!(state.remove("b")),
            |state| state.replace_all([]).unwrap(),
            |state| state.replace_all_json(r#"{"a": {"command": ["x"]}}"#).unwrap(),
            |_| {},
        ];
        for change in changes {
            change(&state);
            state.replace_all_json(document).unwrap();
            assert_eq!([argv("a"), argv("b")], first);
        }
        let subscription = state.subscribe();
        state.replace_all_json(document).unwrap();
        assert!(!subscription.wait(Duration::ZERO));
    }

    #[test]
    fn subscriptions_that_come_and_go_leave_nothing() {
        let state = State::new();
        let subscription = state.subscribe();
        for _ in 0..1000 {
            assert!(!state.subscribe().wait(Duration::ZERO));
        }
        assert!(state.lock().subscribers.count() <= 2 * Subscribers::FEW);
        let many: Vec<Subscription> = (0..1000).map(|_| state.subscribe()).collect();
        state.set("a", config("x")).unwrap();
        assert!(many.iter().chain([&subscription]).all(|subscription| subscription.wait(Duration::ZERO)));
        drop(many);
        for _ in 0..2000 {
            state.subscribe();
        }
        assert!(state.lock().subscribers.count() <= 2 * Subscribers::FEW);
    }

    #[test]
    fn a_generated_token_stays_with_its_id_and_a_declared_one_is_kept() {
        let state = State::new();
        state.set("a", config("x")).unwrap();
        let token = state.get("a").unwrap().token;
        state.set("a", config("y")).unwrap();
        assert_eq!(state.get("a").unwrap().token, token);
        state.replace_all([("a".to_owned(), config("z"))]).unwrap();
        assert_eq!(state.get("a").unwrap().token, token);
        let declared = ProxyConfig { token: Some("mine".to_owned()), ..config("z") };
        state.set("a", declared).unwrap();
        assert_eq!(state.get("a").unwrap().token.as_deref(), Some("mine"));
        state.set("a", config("z")).unwrap();
        assert_ne!(state.get("a").unwrap().token.as_deref(), Some("mine"), "a declared secret is not reused");
    }

    #[test]
    fn tokens_of_an_earlier_agent_come_back_whether_set_before_or_after() {
        let state = State::new();
        state.set("before", config("x")).unwrap();
        let tokens = ["before", "after"].map(|id| (id.into(), format!("token of {id}")));
        state.remember_tokens(tokens.into_iter());
        state.set("after", config("x")).unwrap();
        for id in ["before", "after"] {
            assert_eq!(state.get(id).unwrap().token, Some(format!("token of {id}")));
        }
    }

    #[test]
    fn reader_gets_what_changed_since_its_version_or_everything_if_it_missed_too_much() {
        let state = State::new();
        let ids = |changes: &Changes| changes.ids.clone().map(|ids| ids.iter().map(|id| id.to_string()).collect());
        let first = state.changes_since(None);
        assert_eq!(ids(&first), None::<Vec<String>>);
        state.replace_all(["a", "b", "c"].map(|id| (id.to_owned(), config("x")))).unwrap();
        let second = state.changes_since(Some(first.version));
        assert_eq!(ids(&second), Some(["a", "b", "c"].map(str::to_owned).to_vec()));
        state.set("a", config("y")).unwrap();
        state.remove("b");
        state.replace_all(["a", "d"].map(|id| (id.to_owned(), config("y")))).unwrap();
        assert!(state.has_changed_since("b", second.version) && !state.has_changed_since("a", second.version + 1));
        assert!(!state.is_declared("b") && state.is_declared("d"));
        let third = state.changes_since(Some(second.version));
        assert_eq!(ids(&third), Some(["a", "b", "c", "d"].map(str::to_owned).to_vec()));
        assert_eq!(third.wanted.keys().map(|id| &**id).collect::<Vec<_>>(), ["a", "d"]);
        for number in 0..=REMEMBERED_CHANGES {
            state.set("a", config(&number.to_string())).unwrap();
        }
        let last = state.changes_since(Some(third.version));
        assert_eq!((ids(&last), last.wanted.len()), (None, 2));
        assert!(state.has_changed_since("d", third.version), "not known any more");
        assert!(!state.has_changed_since("d", last.version));
        assert_eq!(ids(&state.changes_since(Some(last.version))), Some(Vec::new()));
    }

    #[test]
    fn a_bad_document_changes_nothing() {
        let state = State::new();
        state.replace_all_json(r#"{"a": {"command": ["x"]}}"#).unwrap();
        let before = state.list();
        let bad = [
            "",
            "[]",
            r#"{"a": {"command": ["y"]}, "b": {}}"#,
            r#"{"a": {"command": ["y"]}, "a": {"command": ["z"]}}"#,
            r#"{"a": {"command": ["y"]}, "b": {"command": ["z\u0000"]}}"#,
        ];
        for document in bad {
            assert!(state.replace_all_json(document).is_err());
            assert_eq!(state.list(), before);
        }
        let error = state.set("a", config("")).unwrap_err();
        assert_eq!(error.to_string(), "proxy a: command[0]: expected a program, got an empty string");
        assert_eq!(state.list(), before);
    }
}

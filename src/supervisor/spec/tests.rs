// SPDX-License-Identifier: MPL-2.0
//! Declarations compared, and what comes out of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use super::base_environment::BaseEnvironment;
use super::*;
use crate::command::{Command, Credentials, Output, OutputOwner, Resource, ResourceLimit};
use crate::declaration::ProxyConfig;
use crate::lifecycle::generation::Generation;
use crate::lifecycle::start_numbers::{Epoch, StartNumbers};
use crate::logging::Log;
use crate::supervisor::events::{EventRing, Publisher};

fn spec(edit: impl Fn(&mut ProxyConfig), proxy_env: &[(&str, &str)], agent_env: &[(&str, &str)]) -> Spec {
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    };
    let mut config = ProxyConfig::new(Command::new("/bin/a").env("OWN", "1"));
    config.token = Some("t".to_owned());
    edit(&mut config);
    let log = Log::new(None);
    let context = Context {
        base_env: BaseEnvironment::of(pairs(agent_env)),
        proxy_env: pairs(proxy_env),
        files: Files::Paths { stdout: None, stderr: None, pid: None },
        owner_tag: "o".into(),
        publisher: Publisher::new(EventRing::new(1), log.clone()),
        log,
        allow_root: false,
        users: Arc::default(),
        max_handovers: 1,
        removed_logs: None,
        cgroups: None,
    };
    Spec::new("web".into(), Arc::new(config), Arc::new(context))
}

#[test]
fn changed_variable_is_found_among_declared_ones_only() {
    let edit = |config: &mut ProxyConfig| {
        config.target_service = Some("db".to_owned());
        config.command = config.command.clone().unset_env("WITHHELD");
    };
    let spec = spec(edit, &[("ADDR", "1"), ("WITHHELD", "1")], &[("HOME", "/")]);
    let given = |variables: &[(&str, &str)]| {
        let given: BTreeMap<OsString, OsString> =
            variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let changed = spec.changed_variable(|name| given.get(name).map(OsString::as_os_str));
        changed.map(|name| name.to_str().unwrap().to_owned())
    };
    let whole = [
        ("ADDR", "1"),
        ("CONNECT_PROXY_ID", "web"),
        ("CONNECT_PROXY_TOKEN", "t"),
        ("CONNECT_SIDECAR_FOR", "db"),
        ("OWN", "1"),
    ];
    assert_eq!(given(&whole), None);
    assert_eq!(
        given(
            &[
                &whole[..],
                &[("HOME", "/root"), ("CONNECT_PROXY_ORIGIN", "other")],
                &[("CONNECT_PROXY_EPOCH", "9"), ("CONNECT_PROXY_GENERATION", "9")]
            ]
            .concat()
        ),
        None
    );
    assert_eq!(given(&[&whole[..], &[("WITHHELD", "1")]].concat()).as_deref(), Some("WITHHELD"));
    for (index, (name, _)) in whole.iter().enumerate() {
        let mut other = whole.to_vec();
        other[index].1 = "2";
        assert_eq!(given(&other).as_deref(), Some(*name));
        other.remove(index);
        assert_eq!(given(&other).as_deref(), Some(*name));
    }
}

#[test]
fn each_environment_overrides_the_one_before() {
    let agent =
        [("A", "agent"), ("B", "agent"), ("OWN", "agent"), ("CONNECT_PROXY_ID", "x"), ("CONNECT_SIDECAR_FOR", "x")];
    let spec = spec(|_| {}, &[("B", "manager"), ("OWN", "manager")], &agent);
    let own = ["CONNECT_PROXY_EPOCH=1", "CONNECT_PROXY_GENERATION=3", "CONNECT_PROXY_ID=web"];
    let own = [&own[..], &["CONNECT_PROXY_ORIGIN=o", "CONNECT_PROXY_TOKEN=t"]].concat();
    assert_eq!(environment(&spec), [&["A=agent", "B=manager"], &own[..], &["OWN=1"]].concat());
}

#[test]
fn numbers_are_filled_in_where_they_are_declared_and_make_no_other_process() {
    let edit = |config: &mut ProxyConfig| {
        let command = Command::new("/bin/{generation}").args(["--epoch={epoch}", "{generation}{generation}"]);
        config.command = command.dir("/{generation}").env("OWN", "run-{generation}-{epoch}");
        config.token = Some("{generation}".to_owned());
    };
    let spec = spec(edit, &[("SHARED", "{generation}")], &[("INHERITED", "{generation}")]);
    let program = spec.program(numbers(12, 4));
    assert_eq!(program.argv, ["/bin/{generation}", "--epoch=4", "1212"]);
    assert_eq!(program.dir, Some("/{generation}".into()));
    let expected =
        ["INHERITED={generation}", "CONNECT_PROXY_EPOCH=4", "CONNECT_PROXY_GENERATION=12", "CONNECT_PROXY_ID=web"];
    let expected = [&expected[..], &["CONNECT_PROXY_ORIGIN=o", "CONNECT_PROXY_TOKEN={generation}"]].concat();
    let found = program.env.iter().map(|text| String::from_utf8(text.as_bytes().to_vec()).unwrap());
    assert_eq!(found.collect::<Vec<_>>(), [&expected[..], &["OWN=run-12-4", "SHARED=12"]].concat());
    for (own, shared, changed) in
        [("run-12-0", "12", None), ("run-{generation}-{epoch}", "{generation}", None), ("run-", "1", Some("OWN"))]
    {
        let value = |name: &std::ffi::OsStr| match name.to_str()? {
            "OWN" => Some(own),
            "SHARED" => Some(shared),
            "CONNECT_PROXY_ID" => Some("web"),
            "CONNECT_PROXY_TOKEN" => Some("{generation}"),
            _ => None,
        };
        let found = spec.changed_variable(|name| value(name).map(std::ffi::OsStr::new));
        assert_eq!(found, changed.map(std::ffi::OsStr::new));
    }
}

fn numbers(generation: u64, epoch: u64) -> StartNumbers {
    StartNumbers { generation: Generation::of(generation), epoch: Epoch::of(epoch) }
}

fn environment(spec: &Spec) -> Vec<String> {
    spec.program(numbers(3, 1)).env.iter().map(|text| String::from_utf8(text.as_bytes().to_vec()).unwrap()).collect()
}

#[test]
fn variables_of_the_host_and_withheld_ones_are_not_inherited() {
    let agent = [("A", "agent"), ("B", "agent"), ("NOTIFY_SOCKET", "agent"), ("LISTEN_PID", "agent")];
    let manager = [("B", "manager"), ("C", "manager"), ("LISTEN_PID", "manager")];
    let environment = |edit: fn(Command) -> Command| {
        let mut found = environment(&spec(|config| config.command = edit(config.command.clone()), &manager, &agent));
        found.retain(|text| !text.starts_with("CONNECT_"));
        found.join(" ")
    };
    assert_eq!(environment(|command| command), "A=agent B=manager C=manager LISTEN_PID=manager OWN=1");
    let withheld = environment(|command| command.unset_env("A").unset_env("C").env("NOTIFY_SOCKET", "own"));
    assert_eq!(withheld, "B=manager LISTEN_PID=manager NOTIFY_SOCKET=own OWN=1");
    let cleared = environment(|command| command.clear_env().unset_env("LISTEN_PID"));
    assert_eq!(cleared, "B=manager C=manager OWN=1");
}

/// Fault J of the original: one new variable in the agent's environment restarted every proxy.
#[test]
fn fault_j_only_what_is_declared_makes_another_process() {
    let base = spec(|_| {}, &[], &[]);
    let same = [
        spec(|_| {}, &[], &[("INVOCATION_ID", "new")]),
        spec(|config| config.stop.grace_period *= 2, &[], &[]),
        spec(|config| config.stop.leftover_grace = std::time::Duration::MAX, &[], &[]),
        spec(|config| config.restart.jitter = 1.0, &[], &[]),
        spec(|_| {}, &[("OWN", "overridden anyway")], &[]),
    ];
    for other in &same {
        assert!(base.same_process(other));
        assert_eq!(base.fingerprint(), other.fingerprint());
    }
    let credentials = Credentials { uid: 1, gid: 1, groups: vec![] };
    let different = [
        spec(|config| config.command = config.command.clone().arg("x"), &[], &[]),
        spec(|config| config.command = config.command.clone().dir("/"), &[], &[]),
        spec(|config| config.command = config.command.clone().env("X", ""), &[], &[]),
        spec(|config| config.command = config.command.clone().credentials(credentials.clone()), &[], &[]),
        spec(|config| config.token = Some("u".to_owned()), &[], &[]),
        spec(|config| config.target_service = Some("s".to_owned()), &[], &[]),
        spec(|_| {}, &[("X", "")], &[]),
    ];
    for other in &different {
        assert!(!base.same_process(other), "{other:?}");
        assert_ne!(base.fingerprint(), other.fingerprint());
    }
}

#[test]
fn each_later_field_makes_another_process() {
    let with = |edit: fn(Command) -> Command| spec(|config| config.command = edit(config.command.clone()), &[], &[]);
    let different = [
        with(|command| command),
        with(|command| command.unset_env("X")),
        with(|command| command.unset_env("X").unset_env("Y")),
        with(Command::clear_env),
        with(Command::detached),
        with(|command| command.clear_env().detached()),
        with(|command| command.descriptor_limit(1)),
        with(|command| command.descriptor_limit(2)),
        with(|command| command.oom_score_adj(0)),
        with(|command| command.oom_score_adj(-1)),
        with(|command| command.rlimit(Resource::Core, ResourceLimit::soft(1))),
        with(|command| command.rlimit(Resource::Core, ResourceLimit::new(1))),
        with(|command| command.rlimit(Resource::Cpu, ResourceLimit::new(1))),
        with(|command| command.nice(0)),
        with(|command| command.nice(1)),
        with(|command| command.cpu_affinity([0])),
        with(|command| command.cpu_affinity([0, 1])),
        with(|command| command.umask(0o22)),
        with(|command| command.umask(0o27)),
        with(|command| command.user("a")),
        with(|command| command.user("a").group("b")),
        with(|command| command.user("b")),
        with(|command| command.stdout(Output::Null)),
        with(|command| command.stderr(Output::Null)),
        with(|command| command.stderr(Output::Path("/null".into()))),
        with(|command| command.output_owner(OutputOwner::Proxy)),
        with(Command::no_new_privs),
        with(|command| command.argv0("b")),
        with(|command| command.argv0("c")),
    ];
    for (index, other) in different.iter().enumerate() {
        for one in &different[..index] {
            assert!(!one.same_process(other), "{other:?}");
            assert_ne!(one.fingerprint(), other.fingerprint(), "{other:?}");
        }
    }
}

/// Records of earlier versions hold these digests: with others, every process would be replaced by an upgrade.
#[test]
fn fingerprints_of_declarations_without_later_fields_are_those_of_earlier_versions() {
    let bare = spec(|_| {}, &[], &[]);
    assert_eq!(bare.fingerprint().to_string(), "56d0c65d354f495d9861834a6dd9db3c");
    let credentials = Credentials { uid: 1, gid: 2, groups: vec![3, 4] };
    let whole = |config: &mut ProxyConfig| {
        let command = Command::new("/bin/a").args(["b", ""]).dir("/tmp").env("A", "b=c");
        config.command = command.credentials(credentials.clone());
        config.target_service = Some("s".to_owned());
    };
    let whole = spec(whole, &[("A", "manager"), ("B", "manager")], &[]);
    assert_eq!(whole.fingerprint().to_string(), "bbb945a5f9095aeff1232bbeb8b87f29");
}

// SPDX-License-Identifier: MPL-2.0
//! The header: generated from `src/ffi`, and never another one than what is in `include/`.

use std::fs;
use std::path::{Path, PathBuf};

use proxyprocess::{ExecMode, defaults};

/// The files of the interface, in the order of the header.
const FILES: [&str; 20] = [
    "version",
    "error",
    "text",
    "proxy_options",
    "options",
    "state",
    "proxy_state",
    "ended_by",
    "status",
    "exit",
    "event",
    "events",
    "manager",
    "steering",
    "metrics",
    "daemon",
    "noop",
    "kind",
    "log",
    "logs",
];

/// What only Cargo and the crate know.
const KNOWN_HERE: &str = r#"
/** The version of this header; that of the library is proxyprocess_version(). */
#define PROXYPROCESS_VERSION "{version}"
#define PROXYPROCESS_VERSION_MAJOR {major}
#define PROXYPROCESS_VERSION_MINOR {minor}
#define PROXYPROCESS_VERSION_PATCH {patch}

/** The environment variable that holds a proxy's id (EnvProxyID). */
#define PROXYPROCESS_ENV_PROXY_ID "{env_proxy_id}"
/** The environment variable that holds a proxy's token (EnvProxyToken). */
#define PROXYPROCESS_ENV_PROXY_TOKEN "{env_proxy_token}"
/** The environment variable that holds the tag of the manager or daemon that a process is of: how a scan knows it. */
#define PROXYPROCESS_ENV_PROXY_ORIGIN "{env_proxy_origin}"
/** The environment variable that holds the generation of a process: which of the starts of its proxy it comes from. */
#define PROXYPROCESS_ENV_PROXY_GENERATION "{env_proxy_generation}"
/** The environment variable that holds the epoch of a process: one more than that of the process of its proxy beside which it was started, else 0. */
#define PROXYPROCESS_ENV_PROXY_EPOCH "{env_proxy_epoch}"
/** The environment variable that holds the id of the service that a proxy is the sidecar of (EnvSidecarFor). */
#define PROXYPROCESS_ENV_SIDECAR_FOR "{env_sidecar_for}"

/** The kind of proxy that is a process. */
#define PROXYPROCESS_MODE_DAEMON "{mode_daemon}"
/** The kind of proxy that does nothing. */
#define PROXYPROCESS_MODE_NOOP "{mode_noop}"

/* A result that tells of failure must not be dropped. */
#if defined(__GNUC__)
#define PROXYPROCESS_MUST_USE __attribute__((warn_unused_result))
#else
#define PROXYPROCESS_MUST_USE
#endif
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The header as the sources want it.
pub(crate) fn generate() -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let known_here = KNOWN_HERE
        .replace("{mode_daemon}", ExecMode::DAEMON.as_str())
        .replace("{mode_noop}", ExecMode::NOOP.as_str())
        .replace("{env_proxy_id}", defaults::ENV_PROXY_ID)
        .replace("{env_proxy_token}", defaults::ENV_PROXY_TOKEN)
        .replace("{env_proxy_origin}", defaults::ENV_PROXY_ORIGIN)
        .replace("{env_proxy_generation}", defaults::ENV_PROXY_GENERATION)
        .replace("{env_proxy_epoch}", defaults::ENV_PROXY_EPOCH)
        .replace("{env_sidecar_for}", defaults::ENV_SIDECAR_FOR)
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{major}", env!("CARGO_PKG_VERSION_MAJOR"))
        .replace("{minor}", env!("CARGO_PKG_VERSION_MINOR"))
        .replace("{patch}", env!("CARGO_PKG_VERSION_PATCH"));
    config.after_includes = Some(known_here);
    let sources = FILES.iter().map(|file| root().join(format!("src/ffi/{file}.rs")));
    let builder = sources.fold(cbindgen::Builder::new().with_config(config), cbindgen::Builder::with_src);
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    tidy(&String::from_utf8(header).unwrap())
}

/// cbindgen puts a space behind the names of types, and ours end with a star; and it gives every comment three lines.
fn tidy(header: &str) -> String {
    let lines: Vec<&str> = header.lines().map(str::trim_end).collect();
    let mut tidy = String::new();
    let mut at = 0;
    while let Some(&line) = lines.get(at) {
        let indent = &line[..line.len() - line.trim_start().len()];
        match &lines[at..] {
            [open, only, close, ..] if open.trim() == "/**" && close.trim() == "*/" => {
                tidy.push_str(&format!("{indent}/** {} */\n", only.trim_start_matches([' ', '*'])));
                at += 3;
            }
            [comment, ..] if comment.trim_start().starts_with(['*', '/']) => {
                tidy.push_str(&format!("{comment}\n"));
                at += 1;
            }
            _ => {
                tidy.push_str(&format!(
                    "{}\n",
                    line.replace("* *", "**").replace("* ", "*").replace("*const*", "*const *")
                ));
                at += 1;
            }
        }
    }
    tidy
}

/// `PROXYPROCESS_BLESS=1 cargo test c_abi::header` writes it anew.
#[test]
fn the_header_is_fresh() {
    let path = root().join("include/proxyprocess.h");
    let wanted = generate();
    if std::env::var_os("PROXYPROCESS_BLESS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = wanted.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
    let anew = "PROXYPROCESS_BLESS=1 cargo test c_abi::header";
    assert!(wanted == found, "include/proxyprocess.h is stale, first at {differs:?}; write it anew with: {anew}");
}

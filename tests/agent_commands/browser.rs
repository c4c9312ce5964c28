// SPDX-License-Identifier: MPL-2.0
//! A headless Chromium that is driven by chromedriver (WebDriver, <https://www.w3.org/TR/webdriver2/>).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::WATCHDOG;

const CHROMIUM: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";

/// It is root's in most tests, and has nothing to do beside its page.
const OPTIONS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
];

/// By which name a reference to an element is known.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub(super) const TAB: &str = "\u{e004}";
pub(super) const ENTER: &str = "\u{e007}";
pub(super) const SPACE: &str = " ";

/// One with a page. Not dropped by [`Browser::quit`], it ends with the pid namespace of its test.
#[derive(Debug)]
pub(super) struct Browser {
    driver: Child,
    address: String,
    session: String,
}

impl Browser {
    /// Whether it is installed.
    pub(super) fn is_installed() -> bool {
        let missing: Vec<&str> = [CHROMIUM, DRIVER].into_iter().filter(|path| !Path::new(path).exists()).collect();
        if !missing.is_empty() {
            // Not in CI, which does not install it: see `.ci/browser.sh`.
            assert!(std::env::var_os("PROXYPROCESS_BROWSER").is_none(), "not installed: {missing:?}");
            println!("skipped, not installed: {missing:?}");
        }
        missing.is_empty()
    }

    /// Starts one that has all its files in this directory, which is made.
    #[track_caller]
    pub(super) fn start(dir: &Path) -> Browser {
        std::fs::create_dir(dir).expect("make the directory of the browser");
        let mut driver = Command::new(DRIVER);
        driver.arg("--port=0").env("HOME", dir).env("TMPDIR", dir).env_remove("DBUS_SESSION_BUS_ADDRESS");
        driver.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = driver.spawn().expect("start chromedriver");
        // The pipe is read on, so that no write to it fails.
        let mut lines = BufReader::new(driver.stdout.take().expect("stdout is a pipe")).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("was started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        let address = format!("127.0.0.1:{}", port.expect("chromedriver says its port"));
        let mut browser = Browser { driver, address, session: String::new() };
        let profile = format!("--user-data-dir={}", dir.join("profile").display());
        let options: Vec<&str> = OPTIONS.into_iter().chain([profile.as_str()]).collect();
        let wanted = json!({
            "goog:chromeOptions": {"binary": CHROMIUM, "args": options},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "timeouts": {"script": WATCHDOG.as_millis()},
        });
        let made = browser.post("", json!({"capabilities": {"alwaysMatch": wanted}}));
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    /// Ends it.
    #[track_caller]
    pub(super) fn quit(mut self) {
        self.ask("DELETE", "", &Value::Null);
        self.driver.kill().expect("kill chromedriver");
        self.driver.wait().expect("wait for chromedriver");
    }

    #[track_caller]
    pub(super) fn open(&self, url: &str) {
        self.post("/url", json!({"url": url}));
    }

    #[track_caller]
    pub(super) fn back(&self) {
        self.post("/back", json!({}));
    }

    /// Has the page evaluate the body of a function.
    #[track_caller]
    pub(super) fn evaluate(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []}))
    }

    /// Waits until the page is so that an expression is true; it is asked for at each change of the page.
    #[track_caller]
    pub(super) fn until(&self, wanted: &str) {
        let script = format!(
            "const done = arguments[0];
             const look = () => {{ if ({wanted}) {{ observer.disconnect(); done(true); }} }};
             const observer = new MutationObserver(look);
             observer.observe(document, {{ attributes: true, characterData: true, childList: true, subtree: true }});
             look();"
        );
        let answer = self.try_to_ask("POST", "/execute/async", &json!({"script": script, "args": []}));
        if let Err(error) = answer {
            let page = self.evaluate("return document.title + '\\n' + document.body.innerText");
            panic!("waited in vain until {wanted}: {error}\n{}", page.as_str().unwrap_or_default());
        }
    }

    /// Presses keys, one after another.
    #[track_caller]
    pub(super) fn press(&self, keys: &[&str]) {
        let press = |key: &&str| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let actions: Vec<Value> = keys.iter().flat_map(press).collect();
        self.post("/actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// Clicks on the element that a selector of CSS means.
    #[track_caller]
    pub(super) fn click(&self, selector: &str) {
        let found = self.post("/element", json!({"using": "css selector", "value": selector}));
        let element = found[ELEMENT].as_str().expect("an element");
        self.post(&format!("/element/{element}/click"), json!({}));
    }

    /// A command of the Chrome DevTools Protocol.
    #[track_caller]
    pub(super) fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": parameters}))
    }

    /// Shows the page in this many pixels, in light or dark.
    #[track_caller]
    pub(super) fn look_like(&self, width: u32, scheme: &str) {
        let screen = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", screen);
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// What the page has written to its console since this was last asked, errors of the browser included.
    #[track_caller]
    pub(super) fn console(&self) -> Vec<String> {
        let entries = self.log("browser");
        entries.iter().map(|entry| entry["message"].as_str().expect("a message").to_owned()).collect()
    }

    /// What was asked for by the page, and by what it led to, since this was last asked.
    #[track_caller]
    pub(super) fn requests(&self) -> Vec<String> {
        let messages = self.log("performance").into_iter().map(|entry| {
            let message = entry["message"].as_str().expect("a message");
            serde_json::from_str::<Value>(message).expect("JSON")["message"].take()
        });
        let sent = messages.filter(|message| message["method"] == "Network.requestWillBeSent");
        let text = |value: &Value| value.as_str().expect("an address").to_owned();
        let sent = sent.map(|message| message["params"].clone());
        // A browser begins with a page of its own.
        let of_others = sent.filter(|sent| !text(&sent["documentURL"]).starts_with("chrome://"));
        of_others.map(|sent| text(&sent["request"]["url"])).collect()
    }

    #[track_caller]
    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("/se/log", json!({"type": kind}));
        entries.as_array().expect("entries").clone()
    }

    #[track_caller]
    fn post(&self, path: &str, body: Value) -> Value {
        self.ask("POST", path, &body)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        match self.try_to_ask(method, path, body) {
            Ok(value) => value,
            Err(error) => panic!("{method} {path} {body}: {error}"),
        }
    }

    /// What chromedriver answers, or the error that it says. Without a session a path is that of a new one.
    #[track_caller]
    fn try_to_ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let session = if self.session.is_empty() { String::new() } else { format!("/{}", self.session) };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.address).expect("connect to chromedriver");
        // It gives up earlier.
        stream.set_read_timeout(Some(WATCHDOG * 2)).expect("set a timeout");
        let request = format!(
            "{method} /session{session}{path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("ask chromedriver");
        // It leaves the connection open.
        let (mut reader, mut head) = (BufReader::new(stream), String::new());
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).expect("read an answer of chromedriver") > 0, "an answer ends: {head}");
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.expect("a length")];
        reader.read_exact(&mut body).expect("read an answer of chromedriver");
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        let value = answer["value"].take();
        if head.starts_with("HTTP/1.1 200 ") { Ok(value) } else { Err(value) }
    }
}

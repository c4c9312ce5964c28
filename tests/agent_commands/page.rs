// SPDX-License-Identifier: MPL-2.0
//! The page of the agent in a real browser, with real keys and clicks.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::ask;
use super::browser::{Browser, ENTER, SPACE, TAB};
use super::http::{start, start_at};
use crate::support::{Config, Deadline, Process, Proxy, Scene, children_of, in_pid_namespace};

/// Runs a test with a browser in a pid namespace, with which all of its processes end, and checks that they have ended before.
#[track_caller]
fn with_browser(name: &str, test: impl FnOnce(&Scene, &Browser)) {
    if !Browser::is_installed() {
        return;
    }
    in_pid_namespace(&format!("agent_commands::page::{name}"), || {
        let scene = Scene::new();
        let browser = Browser::start(&scene.path("browser"));
        test(&scene, &browser);
        browser.quit();
        // All that were started here, also by others, descend from this process.
        let own = Process::open(std::process::id()).expect("the own process");
        let deadline = Deadline::of("the end of the browser");
        while !children_of(&own).is_empty() {
            deadline.left();
            std::thread::yield_now();
        }
        scene.finish();
    });
}

/// A proxy that has ended with an error and waits for its next start, longer than any test takes.
fn waiting(said: &str) -> Proxy {
    let restart = json!({"attempts_before_backoff": 0, "max_wait_ms": 600_000});
    Proxy::command(&["/bin/sh", "-c", "echo \"$0\" >&2; exit 3", said]).set("restart", restart)
}

fn failed(said: &str) -> Proxy {
    let restart = json!({"give_up_after": {"failures": 1, "within_ms": 60_000}});
    Proxy::command(&["/bin/sh", "-c", "echo \"$0\" >&2; exit 3", said]).set("restart", restart)
}

fn job() -> Proxy {
    Proxy::command(&["/bin/true"]).set("restart", json!({"policy": "never"}))
}

/// An expression of the page: whether the row of a proxy has these cells.
fn row_is(id: &str, cells: &[(&str, &str)]) -> String {
    let [id, cells] = [json!(id), json!(cells)];
    format!(
        "(() => {{
            const head = [...document.querySelectorAll('#proxies th')].find((th) => th.textContent === {id});
            return head !== undefined && {cells}.every(([label, text]) =>
                [...head.parentNode.children].find((cell) => cell.dataset.label === label).textContent === text);
        }})()"
    )
}

/// An expression of the page: whether there is a note on some proxy that has this text in it.
fn has_note(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('.notes:not([hidden]) code')].some((line) => line.textContent.includes({}))",
        json!(text)
    )
}

/// All but what says that the agent was gone meanwhile.
fn check_console_and_requests(browser: &Browser, address: &str) {
    let said = browser.console();
    assert!(said.is_empty(), "{said:#?}");
    let requests = browser.requests();
    let own = format!("http://{address}/");
    assert!(!requests.is_empty() && requests.iter().all(|url| url.starts_with(&own)), "{requests:#?}");
}

#[test]
fn page_shows_the_status_and_keeps_focus_selection_and_place_when_it_changes() {
    with_browser("page_shows_the_status_and_keeps_focus_selection_and_place_when_it_changes", |scene, browser| {
        let script = "<img src=x onerror=document.title='injected'>";
        let (id, shown) = ("<b id=injected>x</b>\u{1b}\u{202e}", "<b id=injected>x</b>\\u{1b}\\u{202e}");
        let config = Config::new(scene).proxy("web", Proxy::helper(&["run"])).proxy("job", job());
        let config = config.proxy(id, failed(script)).proxy("__proto__", waiting("bind: Address already in use"));
        let config = (0..30).fold(config, |config, number| config.proxy(&format!("z{number}"), job()));
        let (agent, address) = start(scene, &config, "");
        let web = scene.reports.start("web");
        browser.open(&format!("http://{address}/"));
        let pid = web.pid.to_string();
        browser.until(&row_is("web", &[("State", "running"), ("Ready", "yes"), ("PID", &pid), ("Last exit", "-")]));
        browser.until(&row_is("job", &[("State", "completed"), ("PID", "-"), ("Last exit", "exit code 0")]));
        browser.until(&row_is(shown, &[("State", "failed"), ("Restarts", "0"), ("Last exit", "exit code 3")]));
        browser.until(&row_is("__proto__", &[("State", "waiting"), ("Ready", "no"), ("Last exit", "exit code 3")]));
        browser.until(&has_note(&format!("stderr: {script}")));
        browser.until(&has_note("stderr: bind: Address already in use"));
        browser.until(&has_note("next start in "));
        browser.until(
            "document.getElementById('summary').textContent === '1 of 34 ready, 1 failed, 1 waiting'
                 && document.title === '1 of 34 ready, 1 failed, 1 waiting - Proxies'",
        );
        assert_eq!(browser.evaluate("return document.querySelectorAll('#injected, img').length"), 0);

        browser.press(&[TAB]);
        browser.evaluate(
            "const code = [...document.querySelectorAll('code')];
                 getSelection().selectAllChildren(code.find((line) => line.textContent.includes('onerror')));
                 window.row = [...document.querySelectorAll('th')].find((head) => head.textContent === 'z20');
                 row.scrollIntoView();",
        );
        let kept = "return [document.activeElement.id, getSelection().toString(), row.getBoundingClientRect().top]";
        let before = browser.evaluate(kept);
        assert_eq!([&before[0], &before[1]], [&json!("pause"), &json!(format!("stderr: {script}"))]);
        web.process.kill();
        let next = scene.reports.start("web");
        agent.reload(&config.without("job").proxy("new", waiting("not yet")));
        let pid = next.pid.to_string();
        let cells = [("State", "running"), ("PID", &pid), ("Restarts", "1"), ("Last exit", "signal SIGKILL")];
        browser.until(&row_is("web", &cells));
        browser.until(&row_is("new", &[("State", "waiting")]));
        browser.until(&format!("!{}", row_is("job", &[])));
        let after = browser.evaluate(kept);
        assert_eq!([&after[0], &after[1]], [&before[0], &before[1]]);
        // In pixels, of which there are parts.
        let place = |of: &Value| of[2].as_f64().expect("a number");
        assert!((place(&after) - place(&before)).abs() < 1.0, "{before} {after}");
        check_console_and_requests(browser, &address);
        agent.quit();
    });
}

/// What of the page is read in a colour that is too much like what is behind it (WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for a text, 3
/// for the outline of what has the focus), and how many texts there are.
const CONTRASTS: &str = "
    const channels = (colour) => {
        const [, list] = /^rgb\\((.*)\\)$/.exec(colour) ?? [null, null];
        if (list === null) throw new Error(`no plain colour: ${colour}`);
        return list.split(',').map(Number);
    };
    const light = (colour) => {
        const [r, g, b] = channels(colour).map((value) => value / 255)
            .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (one, other) => {
        const [less, more] = [light(one), light(other)].sort((a, b) => a - b);
        return (more + 0.05) / (less + 0.05);
    };
    const behind = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === 'rgba(0, 0, 0, 0)' ? behind(element.parentElement) : colour;
    };
    const bad = [];
    let texts = 0;
    const check = (element, colour, least, what) => {
        const found = ratio(colour, behind(element));
        texts += 1;
        if (found < least) bad.push(`${what}: ${found.toFixed(2)}`);
    };
    for (const element of document.body.querySelectorAll('*')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
        if (own && element.checkVisibility()) {
            check(element, getComputedStyle(element).color, 4.5, element.textContent);
            const label = getComputedStyle(element, '::before');
            if (label.content !== 'none') check(element, label.color, 4.5, label.content);
        }
    }
    const focused = document.activeElement;
    const outline = getComputedStyle(focused);
    if (!focused.matches(':focus-visible') || outline.outlineStyle !== 'solid' || parseFloat(outline.outlineWidth) < 2) {
        bad.push('the focus is not visible');
    }
    check(focused.parentElement, outline.outlineColor, 3, 'outline');
    return [texts, bad];";

/// What of the page lies beyond the right side of the window.
const BEYOND: &str = "
    const root = document.documentElement;
    const beyond = [...document.body.querySelectorAll('*')]
        .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
        .map((element) => element.outerHTML.slice(0, 200));
    if (root.scrollWidth > innerWidth) beyond.push(`all: ${root.scrollWidth} of ${innerWidth}`);
    return beyond;";

#[test]
fn page_fits_narrow_windows_and_is_readable_in_light_and_dark_and_as_a_table() {
    with_browser("page_fits_narrow_windows_and_is_readable_in_light_and_dark_and_as_a_table", |scene, browser| {
        let long = "a_very_long_id_without_a_blank_".repeat(10);
        let said = "cannot_open_".repeat(40);
        let later = Proxy::helper(&["ready", "fd", "3", "later"]).set("ready", json!({"fd": 3}));
        let config = Config::new(scene).proxy("web", Proxy::helper(&["run"])).proxy("later", later);
        let config =
            config.proxy(&long, waiting(&said)).proxy("job", job()).proxy("given-up", failed(&said.replace('_', " ")));
        let config = config.proxy("paused", Proxy::helper(&["run"]));
        let (agent, address) = start(scene, &config, "");
        for id in ["web", "later", "paused"] {
            scene.reports.start(id);
        }
        ask(&scene.data_dir(), &["stop", "paused"]).ok();
        browser.open(&format!("http://{address}/"));
        browser.until(&row_is(&long, &[("State", "waiting")]));
        browser.until(&row_is("given-up", &[("State", "failed")]));
        browser.until(&row_is("later", &[("State", "starting"), ("Ready", "no")]));
        browser.until(&row_is("web", &[("State", "running"), ("Ready", "yes")]));
        browser.until(&row_is("paused", &[("State", "paused"), ("Last exit", "signal SIGINT (stop)")]));
        browser.until(&has_note(&said));
        browser.press(&[TAB]);
        for width in [320, 360, 768, 1280] {
            for scheme in ["light", "dark"] {
                browser.look_like(width, scheme);
                assert_eq!(browser.evaluate("return innerWidth"), width);
                let beyond = browser.evaluate(BEYOND);
                assert_eq!(beyond, json!([]), "{width} px");
                let contrasts = browser.evaluate(CONTRASTS);
                assert_eq!(contrasts[1], json!([]), "{scheme}, {width} px");
                assert!(contrasts[0].as_u64() > Some(40), "{contrasts}");
                let tree = browser.devtools("Accessibility.getFullAXTree", json!({}));
                assert_eq!(of_role(&tree, "table"), ["Proxies"]);
                let heads = ["Proxy", "State", "For", "Ready", "PID", "Restarts", "Last exit"];
                assert_eq!(of_role(&tree, "columnheader"), heads, "{width} px");
                let mut ids = [long.as_str(), "given-up", "job", "later", "paused", "web"];
                ids.sort_unstable();
                assert_eq!(of_role(&tree, "rowheader"), ids, "{width} px");
                assert_eq!(of_role(&tree, "heading"), ["Proxies"]);
                assert_eq!(of_role(&tree, "button"), ["Pause updates"]);
            }
        }
        check_console_and_requests(browser, &address);
        agent.quit();
    });
}

/// The names of all that has a role in a tree of accessibility.
fn of_role(tree: &Value, role: &str) -> Vec<String> {
    let nodes = tree["nodes"].as_array().expect("nodes").iter();
    let of_role = nodes.filter(|node| node["ignored"] == false && node["role"]["value"] == role);
    of_role.map(|node| node["name"]["value"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Keeps an account of the timers of the page.
const COUNT_TIMERS: &str = "
    window.timers = new Set();
    const [set, clear] = [setTimeout, clearTimeout];
    window.setTimeout = (callback, ...rest) => {
        const timer = set(() => { timers.delete(timer); callback(); }, ...rest);
        timers.add(timer);
        return timer;
    };
    window.clearTimeout = (timer) => { timers.delete(timer); clear(timer); };";

#[test]
fn keyboard_alone_reaches_all_that_does_something() {
    with_browser("keyboard_alone_reaches_all_that_does_something", |scene, browser| {
        let (agent, address) = start(scene, &Config::new(scene).proxy("web", Proxy::helper(&["run"])), "");
        let web = scene.reports.start("web");
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": COUNT_TIMERS}));
        browser.open(&format!("http://{address}/"));
        let pid = web.pid.to_string();
        browser.until(&row_is("web", &[("State", "running"), ("PID", &pid)]));
        let focused = || browser.evaluate("return document.activeElement.id || document.activeElement.textContent");
        let all = browser.evaluate(
            "const all = document.querySelectorAll('a, button, input, select, textarea, summary, [tabindex], [onclick]');
             return [...all].filter((element) => element.checkVisibility()).map((element) => element.id || element.textContent)",
        );
        let mut reached = Vec::new();
        for _ in 0..all.as_array().expect("elements").len() {
            browser.press(&[TAB]);
            reached.push(focused());
        }
        assert_eq!(Value::from(reached), all);
        assert_eq!(all, json!(["pause", "status.json", "metrics"]));

        browser.evaluate("document.activeElement.blur(); document.getElementById('pause').focus()");
        browser.press(&[SPACE]);
        browser.until("document.title.startsWith('Updates are paused; what is shown is from ')");
        let button = browser.evaluate("return document.getElementById('pause').textContent");
        assert_eq!(button, "Resume updates");
        assert_eq!(browser.evaluate("return timers.size"), 0);
        web.process.kill();
        let next = scene.reports.start("web").pid;
        agent.status_running(scene, "web", next);
        browser.until(&row_is("web", &[("State", "running"), ("PID", &pid)]));
        browser.press(&[ENTER]);
        browser.until(&row_is("web", &[("State", "running"), ("PID", &next.to_string())]));
        browser.until("document.title === '1 of 1 ready - Proxies' && timers.size === 1");
        // Of two that are quick there is one page that asks, and not two.
        browser.click("#pause");
        browser.click("#pause");
        browser.until("document.title === '1 of 1 ready - Proxies' && timers.size === 1");

        browser.press(&[TAB, ENTER]);
        browser.until("document.body.textContent.includes('\"proxies\"')");
        browser.back();
        browser.until("document.title === '1 of 1 ready - Proxies'");
        browser.evaluate("document.querySelector('a[href=\"status.json\"]').focus()");
        browser.press(&[TAB, ENTER]);
        browser.until("document.body.textContent.includes('proxyprocess_proxy_ready')");
        check_console_and_requests(browser, &address);
        agent.quit();
    });
}

#[test]
fn page_says_that_the_agent_is_gone_or_hangs_and_goes_on_when_it_is_back() {
    with_browser("page_says_that_the_agent_is_gone_or_hangs_and_goes_on_when_it_is_back", |scene, browser| {
        let config = Config::new(scene);
        let (agent, address) = start(scene, &config, "");
        browser.open(&format!("http://{address}/"));
        browser.until("document.title === 'No proxies are declared - Proxies'");
        let config = config.proxy("web", Proxy::helper(&["run"]));
        agent.reload(&config);
        let web = scene.reports.start("web");
        browser.until("document.title === '1 of 1 ready - Proxies'");
        check_console_and_requests(browser, &address);
        let is_without = "document.title.startsWith('The agent does not answer; what is shown is from ')
            && document.getElementById('summary').textContent + ' - Proxies' === document.title";
        agent.signal(Signal::STOP);
        browser.until(is_without);
        agent.signal(Signal::CONT);
        browser.until("document.title === '1 of 1 ready - Proxies'");
        agent.end_by(Signal::TERM);
        browser.until(is_without);
        let pid = web.pid.to_string();
        browser.until(&row_is("web", &[("State", "running"), ("PID", &pid)]));
        let (agent, _) = start_at(scene, &config, &address, "");
        browser.until("document.title === '1 of 1 ready - Proxies'");
        browser.until(&has_note("started by an earlier agent"));
        // That it could not be asked, and nothing else.
        let said = browser.console();
        assert!(said.iter().all(|line| line.contains("/status.json - Failed to load resource: ")), "{said:#?}");
        agent.quit();
    });
}

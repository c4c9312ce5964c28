// SPDX-License-Identifier: MPL-2.0
//! What is pure or hot, by itself: `cargo bench -p proxyprocess-benches --bench micro`.

use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use criterion::{Criterion, Throughput};
use proxyprocess::bench_hooks::{Entries, Life, Planned};
use proxyprocess::{Command, ProxyConfig, State};

/// As many proxies as the targets speak of.
const MANY: u32 = 10_000;

/// A proxy of a common size. With a token of its own, so that it is the same whenever it is declared.
fn config(id: u32, version: u32) -> ProxyConfig {
    let command = Command::new("/usr/sbin/haproxy").args(["-db", "-f"]).arg(format!("/etc/haproxy/{id}.cfg"));
    let mut config = ProxyConfig::new(command.env("VERSION", version.to_string()));
    config.token = Some(format!("00000000-0000-4000-8000-{id:012}"));
    config
}

fn proxies(version: u32) -> impl Iterator<Item = (String, ProxyConfig)> {
    (0..MANY).map(move |id| (format!("proxy-{id}"), config(id, version)))
}

fn many() -> State {
    let state = State::new();
    state.replace_all(proxies(0)).expect("declare the proxies");
    state
}

fn machine(criterion: &mut Criterion) {
    let mut life = Life::begin();
    criterion.bench_function("machine: exited and spawned", |bencher| bencher.iter(|| life.crash_and_come_back()));
}

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan of 10,000");
    let state = many();
    let planned = Planned::follow(&state).expect("make a manager");
    group.bench_function("nothing changed", |bencher| bencher.iter(|| planned.steps()));
    group.bench_function("nothing changed, all compared", |bencher| bencher.iter(|| planned.steps_of_all()));
    state.set("proxy-5000", config(5000, 1)).expect("change a proxy");
    assert_eq!(planned.steps(), 1);
    group.bench_function("one changed", |bencher| bencher.iter(|| planned.steps()));
    // Equal, but not the same in memory.
    state.replace_all([]).expect("remove all");
    state.replace_all(proxies(0)).expect("declare the proxies again");
    assert_eq!(planned.steps(), 0);
    group.bench_function("all declared again", |bencher| bencher.iter(|| planned.steps()));
    state.replace_all(proxies(1)).expect("change all proxies");
    assert_eq!(planned.steps(), MANY as usize);
    group.bench_function("all changed", |bencher| bencher.iter(|| planned.steps()));
}

fn snapshot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot of 10,000");
    let entries = Entries::of(&many());
    let mut text = Vec::new();
    entries.encode(&mut text).expect("write to memory");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(20);
    group.bench_function("encode", |bencher| bencher.iter(|| entries.encode(&mut io::sink())));
    group.bench_function("decode", |bencher| bencher.iter(|| Entries::decode(black_box(&text))));
}

fn state(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("state of 10,000");
    let state = many();
    let subscription = state.subscribe();
    let mut version = 0;
    let mut set = |id: u32| {
        version += 1;
        state.set(&format!("proxy-{id}"), config(id, version)).expect("change a proxy");
    };
    group.bench_function("set, one writer", |bencher| bencher.iter(|| set(1)));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut version = 0;
            while !done.load(Ordering::Relaxed) {
                version += 1;
                state.set("proxy-2", config(2, version)).expect("change a proxy");
            }
        });
        group.bench_function("set, while another one writes", |bencher| bencher.iter(|| set(1)));
        done.store(true, Ordering::Relaxed);
    });
    drop(subscription);
}

/// A document of all, with so many spaces at its end.
fn document(spaces: usize) -> String {
    let declared = |id: u32| {
        let command = format!(r#"["/usr/sbin/haproxy", "-db", "-f", "/etc/haproxy/{id}.cfg"]"#);
        format!(r#""proxy-{id}": {{"command": {command}, "env": ["VERSION=0"], "stop_signal": "SIGUSR1"}}"#)
    };
    let all: Vec<String> = (0..MANY).map(declared).collect();
    format!("{{{}}}{}", all.join(", "), " ".repeat(spaces))
}

fn documents(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("document of 10,000, nothing changed");
    let state = State::new();
    let (one, other) = (document(0), document(1));
    group.sample_size(20);
    let replace = |text: &str| state.replace_all_json(black_box(text)).expect("a good document");
    group.bench_function("the same text", |bencher| bencher.iter(|| replace(&one)));
    group.bench_function("another text", |bencher| {
        let mut texts = [&one, &other].into_iter().cycle();
        bencher.iter(|| replace(texts.next().expect("it has no end")));
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for benchmark in [machine, plan, snapshot, state, documents] {
        benchmark(&mut criterion);
    }
    criterion.final_summary();
}

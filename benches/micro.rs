//! What is pure or hot, by itself: `cargo bench --bench micro --features internals`.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proxyprocess::internals::{Entries, Life, Planned};
use proxyprocess::{Command, ProxyConfig, State};

/// As many proxies as the targets speak of.
const MANY: u32 = 10_000;

fn config(id: u32, version: u32) -> ProxyConfig {
    let command = Command::new("/usr/sbin/haproxy").args(["-db", "-f"]).arg(format!("/etc/haproxy/{id}.cfg"));
    ProxyConfig::new(command.env("VERSION", version.to_string()))
}

fn many() -> State {
    let state = State::new();
    let proxies = (0..MANY).map(|id| (format!("proxy-{id}"), config(id, 0)));
    state.replace_all(proxies).expect("declare the proxies");
    state
}

fn machine(criterion: &mut Criterion) {
    let mut life = Life::begin();
    criterion.bench_function("machine: exited and spawned", |bencher| bencher.iter(|| life.crash_and_come_back()));
}

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan of 10,000");
    group.throughput(Throughput::Elements(MANY.into()));
    let state = many();
    let planned = Planned::follow(&state).expect("make a manager");
    group.bench_function("nothing changed", |bencher| bencher.iter(|| planned.steps()));
    // Equal, but not the same in memory: what a host makes that declares everything again.
    let again = state.list();
    state.replace_all([]).expect("remove all");
    state.replace_all(again).expect("declare the proxies again");
    group.bench_function("declared again", |bencher| bencher.iter(|| planned.steps()));
    state.set("proxy-5000", config(5000, 1)).expect("change a proxy");
    group.bench_function("one changed as well", |bencher| bencher.iter(|| planned.steps()));
    let changed = (0..MANY).map(|id| (format!("proxy-{id}"), config(id, 1)));
    state.replace_all(changed).expect("change all proxies");
    group.bench_function("all changed", |bencher| bencher.iter(|| planned.steps()));
}

fn snapshot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot of 10,000");
    let entries = Entries::of(&many());
    let text = entries.encode();
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(20);
    group.bench_function("encode", |bencher| bencher.iter(|| entries.encode()));
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

criterion_group!(benches, machine, plan, snapshot, state);
criterion_main!(benches);

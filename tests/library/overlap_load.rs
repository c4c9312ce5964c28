// SPDX-License-Identifier: MPL-2.0
//! A client that connects all the time to a proxy that is replaced again and again by overlap.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proxyprocess::{EventKind, ProxyConfig, Ready, Replace};

use crate::inside::{Host, helper, quick};
use crate::support::{OVERLAPS, Scene};

/// What became of the connections: served, refused, and those that the kernel aborted, for they were in the queue of a listener
/// when it was closed (`tcp_migrate_req` in the kernel's ip-sysctl.rst).
#[derive(Debug, Default)]
struct Count {
    served: u32,
    refused: u32,
    aborted: u32,
}

/// One that is aborted before its handshake has ended is not reset: its client takes it for established.
const ABORTED_SILENTLY: Duration = Duration::from_secs(2);

fn connect_until(ended: &AtomicBool, address: SocketAddr) -> Count {
    let mut count = Count::default();
    while !ended.load(Ordering::Relaxed) {
        let answer = TcpStream::connect(address).and_then(|mut stream| {
            stream.set_read_timeout(Some(ABORTED_SILENTLY))?;
            stream.read_exact(&mut [0])
        });
        match answer.map_err(|error| error.kind()) {
            Ok(()) => count.served += 1,
            Err(ErrorKind::ConnectionRefused) => count.refused += 1,
            Err(ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::WouldBlock) => count.aborted += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    count
}

#[test]
fn no_connection_is_refused_while_a_proxy_is_replaced_twenty_times() {
    let scene = Scene::of_library();
    let address = {
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        SocketAddr::from(([127, high | 0x40, middle, low], 17_590))
    };
    let serving = |version: u32| -> ProxyConfig {
        let config = helper(&scene, &["serve-beside", &address.to_string(), "3", &version.to_string()]);
        let mut config = config.with_ready(Ready::Fd(3)).with_replace(Replace::Overlap);
        config.command = config.command.env(OVERLAPS, "1");
        config
    };
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", serving(0));
    host.run();
    host.events.ready("web");
    let ended = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let ended = ended.clone();
            std::thread::spawn(move || connect_until(&ended, address))
        })
        .collect();
    for version in 1..=20 {
        host.set("web", serving(version));
        host.events.ready("web");
        host.events.until("the exit of the last one", |event| matches!(event.kind, EventKind::Exited { .. }));
    }
    ended.store(true, Ordering::Relaxed);
    for client in clients {
        let count = client.join().unwrap();
        assert_eq!(count.refused, 0, "{count:?}");
        assert!(count.served > 100, "{count:?}");
        println!("{count:?}");
    }
    assert_eq!(host.status("web").generation, Some(21));
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

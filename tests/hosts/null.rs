// SPDX-License-Identifier: MPL-2.0
//! Hosts without `/dev/null`: a minimal container, a chroot, or one where a script has made a regular file of it.

use std::ffi::CString;
use std::fs;
use std::io::Read;

use proxyprocess::Daemon;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use crate::hosts::life::in_a_host_by_root;
use crate::inside::{Host, Place, helper, inherited, quick};
use crate::support::Scene;

fn without_null(_place: &Place) {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .expect("keep mounts to this process");
    let scene = Scene::of_library();
    let options = CString::new("mode=0755").expect("no NUL");
    mount("none", "/dev", "tmpfs", MountFlags::empty(), options.as_c_str()).expect("hide /dev");
    for there_is_a_file in [false, true] {
        if there_is_a_file {
            fs::write("/dev/null", "what a script has written\n").unwrap();
        }
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("web", helper(&scene, &["run"]));
        host.run();
        let web = scene.reports.start("web");
        // Its input is at its end, and not what is in that file.
        let mut input = fs::File::open(format!("/proc/{}/fd/0", web.pid)).unwrap();
        let mut text = String::new();
        input.read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
        host.kill();

        // Output that goes nowhere needs the device, and its absence is named.
        let why = if there_is_a_file { "expected the null device" } else { "No such file or directory" };
        let daemon = Daemon::new("lost", inherited(&["run"]));
        daemon.start().unwrap();
        let error = daemon.status().last_error.expect("the status says why it does not run");
        assert!(error.contains(&format!("open /dev/null: {why}")), "{error}");
        daemon.stop().unwrap();
    }
    assert_eq!(fs::read_to_string("/dev/null").unwrap(), "what a script has written\n");
    scene.finish();
}

#[test]
fn host_without_dev_null_runs_proxies_that_have_logs_and_names_it_for_others() {
    let name = "hosts::null::host_without_dev_null_runs_proxies_that_have_logs_and_names_it_for_others";
    in_a_host_by_root(name, &["unshare", "--mount"], without_null);
}

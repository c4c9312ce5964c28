// SPDX-License-Identifier: MPL-2.0
//! nginx that puts itself into the background, as it does unless it is told not to: it writes its title over its
//! environment, so that nothing proves whose it is.

use std::fs;

use rustix::process::Signal;

use crate::real_proxies::programs::nginx_program;
use crate::real_proxies::traffic;
use crate::support::{Agent, Config, Process, Proxy, Scene, children_of, in_pid_namespace};

/// The scan of processes may come before the title is written, and then the process is proven and ended. So it is not known
/// which of the starts leaves one; but whichever does is named.
#[test]
fn nginx_in_the_background_is_named_by_the_stop_that_leaves_it() {
    let Some(program) = nginx_program() else { return };
    in_pid_namespace("real_proxies::background::nginx_in_the_background_is_named_by_the_stop_that_leaves_it", || {
        let scene = Scene::new();
        let (dir, listen) = (scene.path("nginx"), traffic::free_address());
        fs::create_dir(&dir).expect("make the directory of nginx");
        let text = format!(
            "worker_processes 1;\npid {dir}/nginx.pid;\nerror_log {dir}/error.log;\nevents {{ worker_connections 50; }}\n\
             http {{ access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n\
             fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n\
             server {{ listen {listen}; }} }}\n",
            dir = dir.display()
        );
        fs::write(dir.join("nginx.conf"), text).expect("write nginx.conf");
        let [dir, conf] = [dir.clone(), dir.join("nginx.conf")].map(|path| path.to_str().expect("UTF-8").to_owned());
        let web = Proxy::command(&[program, "-p", &dir, "-c", &conf, "-g", "user root;"]);
        let mut agent = Agent::start(&scene, &Config::scanning(&scene).proxy("web", web));
        let status = agent.status_when(&scene, "it is suspected", |status| {
            status.proxies.get("web").is_some_and(|web| web.hint.is_some())
        });
        let hint = status["web"].hint.as_deref().expect("a hint");
        assert!(hint.contains("if the program puts itself into the background"), "{hint}");

        agent.signal(Signal::QUIT);
        let ended = agent.end();
        // Orphans are children of this process.
        let own = Process::open(std::process::id()).expect("this process");
        let masters: Vec<Process> = children_of(&own).into_iter().filter(|child| !child.is_gone()).collect();
        let log = agent.log();
        assert_eq!(ended.success(), masters.is_empty(), "{log}");
        for master in masters {
            assert!(log.contains(&format!("stopped, but may have left pid {} (nginx: ", master.pid())), "{log}");
            let workers = children_of(&master);
            master.kill();
            workers.iter().for_each(Process::kill);
            scene.reports.adopt(&master);
            workers.iter().for_each(|worker| scene.reports.adopt(worker));
        }
        scene.finish();
    });
}

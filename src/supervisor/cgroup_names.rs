// SPDX-License-Identifier: MPL-2.0
//! The names of the cgroups of a manager and of its proxies.

use crate::store::id_file_names;
use crate::sys::digest;

/// How the name of a manager's directory begins, before its owner tag.
pub(super) const PREFIX: &str = "proxyprocess-";

/// How the name of a proxy's cgroup ends: no file of the kernel's does. During a handover a proxy has two; and in one there may
/// be a process that another agent has adopted, on a copy of the data directory.
pub(super) const SUFFIXES: [&str; 4] = [".proxy", ".proxy-2", ".proxy-3", ".proxy-4"];

/// How the name of one ends in which limits are tried. No process is ever in it.
pub(super) const TRIAL: &str = ".trial";

/// The longest part of an id that is in a name as it is.
const LONGEST_PART: usize = 180;

/// The name of a proxy's cgroup: no two ids have the same, and none is a path.
pub(super) fn name_of(id: &str, suffix: &str) -> String {
    let mut name = id_file_names::encode(id);
    if name.starts_with('.') {
        name.replace_range(..1, "%2E");
    }
    if name.len() > LONGEST_PART {
        let whole = digest::add(digest::EMPTY, id.as_bytes());
        name.truncate(LONGEST_PART);
        // No encoded id has a tilde.
        name.push_str(&format!("~{whole:016x}"));
    }
    name.push_str(suffix);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_readable_and_none_is_a_path_or_a_file_of_the_kernel() {
        let names = [
            ("web", "web.proxy"),
            ("a/b", "a%2Fb.proxy"),
            ("..", "%2E..proxy"),
            ("cgroup.procs", "cgroup.procs.proxy"),
            ("a%2Fb", "a%252Fb.proxy"),
            ("two words", "two%20words.proxy"),
        ];
        for (id, name) in names {
            assert_eq!(name_of(id, ".proxy"), name);
        }
        let long = name_of(&"ä".repeat(512), ".proxy-2");
        assert!(long.len() <= 255 && long.contains('~'), "{long}");
    }

    proptest! {
        #[test]
        fn no_two_ids_have_the_same_name(one in ".{0,40}|[./%a]{1,8}", other in ".{0,40}|[./%a]{1,8}") {
            prop_assert_eq!(one == other, name_of(&one, ".proxy") == name_of(&other, ".proxy"));
        }
    }
}

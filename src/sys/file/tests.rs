// SPDX-License-Identifier: MPL-2.0
//! Real files, in directories of their own.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

#[test]
fn pipe_is_opened_for_appending_only_with_a_reader_and_then_blocks() {
    let place = tempfile::tempdir().unwrap();
    let pipe = place.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    assert_eq!(open_append(&pipe).unwrap_err().raw_os_error(), Some(libc::ENXIO));
    let _reader = rustix::fs::open(
        &pipe,
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    );
    let flags = rustix::fs::fcntl_getfl(open_append(&pipe).unwrap()).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK) && flags.contains(rustix::fs::OFlags::APPEND));
}

#[test]
fn links_and_pipes_in_place_of_files_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let dir = Dir::open(place.path()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", place.path().join("link")).unwrap();
    rustix::fs::mknodat(&dir, "pipe", rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    assert_eq!(dir.open_file(c"link", libc::O_RDONLY).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    assert!(dir.open_file(c"pipe", libc::O_WRONLY | libc::O_APPEND).is_err());
    assert!(dir.open_file(c"pipe", libc::O_RDONLY).is_err());
    assert!(dir.open_or_create_dir(c"link").is_err());
    for name in ["pipe", "."] {
        assert_eq!(read_regular(&place.path().join(name), 9).unwrap_err().to_string(), "not a regular file");
    }
}

#[test]
fn a_file_is_replaced_whole_and_private() {
    let place = tempfile::tempdir().unwrap();
    let dir = Dir::open(place.path()).unwrap();
    dir.replace(c".t", c"file", b"one").unwrap();
    dir.replace(c".t", c"file", b"two").unwrap();
    assert_eq!(dir.read(c"file", 3).unwrap(), b"two");
    assert!(dir.read(c"file", 2).is_err());
    assert_eq!(std::fs::metadata(place.path().join("file")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(dir.list().unwrap(), ["file"]);
    dir.remove(c"file").unwrap();
    dir.remove(c"file").unwrap();
}

#[test]
fn a_file_is_rewritten_in_its_own_place_if_it_is_as_long_and_ours_alone() {
    let place = tempfile::tempdir().unwrap();
    let dir = Dir::open(place.path()).unwrap();
    dir.rewrite(c".t", c"file", b"12345").unwrap();
    for (content, is_same) in [("67890", true), ("678", false), ("1234567", false), ("7654321", true)] {
        // Open, so that its inode is not given to the next one.
        let _before = dir.open_file(c"file", libc::O_RDONLY).unwrap();
        let inode = dir.inode(c"file").unwrap();
        dir.rewrite(c".t", c"file", content.as_bytes()).unwrap();
        assert_eq!(dir.read(c"file", 9).unwrap(), content.as_bytes());
        assert_eq!(dir.inode(c"file").unwrap() == inode, is_same, "{content}");
    }
    dir.link(c"file", c"other").unwrap();
    dir.rewrite(c".t", c"file", b"0000000").unwrap();
    assert_eq!((dir.read(c"other", 9).unwrap(), dir.read(c"file", 9).unwrap()), (b"7654321".into(), b"0000000".into()));
    dir.remove(c"other").unwrap();
    dir.remove(c"file").unwrap();
    dir.open_or_create_dir(c"file").unwrap();
    assert_eq!(dir.rewrite(c".t", c"file", b"").unwrap_err().raw_os_error(), Some(libc::EISDIR));
    assert_eq!(dir.list().unwrap(), ["file"]);
    // Nothing can be moved to where a directory is.
    std::fs::remove_dir(place.path().join("file")).unwrap();
    dir.rewrite(c".t", c"file", b"123").unwrap();
    dir.open_or_create_dir(c".t").unwrap();
    dir.rewrite(c".t", c"file", b"456").unwrap();
    assert_eq!(dir.read(c"file", 9).unwrap(), b"456");
    assert_eq!(dir.rewrite(c".t", c"file", b"7890").unwrap_err().raw_os_error(), Some(libc::EEXIST));
    assert_eq!(dir.read(c"file", 9).unwrap(), b"");
}

#[test]
fn reader_of_a_rewritten_file_sees_the_old_none_or_the_new() {
    let place = tempfile::tempdir().unwrap();
    let dir = Dir::open(place.path()).unwrap();
    dir.rewrite(c".t", c"file", b"1111111\n").unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                seen.extend(dir.read(c"file", 99).ok());
            }
            seen
        });
        let rewritten = (0..9999).try_for_each(|round| {
            let content = ["2222222\n", "1111111\n", "33333\n"][if round % 100 == 0 { 2 } else { round % 2 }];
            dir.rewrite(c".t", c"file", content.as_bytes())
        });
        // Before anything here may panic: the reader would go on for ever.
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        rewritten.unwrap();
        let seen = reader.join().unwrap();
        assert!(seen.iter().all(|text| matches!(&text[..], b"1111111\n" | b"2222222\n" | b"33333\n")), "{seen:?}");
        assert!(seen.len() > 1, "{seen:?}");
    });
}

#[test]
fn a_directory_that_others_may_write_to_is_refused_and_one_they_may_read_is_closed() {
    let place = tempfile::tempdir().unwrap();
    let dir = Dir::open(place.path()).unwrap();
    let chmod = |mode| std::fs::set_permissions(place.path(), PermissionsExt::from_mode(mode)).unwrap();
    chmod(0o770);
    assert!(dir.make_private().unwrap_err().to_string().contains("mode 0770"));
    chmod(0o755);
    dir.make_private().unwrap();
    assert_eq!(std::fs::metadata(place.path()).unwrap().mode() & 0o777, 0o700);
}

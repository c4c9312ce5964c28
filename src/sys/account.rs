// SPDX-License-Identifier: MPL-2.0
//! What the user database says about a user (nsswitch.conf(5)). The answer may come from a service on this or another
//! machine, and the C library waits for it as long as the service is configured to: never call it on a thread that must
//! not block.

use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::fork_safe::PerProcess;
use super::lookup_turn::LookupTurn;

/// A user, as a process of it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// All groups of which it is a member, `gid` included.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: OsString,
}

/// Enough for any entry that is meant, and for all but few groups.
const LARGEST_ENTRY: usize = 1 << 20;

/// The most groups that a process can have (`NGROUPS_MAX`).
const MOST_GROUPS: c_int = 65536;

/// That of the threads that ask the user database.
static TURN: PerProcess<LookupTurn> = PerProcess::new(LookupTurn::default);

/// Looks a user up, and the group that is to be its first in place of its own, if one is named. While another thread asks it
/// waits, unless that has had no answer for as long as `patience`.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] without an errno: there is no such user or group. [`io::ErrorKind::TimedOut`] without an errno:
/// another thread has had no answer for so long. Others: it could not be found out. Each has the field and the name.
pub(crate) fn look_up(user: &str, group: Option<&str>, patience: Duration) -> io::Result<Account> {
    TURN.get().take(patience, || ask(user, group)).unwrap_or_else(|busy| {
        let message = format!("look up user {user}: the user database has not answered another look-up for {busy:.0?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    })
}

fn ask(user: &str, group: Option<&str>) -> io::Result<Account> {
    let name = c_name(user)?;
    let entry = entry(|buffer| {
        let (mut entry, mut found) = (MaybeUninit::<libc::passwd>::uninit(), std::ptr::null_mut());
        let (text, length) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: all pointers are to live memory of this length, and the name is NUL-terminated.
        let result = unsafe { libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), text, length, &mut found) };
        if found.is_null() {
            return Err(result);
        }
        // SAFETY: the call has found an entry and written it.
        let entry = unsafe { entry.assume_init() };
        // A service that knows no home may leave it NULL.
        let home = if entry.pw_dir.is_null() {
            c""
        } else {
            // SAFETY: the entry's text is NUL-terminated and in `buffer`, which lives.
            unsafe { CStr::from_ptr(entry.pw_dir) }
        };
        Ok((entry.pw_uid, entry.pw_gid, OsString::from_vec(home.to_bytes().to_vec())))
    });
    let (uid, own_group, home) = entry.map_err(|error| about("user", user, &error))?;
    let gid = group.map_or(Ok(own_group), group_id)?;
    let groups = groups(&name, gid).map_err(|error| about("groups of user", user, &error))?;
    refuse_unchanged(uid, gid, &groups).map_err(|error| about("user", user, &error))?;
    Ok(Account { uid, gid, groups, home })
}

/// The uid and gid that say to leave what a process has as it is (setresuid(2)): with them it would stay root.
pub(crate) const UNCHANGED: u32 = u32::MAX;

/// Refuses numbers that no user or group can have.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`], naming which it is.
pub(crate) fn refuse_unchanged(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    let which = match () {
        () if uid == UNCHANGED => "uid",
        () if gid == UNCHANGED => "gid",
        () if groups.contains(&UNCHANGED) => "gid of a supplementary group",
        () => return Ok(()),
    };
    let message = format!("{which}: expected a whole number from 0 to {}, got {UNCHANGED}", UNCHANGED - 1);
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

fn group_id(group: &str) -> io::Result<u32> {
    let name = c_name(group)?;
    let id = entry(|buffer| {
        let (mut entry, mut found) = (MaybeUninit::<libc::group>::uninit(), std::ptr::null_mut());
        let (text, length) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: all pointers are to live memory of this length, and the name is NUL-terminated.
        let result = unsafe { libc::getgrnam_r(name.as_ptr(), entry.as_mut_ptr(), text, length, &mut found) };
        // SAFETY: an entry that was found has been written.
        if found.is_null() { Err(result) } else { Ok(unsafe { entry.assume_init() }.gr_gid) }
    });
    id.map_err(|error| about("group", group, &error))
}

/// Has `read` read an entry into a buffer that is large enough.
fn entry<T>(mut read: impl FnMut(&mut [c_char]) -> Result<T, c_int>) -> io::Result<T> {
    let mut size = 1024;
    loop {
        match read(&mut vec![0; size]) {
            Ok(entry) => return Ok(entry),
            Err(libc::ERANGE) if size < LARGEST_ENTRY => size *= 4,
            Err(libc::EINTR) => {}
            // getpwnam(3): none is found, in the words of one source or another.
            Err(0 | libc::ENOENT | libc::ESRCH) => return Err(io::ErrorKind::NotFound.into()),
            Err(errno) => return Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

fn groups(user: &CStr, gid: u32) -> io::Result<Vec<u32>> {
    let mut room: c_int = 64;
    loop {
        let (mut groups, mut count) = (vec![0u32; room as usize], room);
        // SAFETY: the pointer is to live memory for `count` ids, and the name is NUL-terminated.
        let got = unsafe { libc::getgrouplist(user.as_ptr(), gid, groups.as_mut_ptr(), &mut count) };
        if got >= 0 {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            return Ok(groups);
        }
        if room >= MOST_GROUPS {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // Some C libraries do not say how many there are.
        room = count.max(room * 4).min(MOST_GROUPS);
    }
}

fn c_name(name: &str) -> io::Result<CString> {
    CString::new(name).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn about(what: &str, name: &str, error: &io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound if error.raw_os_error().is_none() => {
            io::Error::new(error.kind(), format!("{what} {name}: there is none of this name"))
        }
        _ => io::Error::new(error.kind(), format!("look up {what} {name}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_its_numbers_its_groups_and_its_home() {
        let root = look_up("root", None, Duration::MAX).unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert!(root.groups.contains(&0));
        assert!(!root.home.is_empty());
        let other = std::fs::read_to_string("/etc/group").unwrap();
        let other = other.lines().filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?, fields.nth(1)?.parse::<u32>().ok()?))
        });
        let (name, gid) = other.into_iter().find(|(_, gid)| *gid != 0).unwrap();
        let other = look_up("root", Some(name), Duration::MAX).unwrap();
        assert_eq!((other.uid, other.gid), (0, gid));
        assert!(other.groups.contains(&gid));
    }

    #[test]
    fn a_number_that_would_change_no_user_or_group_is_refused_and_named() {
        assert!(refuse_unchanged(0, 0, &[0, UNCHANGED - 1]).is_ok());
        let all =
            [(UNCHANGED, 1, 1, "uid"), (1, UNCHANGED, 1, "gid"), (1, 1, UNCHANGED, "gid of a supplementary group")];
        for (uid, gid, group, which) in all {
            let error = refuse_unchanged(uid, gid, &[1, group]).unwrap_err();
            let error = about("user", "web", &error).to_string();
            let expected =
                format!("look up user web: {which}: expected a whole number from 0 to 4294967294, got 4294967295");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_said_to_be_missing() {
        let user = look_up("no-such-user", None, Duration::MAX).unwrap_err();
        assert_eq!((user.kind(), user.raw_os_error()), (io::ErrorKind::NotFound, None));
        assert_eq!(user.to_string(), "user no-such-user: there is none of this name");
        let group = look_up("root", Some("no-such-group"), Duration::MAX).unwrap_err();
        assert_eq!(group.to_string(), "group no-such-group: there is none of this name");
    }

    #[test]
    fn an_entry_that_is_too_long_for_the_buffer_is_read_into_a_larger_one() {
        let mut sizes = vec![];
        let read = entry(|buffer| {
            sizes.push(buffer.len());
            if buffer.len() < 10_000 { Err(libc::ERANGE) } else { Ok(()) }
        });
        read.unwrap();
        assert_eq!(sizes, [1024, 4096, 16384]);
        let endless = entry(|_| Err::<(), _>(libc::ERANGE));
        assert_eq!(endless.unwrap_err().raw_os_error(), Some(libc::ERANGE));
    }
}

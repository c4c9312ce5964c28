// SPDX-License-Identifier: MPL-2.0
//! Which data directory a process belongs to: the owner tag in its environment, if it is that of a directory.

use std::fmt;
use std::io;

use crate::sys::file::Dir;

/// A directory of this machine: device and inode, and when it was made, for the inode of one that was removed is given to
/// another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirectoryId {
    device: u64,
    inode: u64,
    /// In nanoseconds. Not where the file system does not tell, nor in owner tags of earlier versions.
    born: Option<u64>,
}

impl DirectoryId {
    pub(crate) fn of(dir: &Dir) -> io::Result<DirectoryId> {
        let (device, inode) = dir.own_inode()?;
        Ok(DirectoryId { device, inode, born: dir.born()? })
    }

    /// The directory that an owner tag names; `None` for one that was drawn.
    pub(crate) fn parse(owner_tag: &str) -> Option<DirectoryId> {
        let mut numbers = owner_tag.split('-').map(|part| u64::from_str_radix(part, 16).ok());
        let (device, inode) = (numbers.next()??, numbers.next()??);
        let born = match numbers.next() {
            Some(born) => Some(born?),
            None => None,
        };
        numbers.next().is_none().then_some(DirectoryId { device, inode, born })
    }

    /// Device and inode.
    pub(crate) fn file_id(self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether both are the same directory, as far as both say.
    pub(crate) fn is(self, other: DirectoryId) -> bool {
        let may_be_born = self.born.zip(other.born).is_none_or(|(one, other)| one == other);
        self.file_id() == other.file_id() && may_be_born
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.device, self.inode)?;
        self.born.map_or(Ok(()), |born| write!(f, "-{born:x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_id_comes_back_and_a_drawn_origin_is_none() {
        for (text, born) in [("fe01-2a-17c0ffee", Some(0x17c0_ffee)), ("fe01-2a", None)] {
            let id = DirectoryId::parse(text).unwrap();
            assert_eq!((id.file_id(), id.born), ((0xfe01, 0x2a), born));
            assert_eq!(id.to_string(), text);
        }
        let drawn = crate::sys::random::uuid().unwrap();
        for other in ["", "-", "1", "1-", "x-1", "1-2-", "1-2-x", "1-2-3-4", "1--2", &drawn] {
            assert_eq!(DirectoryId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn inode_given_to_another_directory_is_not_the_same_directory() {
        let parse = |text| DirectoryId::parse(text).unwrap();
        assert!(
            parse("1-2-3").is(parse("1-2-3")) && parse("1-2").is(parse("1-2-3")) && parse("1-2-3").is(parse("1-2"))
        );
        assert!(!parse("1-2-3").is(parse("1-2-4")) && !parse("1-2").is(parse("1-3")) && !parse("1-2").is(parse("2-2")));
    }

    #[test]
    fn origin_of_a_directory_is_the_same_under_another_name_and_that_of_a_copy_is_not() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            std::fs::create_dir(place.path().join(name)).unwrap();
            DirectoryId::of(&Dir::open(&place.path().join(name)).unwrap()).unwrap()
        };
        let (one, other) = (make("one"), make("other"));
        std::fs::rename(place.path().join("one"), place.path().join("moved")).unwrap();
        let moved = DirectoryId::of(&Dir::open(&place.path().join("moved")).unwrap()).unwrap();
        assert_eq!(one, moved);
        assert!(!one.is(other));
        assert_eq!(DirectoryId::parse(&one.to_string()), Some(one));
    }
}

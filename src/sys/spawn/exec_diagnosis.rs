// SPDX-License-Identifier: MPL-2.0
//! Why a program could not be executed, as far as it can be seen afterwards.
//!
//! execve(2) says the same of a program that is missing, of one whose interpreter is, and of a command line in one word.
//! So, after it has failed, the file is examined: briefly, and without opening what could hold us up.

use std::ffi::{CString, OsStr};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::excerpt;

/// How much of a file is read: as much as the kernel reads of a `#!` line.
const HEAD: usize = 256;

/// How much of a `PATH` is shown, in bytes.
const SHOWN: usize = 200;

/// What was tried.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    /// The first word of the command.
    pub(crate) name: &'a OsStr,
    /// The files that were tried in turn: one, or one for each directory of the `PATH` of the process.
    pub(crate) programs: Vec<&'a Path>,
    /// The directory of the process; nothing where it is the agent's.
    pub(crate) dir: Option<&'a Path>,
}

impl Attempt<'_> {
    /// Why it failed with this errno. `None` if nothing can be seen, or not any more.
    pub(crate) fn why(&self, errno: i32) -> Option<String> {
        if ![libc::ENOENT, libc::EACCES, libc::ENOEXEC].contains(&errno) {
            return None;
        }
        let seen = self.programs.iter().find_map(|program| self.examine(program, errno));
        seen.or_else(|| (errno == libc::ENOENT).then(|| self.missing()).flatten())
    }

    /// With which errno it will fail, where that can be seen without trying: no file is there that it could be, or none that
    /// anyone may execute.
    pub(crate) fn foreseen(&self) -> Option<i32> {
        let of_each = self.programs.iter().map(|program| match fs::metadata(self.as_seen_here(program)) {
            Ok(file) => forbidden(&file).or_else(|| on_noexec(&self.as_seen_here(program))).map(|_| libc::EACCES),
            Err(error) => error.raw_os_error().filter(|errno| matches!(*errno, libc::ENOENT | libc::ENOTDIR)),
        });
        let all: Option<Vec<i32>> = of_each.collect();
        let all = all.filter(|all| !all.is_empty())?;
        Some(if all.contains(&libc::EACCES) { libc::EACCES } else { libc::ENOENT })
    }

    /// What is wrong with a file that is there.
    fn examine(&self, program: &Path, errno: i32) -> Option<String> {
        let path = self.as_seen_here(program);
        let file = fs::metadata(&path).ok()?;
        match errno {
            libc::ENOENT => self.missing_interpreter(&read_head(&path).ok()?),
            libc::EACCES => forbidden(&file)
                .or_else(|| on_noexec(&path))
                .map(str::to_owned)
                .or_else(|| self.forbidden_interpreter(&path)),
            _ if file.is_file() => Some(unknown_format(&read_head(&path).ok()?).to_owned()),
            _ => None,
        }
    }

    fn missing_interpreter(&self, head: &[u8]) -> Option<String> {
        let Some(interpreter) = interpreter(head) else {
            return needs_loader(head).then(|| "its dynamic loader is missing".to_owned());
        };
        is_missing(&self.as_seen_here(interpreter))
            .then(|| format!("its interpreter {} is missing", shown(interpreter)))
    }

    fn forbidden_interpreter(&self, path: &Path) -> Option<String> {
        let head = read_head(path).ok()?;
        let interpreter = interpreter(&head)?;
        let place = self.as_seen_here(interpreter);
        let why = forbidden(&fs::metadata(&place).ok()?).or_else(|| on_noexec(&place))?;
        Some(format!("its interpreter {} {why}", shown(interpreter)))
    }

    /// What is said when no file is there.
    fn missing(&self) -> Option<String> {
        let [program] = self.programs[..] else { return self.missing_in_path() };
        if !self.name.as_bytes().contains(&b'/') {
            return self.missing_in_path();
        }
        let path = self.as_seen_here(program);
        if !is_missing(&path) {
            return None;
        }
        let what = match fs::read_link(&path) {
            Ok(target) => format!("a link to {}, which is missing", shown(&target)),
            Err(_) => "no such file".to_owned(),
        };
        let relative = program.is_relative().then(|| self.dir.map_or_else(agents_directory, Path::to_owned));
        let relative = relative.map(|dir| format!(" (relative to {})", shown(&dir))).unwrap_or_default();
        Some(format!("{what}{relative}{}", self.hint()))
    }

    fn missing_in_path(&self) -> Option<String> {
        if !self.programs.iter().all(|program| is_missing(&self.as_seen_here(program))) {
            return None;
        }
        let dirs: Vec<&OsStr> =
            self.programs.iter().filter_map(|program| Some(program.parent()?.as_os_str())).collect();
        let path = dirs.join(OsStr::new(":"));
        let cut = path.as_bytes().get(..SHOWN).map(|start| format!("{}...", shown(OsStr::from_bytes(start))));
        Some(format!("not found in PATH ({}){}", cut.unwrap_or_else(|| shown(&path)), self.hint()))
    }

    /// For a declaration with program and arguments in one word.
    fn hint(&self) -> &'static str {
        let words = self.name.as_bytes().split(u8::is_ascii_whitespace).next();
        let first = words.filter(|first| !first.is_empty() && first.len() < self.name.len()).map(OsStr::from_bytes);
        let is_there = |first: &OsStr| {
            let places = self.programs.iter().map(|program| match self.name.as_bytes().contains(&b'/') {
                true => PathBuf::from(first),
                false => program.with_file_name(first),
            });
            places
                .map(|place| self.as_seen_here(&place))
                .any(|place| fs::metadata(place).is_ok_and(|file| file.is_file()))
        };
        if first.is_some_and(is_there) { ", but its first word is there: arguments are words of their own" } else { "" }
    }

    /// The path as this process reaches what the child meant by it.
    fn as_seen_here(&self, path: &Path) -> PathBuf {
        self.dir.map_or_else(|| path.to_owned(), |dir| dir.join(path))
    }
}

fn agents_directory() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| ".".into())
}

fn is_missing(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|error| matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)))
}

fn shown(text: impl AsRef<OsStr>) -> String {
    excerpt(&text.as_ref().to_string_lossy()).to_string()
}

/// The beginning of a regular file.
fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    let is_file = |file: &Metadata| if file.is_file() { Ok(()) } else { Err(io::ErrorKind::InvalidInput) };
    // Also before it is opened: to open a device may do something.
    is_file(&fs::metadata(path)?)?;
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    is_file(&file.metadata()?)?;
    let mut head = Vec::with_capacity(HEAD);
    file.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Why a file may not be executed.
fn forbidden(file: &Metadata) -> Option<&'static str> {
    if file.is_dir() {
        Some("is a directory")
    } else if !file.is_file() {
        Some("is no regular file")
    } else {
        (file.permissions().mode() & 0o111 == 0).then_some("is not executable")
    }
}

/// Whether nothing of its file system may be executed (mount(8), noexec).
fn on_noexec(path: &Path) -> Option<&'static str> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut found = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: a string that ends with NUL, and room for what the call writes.
    let result = unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) };
    // SAFETY: zeroed memory is a valid struct statvfs.
    let flags = unsafe { found.assume_init() }.f_flag;
    (result == 0 && flags & libc::ST_NOEXEC != 0).then_some("is on a file system that is mounted with noexec")
}

/// The program that a `#!` line names.
fn interpreter(head: &[u8]) -> Option<&Path> {
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n' || byte == 0).next()?;
    // Not `\r`: to the kernel it is a part of the name.
    let mut words = line.split(|&byte| byte == b' ' || byte == b'\t');
    words.find(|word| !word.is_empty()).map(|word| Path::new(OsStr::from_bytes(word)))
}

/// Whether a file is for ELF machines of 64 bits, and is loaded by another program that it names.
fn needs_loader(head: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let at = |offset: usize, length: usize| {
        let bytes = head.get(offset..offset.checked_add(length)?)?;
        let value = |value: u64, (index, &byte): (usize, &u8)| value | u64::from(byte) << (8 * index);
        let mut native = bytes.to_vec();
        if cfg!(target_endian = "big") {
            native.reverse();
        }
        Some(native.iter().enumerate().fold(0, value))
    };
    if !head.starts_with(b"\x7fELF\x02") {
        return false;
    }
    let (Some(table), Some(size), Some(count)) = (at(32, 8), at(54, 2), at(56, 2)) else { return false };
    (0..count).any(|index| {
        let offset = usize::try_from(table.saturating_add(index.saturating_mul(size)));
        offset.is_ok_and(|offset| at(offset, 4) == Some(INTERPRETER.into()))
    })
}

fn unknown_format(head: &[u8]) -> &'static str {
    match head {
        [] => "is empty",
        [b'#', b'!', ..] => "its #! line names no interpreter",
        [0x7f, b'E', b'L', b'F', ..] => "is damaged, or for another kind of machine",
        _ => "no #! line and no known format",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;
    use std::os::unix::fs::symlink;

    /// What is said of a file of this content and mode.
    fn of_file(content: &[u8], mode: u32, errno: i32) -> Option<String> {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("program");
        fs::write(&program, content).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        of(program.to_str().unwrap(), None, errno)
    }

    fn of(name: &str, dir: Option<&Path>, errno: i32) -> Option<String> {
        Attempt { name: name.as_ref(), programs: vec![name.as_ref()], dir }.why(errno)
    }

    fn in_path(name: &str, path: &[&str], dir: Option<&Path>) -> Option<String> {
        let programs: Vec<PathBuf> = path.iter().map(|dir| Path::new(dir).join(name)).collect();
        let programs = programs.iter().map(PathBuf::as_path).collect();
        Attempt { name: name.as_ref(), programs, dir }.why(libc::ENOENT)
    }

    #[test]
    fn a_missing_program_is_said_to_be_and_where() {
        let place = tempfile::tempdir().unwrap();
        let (within, at) = (Some(place.path()), place.path().display());
        assert_eq!(of("/no/such", within, libc::ENOENT).unwrap(), "no such file");
        assert_eq!(of("bin/x", within, libc::ENOENT).unwrap(), format!("no such file (relative to {at})"));
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            of("./no such", None, libc::ENOENT).unwrap(),
            format!("no such file (relative to {})", here.display())
        );
        symlink("/gone\n", place.path().join("link")).unwrap();
        let link = "a link to /gone\\n, which is missing";
        assert_eq!(of("./link", within, libc::ENOENT).unwrap(), format!("{link} (relative to {at})"));
        assert_eq!(in_path("no-such", &["/bin", "/no"], None).unwrap(), "not found in PATH (/bin:/no)");
        assert_eq!(in_path("no-such", &["."], within).unwrap(), "not found in PATH (.)");
        let long = format!("/{}", "ä".repeat(60));
        let shown = format!("not found in PATH ({long}:/{}\u{fffd}...)", "ä".repeat(38));
        assert_eq!(in_path("no-such", &[&long, &long], None).unwrap(), shown);
    }

    #[test]
    fn exec_is_foreseen_to_fail_only_where_no_file_could_be_executed() {
        let place = tempfile::tempdir().unwrap();
        let dir = Some(place.path());
        let foreseen = |programs: &[&str], dir| {
            let programs = programs.iter().map(Path::new).collect();
            Attempt { name: "x".as_ref(), programs, dir }.foreseen()
        };
        fs::write(place.path().join("plain"), "").unwrap();
        fs::set_permissions(place.path().join("plain"), fs::Permissions::from_mode(0o644)).unwrap();
        symlink("/gone", place.path().join("link")).unwrap();
        for missing in [&["/no/such"][..], &["no/x", "link"], &["plain/x"]] {
            assert_eq!(foreseen(missing, dir), Some(libc::ENOENT), "{missing:?}");
        }
        for forbidden in [&["plain"][..], &["/"], &["no/x", "/dev/null"]] {
            assert_eq!(foreseen(forbidden, dir), Some(libc::EACCES), "{forbidden:?}");
        }
        for possible in [&["/bin/sh"][..], &["no/x", "plain", "/bin/sh"], &[]] {
            assert_eq!(foreseen(possible, dir), None, "{possible:?}");
        }
    }

    #[test]
    fn file_on_a_file_system_without_execution_is_foreseen_not_to_be_executed() {
        let place = tempfile::tempdir().unwrap();
        let at = CString::new(place.path().as_os_str().as_bytes()).unwrap();
        // A thread of its own, for its mounts end with it.
        let found = std::thread::spawn(move || {
            let mount = |kind: *const libc::c_char, at: &CStr, flags| {
                // SAFETY: strings that end with NUL, or none; the mounts are those of this thread alone.
                unsafe { libc::mount(kind, at.as_ptr(), kind, flags, std::ptr::null()) == 0 }
            };
            // SAFETY: changes what this thread alone sees, which does nothing else.
            let is_alone = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
            let is_mounted = is_alone
                && mount(std::ptr::null(), c"/", libc::MS_REC | libc::MS_PRIVATE)
                && mount(c"tmpfs".as_ptr(), &at, libc::MS_NOEXEC);
            is_mounted.then(|| {
                let program = place.path().join("program");
                fs::write(&program, "#!/bin/sh\n").unwrap();
                fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
                let attempt = Attempt { name: program.as_os_str(), programs: vec![&program], dir: None };
                let refused = std::process::Command::new(&program).status().unwrap_err();
                (refused.raw_os_error(), attempt.foreseen(), attempt.why(libc::EACCES))
            })
        });
        let Some((refused, foreseen, why)) = found.join().unwrap() else { return }; // not as this user
        assert_eq!((refused, foreseen), (Some(libc::EACCES), Some(libc::EACCES)));
        assert_eq!(why.as_deref(), Some("is on a file system that is mounted with noexec"));
    }

    #[test]
    fn a_command_line_in_one_word_is_recognized() {
        let hint = ", but its first word is there: arguments are words of their own";
        assert_eq!(in_path("sh -c x", &["/no", "/bin"], None).unwrap(), format!("not found in PATH (/no:/bin){hint}"));
        assert_eq!(of("/bin/sh -c x", None, libc::ENOENT).unwrap(), format!("no such file{hint}"));
        let within = Some(Path::new("/"));
        let relative = of("bin/sh -c /x", within, libc::ENOENT).unwrap();
        assert_eq!(relative, format!("no such file (relative to /){hint}"));
        for none in ["/no/such -c", " /bin/sh", "/bin -c"] {
            assert!(!of(none, within, libc::ENOENT).unwrap().contains(hint), "{none}");
        }
    }

    #[test]
    fn an_interpreter_that_is_missing_is_named() {
        let missing = |content: &[u8]| of_file(content, 0o755, libc::ENOENT);
        let told = |name: &str| Some(format!("its interpreter {name} is missing"));
        assert_eq!(missing(b"#!/no/such -x\nexit"), told("/no/such"));
        assert_eq!(missing(b"#! \t/no/such"), told("/no/such"));
        assert_eq!(missing(b"#!/bin/sh\r\nexit\r\n"), told("/bin/sh\\r"));
        assert_eq!(missing(b"#!/bin/sh\n"), None, "it has come meanwhile");
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("x"), "#!own/interpreter").unwrap();
        assert_eq!(of("./x", Some(place.path()), libc::ENOENT), told("own/interpreter"));
        assert_eq!(in_path("x", &["/no", "."], Some(place.path())), told("own/interpreter"));
        fs::create_dir(place.path().join("own")).unwrap();
        fs::write(place.path().join("own/interpreter"), "").unwrap();
        assert_eq!(of("./x", Some(place.path()), libc::ENOENT), None);
    }

    #[test]
    fn a_loader_that_is_missing_is_recognized() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let dynamic = needs_loader(&own[..HEAD]);
        assert_eq!(of_file(&own[..HEAD], 0o755, libc::ENOENT).is_some(), dynamic);
        // A header whose program headers are beyond what is read, or beyond everything.
        let mut header = own[..64].to_vec();
        assert!(!needs_loader(&header));
        header[32..40].fill(0xff);
        assert!(!needs_loader(&header));
        assert!(!needs_loader(&header[..20]));
    }

    #[test]
    fn file_that_may_not_be_executed_is_named() {
        assert_eq!(of("/", None, libc::EACCES).unwrap(), "is a directory");
        assert_eq!(of("/dev/null", None, libc::EACCES).unwrap(), "is no regular file");
        assert_eq!(of_file(b"", 0o644, libc::EACCES).unwrap(), "is not executable");
        assert_eq!(of_file(b"#!/bin/sh", 0o700, libc::EACCES), None);
        let told = of_file(b"#!/etc", 0o700, libc::EACCES).unwrap();
        assert_eq!(told, "its interpreter /etc is a directory");
    }

    #[test]
    fn what_is_no_program_is_said_to_be_that() {
        let told = |content: &[u8]| of_file(content, 0o755, libc::ENOEXEC).unwrap();
        assert_eq!(told(b"echo"), "no #! line and no known format");
        assert_eq!(told(b""), "is empty");
        assert_eq!(told(b"#! \n/bin/sh"), "its #! line names no interpreter");
        assert_eq!(told(b"\x7fELF"), "is damaged, or for another kind of machine");
        assert_eq!(of_file(b"echo", 0o755, libc::EAGAIN), None);
    }

    #[test]
    fn nothing_is_opened_that_could_hold_us_up() {
        let place = tempfile::tempdir().unwrap();
        let pipe = place.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        let script = place.path().join("script");
        fs::write(&script, format!("#!{}", pipe.display())).unwrap();
        for errno in [libc::ENOENT, libc::EACCES, libc::ENOEXEC] {
            let told = of(pipe.to_str().unwrap(), None, errno);
            assert_eq!(told.as_deref(), (errno == libc::EACCES).then_some("is no regular file"));
            assert!(read_head(&pipe).is_err());
        }
    }
}

// SPDX-License-Identifier: MPL-2.0
//! A descriptor of the host as output: checked, and duplicated once for each open file, however many proxies share it.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::invalid;
use crate::command::{HostDescriptor, Output};
use crate::error::{Error, ErrorCode, Result};
use crate::sys::fd;
use crate::sys::fork_safe::PerProcess;

/// The duplicates in use, by device and inode.
type Shared = HashMap<(u64, u64), Vec<Weak<OwnedFd>>>;

static SHARED: PerProcess<Mutex<Shared>> = PerProcess::new(Mutex::default);

impl Output {
    /// Sends the output to a descriptor of the host: a file, a pipe, a socket, a terminal. The descriptor is duplicated
    /// (close-on-exec), so the host may close its own, and each start of the proxy gets it. Proxies that are declared
    /// with the same open file share one duplicate.
    ///
    /// It cannot be written in JSON. The snapshot says only that there was one. A process that an earlier agent started
    /// keeps its descriptor and is not replaced when its proxy is declared with a descriptor again, whichever one. A
    /// process that must be started before that writes to its log instead, which is logged. Another descriptor is used
    /// from the next start on.
    ///
    /// All processes that write to it share its state: if it is O_NONBLOCK, a write may fail because it is full
    /// (EAGAIN). A process that writes to a pipe or socket whose other end is closed gets SIGPIPE; the other end is
    /// closed with the agent if only the agent has it.
    ///
    /// ```
    /// use proxyprocess::{Command, Output, ProxyConfig};
    ///
    /// let (_reader, writer) = std::io::pipe().unwrap();
    /// let config = ProxyConfig::new(Command::new("/bin/date").stdout(Output::descriptor(&writer)?));
    /// # let _ = config;
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`] if it is not open for writing, [`ErrorCode::Exhausted`] if no descriptor is free.
    pub fn descriptor(fd: impl AsFd) -> Result<Output> {
        duplicate("descriptor", fd.as_fd())
    }

    /// The same with the number of a descriptor, from a field of this name.
    ///
    /// # Errors
    /// As [`Output::descriptor`], and [`ErrorCode::InvalidConfig`] if no descriptor has this number.
    #[cfg(feature = "capi")]
    pub(crate) fn descriptor_by_number(field: &str, number: i32) -> Result<Output> {
        let fd = fd::duplicate_of_agent(number).map_err(|error| match error.raw_os_error() {
            Some(libc::EBADF) => invalid(format!("{field}: expected an open descriptor, got {number}")),
            _ => Error::os(ErrorCode::Exhausted, format_args!("{field}: duplicate descriptor {number}"), &error),
        })?;
        duplicate(field, fd.as_fd())
    }
}

fn duplicate(field: &str, fd: BorrowedFd<'_>) -> Result<Output> {
    if !fd::is_writable(fd) {
        return Err(invalid(format!("{field}: expected one that is open for writing")));
    }
    let number = fd::number_of_file(fd);
    let mut shared = SHARED.get().lock().unwrap_or_else(PoisonError::into_inner);
    let found = number.and_then(|number| known(&mut shared, number, fd));
    if let Some(known) = found {
        return Ok(Output::Descriptor(HostDescriptor::of(known)));
    }
    let failed = |error| Error::os(ErrorCode::Exhausted, format_args!("{field}: duplicate a descriptor"), &error);
    let duplicate = Arc::new(fd::duplicate(fd, 3).map_err(failed)?);
    if let Some(number) = number {
        shared.entry(number).or_default().push(Arc::downgrade(&duplicate));
    }
    Ok(Output::Descriptor(HostDescriptor::of(duplicate)))
}

/// The duplicate for the same open file, if there is one. Duplicates that are not needed any more are removed.
fn known(shared: &mut Shared, number: (u64, u64), fd: BorrowedFd<'_>) -> Option<Arc<OwnedFd>> {
    shared.retain(|_, of_file| {
        of_file.retain(|it| it.strong_count() > 0);
        !of_file.is_empty()
    });
    let of_file = shared.get(&number)?;
    of_file.iter().filter_map(Weak::upgrade).find(|it| fd::is_same_file(it.as_fd(), fd))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::command::Command;
    use crate::declaration::ProxyConfig;

    fn number(output: &Output) -> i32 {
        let Output::Descriptor(descriptor) = output else { panic!("{output:?}") };
        descriptor.fd().unwrap().as_raw_fd()
    }

    #[test]
    fn one_open_file_is_duplicated_once_and_another_one_by_itself() {
        let (reader, writer) = std::io::pipe().unwrap();
        let [one, again] = [(); 2].map(|()| Output::descriptor(&writer).unwrap());
        assert_eq!((&one, number(&one)), (&again, number(&again)));
        assert_eq!(Output::descriptor(writer.try_clone().unwrap()).unwrap(), one);
        let (_other_reader, other) = std::io::pipe().unwrap();
        let other = Output::descriptor(other).unwrap();
        assert_ne!(other, one);
        // A different descriptor needs no new process.
        let with = |output: &Output| ProxyConfig::new(Command::new("a").stdout(output.clone()));
        assert!(with(&one).same_process(&with(&other)) && with(&one) != with(&other));
        assert!(!with(&one).same_process(&with(&Output::Null)));
        // It is closed with the last declaration that uses it.
        drop((writer, one, again));
        assert_eq!(std::io::Read::read(&mut { reader }, &mut [0]).unwrap(), 0);
    }

    #[test]
    fn descriptor_that_nothing_can_be_written_to_is_refused() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let error = Output::descriptor(&reader).unwrap_err();
        assert_eq!(error.to_string(), "descriptor: expected one that is open for writing");
        assert!(Output::descriptor(File::open("/dev/null").unwrap()).is_err());
        #[cfg(feature = "capi")]
        {
            let error = Output::descriptor_by_number("stdout_fd", -1).unwrap_err().to_string();
            assert_eq!(error, "stdout_fd: expected an open descriptor, got -1");
            let error = Output::descriptor_by_number("stderr_fd", reader.as_raw_fd()).unwrap_err().to_string();
            assert_eq!(error, "stderr_fd: expected one that is open for writing");
        }
    }

    #[test]
    fn declaration_with_a_descriptor_is_written_and_read_in_snapshots_alone() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let config = ProxyConfig::new(Command::new("a").stderr(Output::descriptor(&writer).unwrap()));
        config.validate().unwrap();
        let text = serde_json::to_string(&config.to_json()).unwrap();
        assert!(text.contains(r#""output":{"stderr":"descriptor"}"#), "{text}");
        let error = ProxyConfig::from_json(&text).unwrap_err().to_string();
        let what = "expected no descriptor, which only the program that has it can declare";
        assert_eq!(error, format!("output.stderr: {what}"));
        let fields = crate::declaration::fields::Fields::of("", serde_json::from_str(&text).unwrap()).unwrap();
        let read = ProxyConfig::from_snapshot(fields).unwrap();
        assert!(read.same_process(&config) && read != config);
    }
}

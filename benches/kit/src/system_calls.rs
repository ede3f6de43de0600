//! How many system calls a section makes: a child process runs it, and its parent lets it go from
//! one system call to the next.
//!
//! ```text
//!   parent   fork ──────▶ wait ─▶ go on ─▶ wait ─▶ go on ─▶ wait … until it ends
//!   child       └▶ stop ─────────▶ enter call ────▶ leave call ─▶ …
//! ```
//!
//! The child inherits what the section works on, as it is. Only the thread that forks is in it, so
//! the section must be one of one thread.

use std::ptr::null_mut;

use libc::{c_int, c_void, pid_t};

/// An argument that `ptrace` does not read.
const NOTHING: *mut c_void = null_mut();

/// Counts the system calls of `section`, which runs in a child process.
///
/// `None` if this machine does not let us trace a process of ours.
pub fn count(section: impl FnOnce()) -> Option<u64> {
    let overhead = stops(|| ())?;
    // Every call stops twice: when it is entered, and when it is left.
    Some(stops(section)?.saturating_sub(overhead) / 2)
}

/// How often a child that runs `section` is stopped by its system calls.
fn stops(section: impl FnOnce()) -> Option<u64> {
    // SAFETY: the section has one thread, so the child finds no lock held by another.
    let child = unsafe { libc::fork() };
    if child == 0 {
        run_traced(section);
    }
    let mut stops = 0;
    let mut status = wait(child)?;
    if !libc::WIFSTOPPED(status) {
        return None; // it may not be traced, and has ended
    }
    loop {
        let signal = match libc::WSTOPSIG(status) {
            libc::SIGTRAP => {
                stops += 1;
                0
            }
            libc::SIGSTOP => 0,
            other => other as usize,
        };
        // SAFETY: the child is ours, and stopped.
        let is_gone = unsafe { libc::ptrace(libc::PTRACE_SYSCALL, child, NOTHING, signal) } != 0;
        if is_gone {
            return None;
        }
        status = wait(child)?;
        if libc::WIFEXITED(status) {
            return (libc::WEXITSTATUS(status) == 0).then_some(stops);
        }
        if libc::WIFSIGNALED(status) {
            return None;
        }
    }
}

/// What a child does: stops, for its parent to take over, and runs the section.
fn run_traced(section: impl FnOnce()) -> ! {
    // SAFETY: the process asks its parent to trace it, stops, and ends without running what its
    // parent's end will run.
    unsafe {
        if libc::ptrace(libc::PTRACE_TRACEME, 0, NOTHING, NOTHING) != 0 {
            libc::_exit(1);
        }
        libc::kill(libc::getpid(), libc::SIGSTOP);
        section();
        libc::_exit(0);
    }
}

/// The next status of a child; `None` if there is no child.
fn wait(child: pid_t) -> Option<c_int> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result.
    (unsafe { libc::waitpid(child, &mut status, 0) } == child).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_section_is_counted() {
        // SAFETY: the call has no arguments and no effect.
        let ask = || _ = std::hint::black_box(unsafe { libc::getppid() });
        assert_eq!(count(|| ()), Some(0));
        assert_eq!(count(|| (0..7).for_each(|_| ask())), Some(7));
    }
}

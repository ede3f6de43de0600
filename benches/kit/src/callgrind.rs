//! Counting under `valgrind --tool=callgrind`: exact user instructions without hardware counters.
//!
//! `cargo xtask compare --callgrind` starts a program with callgrind's counting off and names
//! callgrind's output file in `ALLOTROPE_CALLGRIND`. The program turns counting on around each
//! section, has callgrind dump what the section cost, reads the sum from the dump and removes it:
//!
//! ```text
//!   start ─▶ zero ─▶ section ─▶ dump ─▶ stop
//!                                │
//!                                ▼
//!                  OUTPUT.1: … "totals: 123456"
//! ```
//!
//! All threads are counted together. Valgrind runs them one at a time, so times mean nothing.
//! callgrind counts every turn of a `rep` instruction, hardware counts one.

use std::ffi::CStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The environment variable that names callgrind's output file.
pub const OUTPUT_VARIABLE: &str = "ALLOTROPE_CALLGRIND";

/// A client request, as `callgrind.h` numbers them.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Request {
    Dump = 0x4354_0000,
    Zero = 0x4354_0001,
    Start = 0x4354_0004,
    Stop = 0x4354_0005,
}

/// How many dumps this process has asked for; the next one's file ends in one more.
static DUMPS: AtomicUsize = AtomicUsize::new(0);

fn output() -> Option<&'static [u8]> {
    static OUTPUT: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    OUTPUT.get_or_init(|| Some(std::env::var_os(OUTPUT_VARIABLE)?.as_bytes().to_vec())).as_deref()
}

/// Whether callgrind counts for this process, so that times mean nothing.
pub fn is_counting() -> bool {
    output().is_some()
}

/// Turns counting on. What ran before ran several times faster.
pub fn start() {
    request(Request::Start);
}

/// Turns counting off.
pub fn stop() {
    request(Request::Stop);
}

/// Runs `section` and returns the instructions it took; counting is on.
///
/// A constant handful of instructions around the section is counted as well.
#[inline(always)]
pub fn count<R>(section: impl FnOnce() -> R) -> (R, u64) {
    request(Request::Zero);
    let result = section();
    request(Request::Dump);
    (result, take_dump())
}

/// Runs `section`, while callgrind counts in a child process, whose result lines are as good as this
/// one's.
///
/// A dump costs time for all code that callgrind ever counted in its process, so many dumps are
/// cheaper in a process that counts little else.
///
/// # Panics
///
/// If there is no child, or it fails.
pub fn isolate(section: impl FnOnce()) {
    if !is_counting() {
        return section();
    }
    // SAFETY: the programs that count single operations have one thread, so the child finds no
    // lock held.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no child process");
    if child == 0 {
        DUMPS.store(0, Ordering::Relaxed); // as callgrind numbers those of a new process
        section();
        std::process::exit(0);
    }
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert!(status == 0, "a child process failed");
}

/// Reads and removes the newest dump, without touching any allocator.
#[inline(never)]
fn take_dump() -> u64 {
    let number = DUMPS.fetch_add(1, Ordering::Relaxed) + 1;
    let mut path = [0u8; 1024];
    let mut rest = &mut path[..1023];
    let base = output().expect("counting is on");
    rest.write_all(base).and_then(|()| write!(rest, ".{number}")).expect("a path of usual length");
    let path = CStr::from_bytes_until_nul(&path).expect("the last byte is zero");

    let mut tail = [0u8; 256];
    // SAFETY: `path` ends in a zero byte; `tail` is valid for a write of its length; the file
    // descriptor is closed once, and a failed `open` makes the others fail.
    let read = unsafe {
        let file = libc::open(path.as_ptr(), libc::O_RDONLY);
        libc::lseek(file, -(tail.len() as libc::off_t), libc::SEEK_END);
        let read = libc::read(file, tail.as_mut_ptr().cast(), tail.len());
        libc::close(file);
        libc::unlink(path.as_ptr());
        read
    };
    let tail = &tail[..usize::try_from(read).expect("callgrind wrote a dump")];
    total(tail).expect("a dump ends in its totals")
}

/// The number in the line `totals: N`; a dump in which nothing was counted has no such line.
fn total(dump: &[u8]) -> Option<u64> {
    let line = dump.split(|&byte| byte == b'\n').rfind(|line| line.starts_with(b"totals:"))?;
    std::str::from_utf8(&line[b"totals:".len()..]).ok()?.trim().parse().ok()
}

/// Does nothing outside of valgrind, or on a machine whose form of the request is not known here.
#[inline(always)]
fn request(request: Request) {
    let arguments = [request as usize, 0, 0, 0, 0, 0];
    #[cfg(target_arch = "x86_64")]
    // SAFETY: outside of valgrind the rotations add up to 128 bits and so leave `rdi` as it was,
    // and the exchange does nothing; valgrind reads `arguments` and writes `rdx`.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") 0usize => _,
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above, with `x12`, `x10` and `x3`.
    unsafe {
        std::arch::asm!(
            "ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61",
            "orr x10, x10, x10",
            in("x4") arguments.as_ptr(),
            inout("x3") 0usize => _,
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = arguments;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_the_end_of_a_dump() {
        assert_eq!(total(b"fn=(3)\n12 40\n\ntotals: 123456\n"), Some(123_456));
        assert_eq!(total(b"desc: Trigger"), None);
    }

    #[test]
    fn requests_do_nothing_outside_of_valgrind() {
        start();
        request(Request::Zero);
        stop();
    }
}

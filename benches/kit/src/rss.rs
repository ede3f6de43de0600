//! Resident set size of this process, read without allocating.

/// The number of a line of `/proc/self/status`.
fn field(name: &[u8]) -> u64 {
    let mut status = [0u8; 4096];
    // SAFETY: the path ends in a zero byte, `status` is valid for a write of its length, and the
    // file descriptor is closed once; a failed `open` makes the others fail.
    let read = unsafe {
        let file = libc::open(c"/proc/self/status".as_ptr(), libc::O_RDONLY);
        let read = libc::read(file, status.as_mut_ptr().cast(), status.len());
        libc::close(file);
        read.max(0) as usize
    };
    let mut lines = status[..read].split(|&byte| byte == b'\n');
    let Some(line) = lines.find(|line| line.starts_with(name)) else { return 0 };
    let digits = line.iter().filter(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// The peak since [`reset_peak`], in KiB, without mapped files and program text.
pub fn peak_kib() -> u64 {
    field(b"VmHWM:").saturating_sub(field(b"RssFile:"))
}

/// Anonymous memory that is resident now, in KiB.
pub fn anon_kib() -> u64 {
    field(b"RssAnon:")
}

/// Sets the peak back to the present value.
pub fn reset_peak() {
    // SAFETY: the path ends in a zero byte, one byte is valid for reads, and the file descriptor
    // is closed once.
    unsafe {
        let file = libc::open(c"/proc/self/clear_refs".as_ptr(), libc::O_WRONLY);
        if file >= 0 {
            libc::write(file, b"5".as_ptr().cast(), 1);
            libc::close(file);
        }
    }
}

//! Windows: a write to the standard error handle, and the exit code of std's abort.

use core::{hint, ptr};

use windows_sys::Win32::Foundation::STATUS_STACK_BUFFER_OVERRUN;
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

/// Writes `words` to standard error and ends the process as a fast failure does.
pub(super) fn end(words: &str) -> ! {
    let (start, len) = (words.as_ptr(), words.len() as u32);
    let mut written = 0;
    // SAFETY: so many bytes are valid for reads; where there is no such handle, the call fails.
    unsafe { WriteFile(GetStdHandle(STD_ERROR_HANDLE), start, len, &mut written, ptr::null_mut()) };
    // SAFETY: the process is this one, and need not go on.
    unsafe { TerminateProcess(GetCurrentProcess(), STATUS_STACK_BUFFER_OVERRUN as u32) };
    loop {
        // The call ends this thread, too, before or after it returns.
        hint::spin_loop();
    }
}

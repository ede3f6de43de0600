//! A client request on x86-64.

use core::arch::asm;

/// Does nothing outside of valgrind.
pub(super) fn ask(arguments: &[usize; 6]) {
    // SAFETY: the rotations add up to 128 bits, and so leave `rdi` as it was; the exchange does
    // nothing. Valgrind reads the arguments, writes `rdx`, and else only its own notes of the memory.
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") arguments,
            inout("rdx") 0_usize => _,
            options(nostack),
        );
    }
}

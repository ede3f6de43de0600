//! A client request on 64-bit Arm.

use core::arch::asm;

/// Does nothing outside of valgrind.
pub(super) fn ask(arguments: &[usize; 6]) {
    // SAFETY: the rotations add up to 128 bits, and so leave `x12` as it was; the instruction after
    // them does nothing. Valgrind reads the arguments, writes `x3`, and else only its own notes.
    unsafe {
        asm!(
            "ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61",
            "orr x10, x10, x10",
            in("x4") arguments,
            inout("x3") 0_usize => _,
            options(nostack),
        );
    }
}

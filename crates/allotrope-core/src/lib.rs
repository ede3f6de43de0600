//! The strategies of allotrope.
#![no_std]

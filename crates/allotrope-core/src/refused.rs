//! What the compiler refuses, beside twins that it accepts. Only doctests compile this.
//!
//! # A policy that contradicts itself
//!
//! Every constructor refuses it, whatever else it might have done with it:
//!
//! ```
//! # use allotrope_core::*;
//! struct Even;
//! impl Policy for Even {
//!     const CHUNK_SIZE: usize = 4096;
//!     const LARGEST_CLASS: usize = 256;
//! }
//! BestFit::<_, Even>::with_policy(OsPages::new());
//! BestFit::<_, Even, _>::with_hook(OsPages::new(), NoHook);
//! FixedSize::<64, _, Even>::with_policy(OsPages::new());
//! FixedSize::<64, _, Even, _>::with_hook(OsPages::new(), NoHook);
//! Segregated::<_, Even>::with_policy(OsPages::new());
//! Segregated::<_, Even, _>::with_hook(OsPages::new(), NoHook);
//! Pool::<_, Even>::with_policy(OsPages::new());
//! Pool::<_, Even, _>::with_hook(OsPages::new(), NoHook);
//! ObjectPool::<u64, _, Even>::with_policy(OsPages::new());
//! SharedObjectPool::<u64, _, Even>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! BestFit::<_, Odd>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! BestFit::<_, Odd, _>::with_hook(OsPages::new(), NoHook);
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! FixedSize::<64, _, Odd>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! FixedSize::<64, _, Odd, _>::with_hook(OsPages::new(), NoHook);
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! Segregated::<_, Odd>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! Segregated::<_, Odd, _>::with_hook(OsPages::new(), NoHook);
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! Pool::<_, Odd>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! Pool::<_, Odd, _>::with_hook(OsPages::new(), NoHook);
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! ObjectPool::<u64, _, Odd>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! SharedObjectPool::<u64, _, Odd>::with_policy(OsPages::new());
//! ```
//!
//! Nor can it say of itself that it is valid:
//!
//! ```compile_fail,E0438
//! # use allotrope_core::*;
//! struct Certain;
//! impl Policy for Certain {
//!     const CHUNK_SIZE: usize = 3000;
//!     const VALID: () = ();
//! }
//! ```

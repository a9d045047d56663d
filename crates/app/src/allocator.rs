//! The allocator of every program that is built on this crate: mimalloc, with a count of what is allocated, and a limit.
//!
//! A process of a query ends itself when it reaches its limit. Nothing milder holds: most allocations can't fail, a panic
//! in an allocator is undefined behavior, and a query that is only marked may never look up from its work.
//!
//! Each thread counts for itself and adds to the count of the process in steps, so that counting costs no more than a few
//! instructions. The count may be off by [`STEP`] for each thread.

#![allow(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

#[global_allocator]
static ALLOCATOR: Counted<mimalloc::MiMalloc> = Counted(mimalloc::MiMalloc);

/// Bytes that a thread counts before it tells the others.
const STEP: isize = 64 << 10;

static ALLOCATED: AtomicIsize = AtomicIsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

thread_local! {
    // neither allocated nor dropped: can be used at any time in the life of a thread
    static UNTOLD: Cell<isize> = const { Cell::new(0) };
}

/// Bytes that this process has allocated.
pub(crate) fn allocated() -> usize {
    usize::try_from(ALLOCATED.load(Ordering::Relaxed)).unwrap_or(0)
}

/// From now on this process ends with [`OUT_OF_MEMORY`](belvedere_core::isolation::OUT_OF_MEMORY) when it has more bytes.
pub(crate) fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// An allocator that counts.
struct Counted<A>(A);

/// Counts bytes that come, or go.
fn count(bytes: isize) {
    let told = UNTOLD.try_with(|untold| {
        let sum = untold.get() + bytes;
        let is_small = sum.abs() < STEP;
        untold.set(if is_small { sum } else { 0 });
        if is_small { 0 } else { sum }
    });
    // a thread that ends tells at once
    let told = told.unwrap_or(bytes);
    if told != 0 {
        let sum = ALLOCATED.fetch_add(told, Ordering::Relaxed).saturating_add(told);
        if told > 0 && usize::try_from(sum).is_ok_and(|sum| sum > LIMIT.load(Ordering::Relaxed)) {
            end();
        }
    }
}

/// Ends the process without running anything else: destructors would allocate, and wait for threads.
#[cold]
fn end() -> ! {
    // no text is made, so nothing is allocated
    let _ =
        std::io::stderr().write_all(b"belvedere: a query reached its memory limit, and its process ends\n");
    // SAFETY: takes no pointer, and does not come back
    unsafe { libc::_exit(belvedere_core::isolation::OUT_OF_MEMORY) }
}

/// Layouts are never larger than `isize::MAX`.
fn size(layout: Layout) -> isize {
    layout.size() as isize
}

// SAFETY: all that is asked goes to the inner allocator as it came, and what it gives is handed on. Counting does not
// allocate, does not panic (sums of sizes of live allocations fit an isize), and touches no memory of the caller.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // before: what is beyond the limit is never taken from the system
        count(size(layout));
        // SAFETY: the caller keeps to the contract of `GlobalAlloc::alloc`
        let memory = unsafe { self.0.alloc(layout) };
        if memory.is_null() {
            count(-size(layout));
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from the inner allocator with this layout
        unsafe { self.0.dealloc(memory, layout) };
        count(-size(layout));
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: as for `alloc`
        let memory = unsafe { self.0.alloc_zeroed(layout) };
        if memory.is_null() {
            count(-size(layout));
        }
        memory
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let more = (new_size as isize).wrapping_sub(size(layout));
        count(more);
        // SAFETY: `memory` came from the inner allocator with this layout, and the caller keeps to the contract
        let moved = unsafe { self.0.realloc(memory, layout, new_size) };
        if moved.is_null() {
            count(-more);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_counted_until_it_is_freed() {
        // other tests of this process allocate less than this meanwhile
        const MANY: usize = 512 << 20;
        let before = allocated();
        let mut bytes: Vec<u8> = Vec::with_capacity(MANY);
        assert!(allocated() >= before + MANY / 2);
        bytes.reserve_exact(2 * MANY);
        assert!(allocated() >= before + MANY + MANY / 2);
        drop(bytes);
        assert!(allocated() < before + MANY / 2);
        drop(vec![0_u8; MANY]);
        assert!(allocated() < before + MANY / 2);
    }
}

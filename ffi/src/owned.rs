//! Values that C owns through a pointer: made by a `_new`, let go of by a `_free`.
//!
//! In: boxes and counted pointers. Out: raw ones, and back.

use std::mem::MaybeUninit;
use std::sync::Arc;

/// Gives a box to C.
pub(crate) fn give<T>(place: &mut MaybeUninit<*mut T>, value: T) {
    place.write(Box::into_raw(Box::new(value)));
}

/// Takes a box back from C and drops it; NULL does nothing.
///
/// # Safety
/// The pointer came from [`give`] and is used no more.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: the caller's word.
        drop(unsafe { Box::from_raw(pointer) });
    }
}

/// Another holder of what C holds.
///
/// # Safety
/// The pointer came from [`Arc::into_raw`] and that holder still exists.
pub(crate) unsafe fn hold<T>(pointer: *const T) -> Arc<T> {
    // SAFETY: the caller's word.
    unsafe {
        Arc::increment_strong_count(pointer);
        Arc::from_raw(pointer)
    }
}

/// C's holder, taken back.
///
/// # Safety
/// The pointer came from [`Arc::into_raw`] and C uses it no more.
pub(crate) unsafe fn take<T>(pointer: *const T) -> Option<Arc<T>> {
    // SAFETY: the caller's word.
    (!pointer.is_null()).then(|| unsafe { Arc::from_raw(pointer) })
}

//! What crosses the boundary: texts and bytes as pointer and length, data of the host with its
//! finalizer, and the guard around each call.
//!
//! In: what C passes. Out: Rust values, or a status. Values that only C can make (texts, `In`,
//! `OutGrowing`) are followed here and nowhere else: they are valid for as long as the header says.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use roomcast::Status;

use crate::events::{Caller, roomcast_event};
use crate::join::roomcast_join;
use crate::options::{roomcast_listen_options, roomcast_room_options};
use crate::publish::roomcast_publication;
use crate::snapshot::roomcast_snapshot;
use crate::status::roomcast_status;
use crate::verdict::roomcast_accept;

/// Text in UTF-8: a pointer and a length in bytes, with no zero at the end.
///
/// As an argument it is read during the call only, and NULL with length 0 is the empty text. As a
/// result it points into something else, whose documentation says for how long; `data` is NULL
/// where there is no such text, which is not the same as an empty one. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomcast_str {
    /// The first byte.
    pub data: *const c_char,
    /// Bytes, not characters.
    pub len: usize,
}

impl roomcast_str {
    /// No text at all.
    pub(crate) const NONE: Self = roomcast_str {
        data: std::ptr::null(),
        len: 0,
    };

    pub(crate) fn of(text: &str) -> Self {
        roomcast_str {
            data: text.as_ptr().cast(),
            len: text.len(),
        }
    }

    pub(crate) fn of_option(text: Option<&str>) -> Self {
        text.map_or(Self::NONE, Self::of)
    }

    /// The text, or None where there is none: NULL with length 0.
    pub(crate) fn maybe(&self) -> Result<Option<&str>, Status> {
        match self.data.is_null() && self.len == 0 {
            true => Ok(None),
            false => self.text().map(Some),
        }
    }

    /// The text, for as long as this value lives: a parameter of the call that it came with.
    pub(crate) fn text(&self) -> Result<&str, Status> {
        let bytes = roomcast_bytes {
            data: self.data.cast(),
            len: self.len,
        };
        // SAFETY: the same pointer and length, for the same time.
        let bytes = unsafe { slice(bytes.data.cast::<u8>(), bytes.len) }?;
        std::str::from_utf8(bytes).map_err(|_| Status::InvalidArgument)
    }
}

/// Bytes: a pointer and a length.
///
/// As an argument it is read during the call only, and NULL with length 0 is no bytes. As a result
/// it points into something else, whose documentation says for how long. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomcast_bytes {
    /// The first byte.
    pub data: *const c_void,
    /// How many.
    pub len: usize,
}

impl roomcast_bytes {
    pub(crate) const NONE: Self = roomcast_bytes {
        data: std::ptr::null(),
        len: 0,
    };

    pub(crate) fn of(bytes: &[u8]) -> Self {
        roomcast_bytes {
            data: bytes.as_ptr().cast(),
            len: bytes.len(),
        }
    }

    /// The bytes, for as long as this value lives: a parameter of the call that it came with.
    pub(crate) fn bytes(&self) -> Result<&[u8], Status> {
        // SAFETY: what C passes as bytes is valid for their length during the call.
        unsafe { slice(self.data.cast::<u8>(), self.len) }
    }
}

/// A pointer of C's to read from during the call: NULL, a struct, or an array whose length is
/// another argument. C alone makes one, and vouches for it.
#[repr(transparent)]
pub struct In<T>(*const T);

impl<T> In<T> {
    /// The array of so many; NULL with length 0 is empty.
    pub(crate) fn slice(&self, len: usize) -> Result<&[T], Status> {
        // SAFETY: C passes an array of so many, which stays as it is during the call.
        unsafe { slice(self.0, len) }
    }

    /// Whether it points to something.
    pub(crate) fn is_given(&self) -> bool {
        !self.0.is_null()
    }

    /// What it points to; None for NULL.
    pub(crate) fn one(&self) -> Option<&T> {
        // SAFETY: C passes NULL or what a call has given it, which stays during the call.
        unsafe { self.0.as_ref() }
    }
}

/// A pointer of ours in a struct that C is lent: NULL, or to what lives as long as that.
#[repr(transparent)]
pub struct Lent<T>(*const T);

impl<T> Lent<T> {
    pub(crate) const NONE: Self = Lent(std::ptr::null());

    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: what C was lent it has not changed, and it is lent as long as this is asked.
        unsafe { self.0.as_ref() }
    }
}

impl Lent<Caller<'static>> {
    /// The struct must not outlive the caller.
    pub(crate) fn to(caller: &Caller<'_>) -> Self {
        Lent(std::ptr::from_ref(caller).cast())
    }
}

impl<T: Growing> In<T> {
    /// The struct; what the host's header does not have of it is zero. None for NULL.
    pub(crate) fn growing(&self) -> Result<Option<T>, Status> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: C passes a struct that begins with its size, and has so many bytes.
        unsafe {
            let size = self.0.cast::<usize>().read();
            if size < T::LEAST {
                return Err(Status::InvalidArgument);
            }
            let mut value = MaybeUninit::<T>::zeroed();
            let len = size.min(size_of::<T>());
            std::ptr::copy_nonoverlapping(self.0.cast::<u8>(), value.as_mut_ptr().cast(), len);
            Ok(Some(value.assume_init()))
        }
    }
}

/// An array of that type: NULL with length 0 is empty.
///
/// # Safety
/// Otherwise `data` points to `len` values that stay as they are for `'a`.
unsafe fn slice<'a, T>(data: *const T, len: usize) -> Result<&'a [T], Status> {
    let fits = len
        .checked_mul(size_of::<T>())
        .is_some_and(|bytes| bytes <= isize::MAX as usize);
    match (data.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Status::InvalidArgument),
        (false, _) if !fits || !data.is_aligned() => Err(Status::InvalidArgument),
        // SAFETY: the caller's word, and what was checked.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(data, len) }),
    }
}

/// A struct that may grow at its end: its first field is its size as the host's header has it, or
/// the size is an argument.
///
/// # Safety
/// `repr(C)`, begins with a `usize` if it is passed through `In` or `OutGrowing`, and all zero is a
/// valid value.
pub(crate) unsafe trait Growing: Sized {
    /// What the first version of the struct has.
    const LEAST: usize = size_of::<Self>();
}

// SAFETY: begins with its size; numbers, null pointers and no function are valid.
unsafe impl Growing for roomcast_accept {}
// SAFETY: as above.
unsafe impl Growing for roomcast_publication {}
// SAFETY: as above.
unsafe impl Growing for roomcast_snapshot {}
// SAFETY: as above.
unsafe impl Growing for roomcast_join {}
// SAFETY: as above.
unsafe impl Growing for roomcast_room_options {}
// SAFETY: as above.
unsafe impl Growing for roomcast_listen_options {}
// SAFETY: passed in arrays only; no box is a valid one.
unsafe impl Growing for roomcast_event {}

/// A place of C's for a growing struct. C alone makes one, and vouches for it.
#[repr(transparent)]
pub struct OutGrowing<T>(*mut T);

impl<T: Growing> OutGrowing<T> {
    /// The size that the host has set.
    pub(crate) fn size(&self) -> Result<usize, Status> {
        given((!self.0.is_null()).then_some(()))?;
        // SAFETY: C passes a struct that begins with its size.
        let size = unsafe { self.0.cast::<usize>().read() };
        given((size >= T::LEAST).then_some(size))
    }

    /// Writes as much as the host's header has. What is behind our fields is newer than we are.
    pub(crate) fn write(self, size: usize, value: T) {
        let len = size.min(size_of::<T>());
        // SAFETY: C passes a struct of that size.
        unsafe {
            let into = self.0.cast::<u8>();
            std::ptr::copy_nonoverlapping(std::ptr::from_ref(&value).cast::<u8>(), into, len);
            into.add(len).write_bytes(0, size - len);
        }
    }
}

/// An array of C's whose elements have the size that the host's header gives them, and are all zero
/// or what was written. C alone makes one, and vouches for it.
#[repr(transparent)]
pub struct OutArray<T>(*mut T);

impl<T: Growing> OutArray<T> {
    /// So many places of so many bytes.
    pub(crate) fn places(self, stride: usize, len: usize) -> Result<Places<T>, Status> {
        let fits = stride >= T::LEAST && stride.is_multiple_of(align_of::<T>());
        given((fits && len > 0 && !self.0.is_null()).then_some(()))?;
        let first = self.0;
        Ok(Places { first, stride, len })
    }
}

pub(crate) struct Places<T> {
    first: *mut T,
    stride: usize,
    len: usize,
}

impl<T: Growing> Places<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn at(&self, index: usize) -> *mut u8 {
        assert!(index < self.len, "an array of C's has no such place");
        // SAFETY: it is inside.
        unsafe { self.first.cast::<u8>().add(index * self.stride) }
    }

    /// Gives C a value to own.
    pub(crate) fn write(&self, index: usize, value: T) {
        let (at, len) = (self.at(index), self.stride.min(size_of::<T>()));
        // SAFETY: the place has `stride` bytes. What it owns is C's from here on.
        unsafe {
            std::ptr::copy_nonoverlapping(std::ptr::from_ref(&value).cast::<u8>(), at, len);
            at.add(len).write_bytes(0, self.stride - len);
        }
        std::mem::forget(value);
    }

    /// Takes a value back and leaves zero. C gives back what was written, or zero.
    pub(crate) fn take(&self, index: usize) -> T {
        let (at, len) = (self.at(index), self.stride.min(size_of::<T>()));
        let mut value = MaybeUninit::<T>::zeroed();
        // SAFETY: as in `write`; what C's header does not have is zero.
        unsafe {
            std::ptr::copy_nonoverlapping(at, value.as_mut_ptr().cast(), len);
            at.write_bytes(0, self.stride);
            value.assume_init()
        }
    }
}

/// A place of C's for a result; NULL where C does not want it.
pub(crate) type Out<'a, T> = Option<&'a mut MaybeUninit<T>>;

/// Gives a value to C to own, through a pointer that its `_free` takes back as a box.
pub(crate) fn give<T>(place: &mut MaybeUninit<Box<T>>, value: T) {
    place.write(Box::new(value));
}

/// Writes a result that C may not want.
pub(crate) fn put<T>(out: Out<'_, T>, value: T) {
    if let Some(place) = out {
        place.write(value);
    }
}

/// A place that must be there.
pub(crate) fn place<T>(out: Out<'_, T>) -> Result<&mut MaybeUninit<T>, Status> {
    out.ok_or(Status::InvalidArgument)
}

/// A pointer that must be there.
pub(crate) fn given<T>(pointer: Option<T>) -> Result<T, Status> {
    pointer.ok_or(Status::InvalidArgument)
}

/// Does something for C. A panic does not cross: it is an internal error, and told as one.
pub(crate) fn guard(work: impl FnOnce() -> Result<(), Status>) -> roomcast_status {
    match caught(work) {
        Some(Ok(())) => roomcast_status::Ok,
        Some(Err(status)) => status.into(),
        None => roomcast_status::Broken,
    }
}

/// What `work` gives; None where it panicked.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(panic) => {
            // Its drop might panic as well.
            std::mem::forget(panic);
            None
        }
    }
}

/// A buffer of C's for a sentence that says what is wrong; NULL where C does not want it.
#[derive(Clone, Copy)]
pub(crate) struct Why {
    pub(crate) text: *mut c_char,
    pub(crate) size: usize,
}

impl Why {
    /// Writes the sentence, cut to what fits, and a zero.
    pub(crate) fn tell(self, sentence: &str) {
        if self.text.is_null() || self.size == 0 {
            return;
        }
        let mut len = sentence.len().min(self.size - 1);
        while !sentence.is_char_boundary(len) {
            len -= 1;
        }
        // SAFETY: C gave a buffer of `size` bytes, and len + 1 fits.
        unsafe {
            std::ptr::copy_nonoverlapping(sentence.as_ptr().cast(), self.text, len);
            self.text.add(len).write(0);
        }
    }

    /// The status of an error, told as a sentence.
    pub(crate) fn told(self, status: Status, error: &dyn std::fmt::Display) -> Status {
        self.tell(&error.to_string());
        status
    }
}

/// Lets go of data of the host's. Called once, when the library needs it no longer; on which
/// thread depends on who lets go last, so it must not assume one. It may call every function of
/// this header but those that wait.
///
/// @param data what the host gave together with this function
pub type roomcast_free_fn = Option<extern "C" fn(data: *mut c_void)>;

/// Data of the host, with its finalizer.
pub(crate) struct Foreign {
    data: *mut c_void,
    free: roomcast_free_fn,
}

// SAFETY: the header demands that data given to an engine may be used from any thread.
unsafe impl Send for Foreign {}
// SAFETY: as above.
unsafe impl Sync for Foreign {}

impl Foreign {
    pub(crate) fn new(data: *mut c_void, free: roomcast_free_fn) -> Self {
        Foreign { data, free }
    }

    pub(crate) fn data(&self) -> *mut c_void {
        self.data
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            free(self.data);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Files in `/proc`.
//!
//! C headers: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h) and
//! [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)

use crate::{
    bindings,
    error::{from_result, VTABLE_DEFAULT_ERROR},
    fs::File,
    pid_namespace::PidNamespace,
    prelude::*,
    seq_file::SeqFile,
    str::CStr,
    uaccess::{UserPtr, UserSlice, UserSliceReader},
};
use core::marker::PhantomData;

/// A file in `/proc` that reads as a sequence of numbered rows.
///
/// The numbers need not be contiguous. Nothing is kept between the calls, not even between those
/// for one row, and no lock is held; a row may be gone when it comes to showing it.
#[vtable]
pub trait Entry: 'static {
    /// Returns the number of the first row at or after `pos`.
    ///
    /// Called in process context.
    fn seek(m: &SeqFile, pos: u64) -> Option<u64>;

    /// Prints row `row`.
    ///
    /// Called in process context.
    fn show(m: &SeqFile, row: u64) -> Result;

    /// Takes `data` that was written at `pos` and returns how many bytes of it.
    ///
    /// Called in process context. A file without this can not be written, whatever its mode.
    fn write(_file: &File, _data: UserSliceReader, _pos: i64) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// Creates `name` in the root of `/proc`, for good.
///
/// # Errors
///
/// `ENOMEM` if it cannot be allocated or the name is in use.
pub fn create<T: Entry>(name: &'static CStr, mode: u16) -> Result {
    // SAFETY: The name is a C string; the operations live as long as the kernel, and so does the
    // entry, since there is no way to remove it.
    let entry = unsafe {
        bindings::proc_create(
            name.as_char_ptr(),
            mode,
            core::ptr::null_mut(),
            &Vtable::<T>::PROC_OPS,
        )
    };
    if entry.is_null() {
        return Err(ENOMEM);
    }
    Ok(())
}

/// Returns the pid namespace whose numbers the current task sees in the procfs instance that a
/// file is in.
pub fn viewer(m: &SeqFile) -> &PidNamespace {
    // SAFETY: A `SeqFile` of procfs is opened from a file, which keeps the superblock and with it
    // the namespace that it was mounted for; where it is that of the current task instead, this
    // task does not leave it.
    unsafe {
        let file = (*m.as_ptr()).file;
        PidNamespace::from_ptr(bindings::proc_pid_ns((*(*file).f_inode).i_sb))
    }
}

struct Vtable<T: Entry>(PhantomData<T>);

impl<T: Entry> Vtable<T> {
    const SEQ_OPS: bindings::seq_operations = bindings::seq_operations {
        start: Some(Self::start),
        stop: Some(Self::stop),
        next: Some(Self::next),
        show: Some(Self::show),
    };

    const PROC_OPS: bindings::proc_ops = bindings::proc_ops {
        proc_flags: bindings::PROC_ENTRY_PERMANENT,
        proc_open: Some(Self::open),
        proc_read: Some(bindings::seq_read),
        proc_write: if T::HAS_WRITE {
            Some(Self::write)
        } else {
            None
        },
        proc_lseek: Some(bindings::seq_lseek),
        proc_release: Some(bindings::seq_release),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called by procfs, with a file that is being opened.
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The operations live as long as the kernel.
        let ret = unsafe { bindings::seq_open(file, &Self::SEQ_OPS) };
        if ret == 0 && T::HAS_WRITE {
            // `seq_open()` takes `pwrite(2)` away, which `Entry::write` is told the position of.
            // SAFETY: `file` is being opened, nobody else uses it yet.
            unsafe { (*file).f_mode |= bindings::FMODE_PWRITE };
        }
        ret
    }

    /// Makes an iterator of a row: the row plus one, for it must not be null.
    fn iterator(m: &SeqFile, pos: &mut i64) -> *mut c_void {
        match T::seek(m, *pos as u64) {
            Some(row) => {
                *pos = row as i64;
                (row as usize + 1) as *mut c_void
            }
            None => core::ptr::null_mut(),
        }
    }

    /// # Safety
    ///
    /// Called by seq_file, with a file and a position that nobody else uses.
    unsafe extern "C" fn start(m: *mut bindings::seq_file, pos: *mut i64) -> *mut c_void {
        // SAFETY: By the requirements of this function.
        unsafe { Self::iterator(SeqFile::from_raw(m), &mut *pos) }
    }

    /// # Safety
    ///
    /// As [`Self::start`].
    unsafe extern "C" fn next(
        m: *mut bindings::seq_file,
        _v: *mut c_void,
        pos: *mut i64,
    ) -> *mut c_void {
        // SAFETY: By the requirements of this function.
        unsafe {
            *pos += 1;
            Self::iterator(SeqFile::from_raw(m), &mut *pos)
        }
    }

    unsafe extern "C" fn stop(_m: *mut bindings::seq_file, _v: *mut c_void) {}

    /// # Safety
    ///
    /// As [`Self::start`], with what that or [`Self::next`] returned.
    unsafe extern "C" fn show(m: *mut bindings::seq_file, v: *mut c_void) -> c_int {
        from_result(|| {
            // SAFETY: By the requirements of this function.
            let m = unsafe { SeqFile::from_raw(m) };
            T::show(m, (v as usize - 1) as u64)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by procfs, with an open file and a position.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        buf: *const c_char,
        count: usize,
        pos: *mut i64,
    ) -> isize {
        from_result(|| {
            // SAFETY: By the requirements of this function; the position is not shared with
            // another writer, see `f_pos_lock`.
            let (file, pos) = unsafe { (File::from_raw_file(file), *pos) };
            let data = UserSlice::new(UserPtr::from_ptr(buf.cast_mut().cast()), count).reader();
            Ok(T::write(file, data, pos)? as isize)
        })
    }
}

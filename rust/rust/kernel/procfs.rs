// SPDX-License-Identifier: GPL-2.0

//! Files in `/proc`.
//!
//! C headers: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h) and
//! [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)

use crate::{
    bindings,
    error::{
        from_result,
        VTABLE_DEFAULT_ERROR, //
    },
    fs::File,
    iov::IovIterSource,
    pid_namespace::PidNamespace,
    prelude::*,
    seq_file::SeqFile,
    str::CStr,
    sync::atomic::Atomic,
    types::Opaque, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

/// A file in `/proc` that reads as a sequence of numbered rows.
///
/// The numbers need not be contiguous. Nothing is kept between the calls, not even between those
/// for one row, and no lock is held; a row may be gone when it comes to showing it.
///
/// # Examples
///
/// ```
/// use kernel::{
///     procfs::{Entry, OpenFile, Registration},
///     seq_file::SeqFile,
///     seq_print, //
/// };
///
/// struct Squares;
///
/// #[vtable]
/// impl Entry for Squares {
///     fn seek(_file: &OpenFile, pos: u64) -> Option<u64> {
///         (pos < 10).then_some(pos)
///     }
///
///     fn show(_file: &OpenFile, m: &SeqFile, row: u64) -> Result {
///         seq_print!(m, "{}\n", row * row);
///         Ok(())
///     }
/// }
///
/// let squares = Registration::<Squares>::new(c"rust_doctest_squares", 0o444)?;
/// drop(squares);
/// # Ok::<(), Error>(())
/// ```
#[vtable]
pub trait Entry: 'static {
    /// Returns the number of the first row at or after `pos`, for the task that reads `file`.
    ///
    /// Called in process context.
    fn seek(file: &OpenFile, pos: u64) -> Option<u64>;

    /// Prints row `row` to `m`.
    ///
    /// Called in process context.
    fn show(file: &OpenFile, m: &SeqFile, row: u64) -> Result;

    /// Takes `data`, all that one system call writes to `file`, and returns how many bytes of it.
    ///
    /// Called in process context. A file without this can not be written, whatever its mode.
    fn write(_file: &OpenFile, _data: &mut IovIterSource<'_>, _place: Place) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// Where a system call writes.
#[derive(Clone, Copy)]
pub struct Place {
    /// The position.
    pub pos: i64,
    /// The data is to be appended: the file is open with `O_APPEND`, or the call has `RWF_APPEND`.
    pub append: bool,
}

/// A file that [`Registration`] made, opened.
///
/// # Invariants
///
/// It is the `seq_file` of such a file, which stays open as long as the reference to this.
#[repr(transparent)]
pub struct OpenFile(Opaque<bindings::seq_file>);

impl OpenFile {
    /// # Safety
    ///
    /// `m` is the `seq_file` of a file of a [`Registration`] that stays open during `'a`.
    unsafe fn from_raw<'a>(m: *mut bindings::seq_file) -> &'a OpenFile {
        // SAFETY: By the requirements; `OpenFile` is a transparent wrapper.
        //
        // INVARIANT: By the requirements.
        unsafe { &*m.cast() }
    }

    /// Returns a raw pointer to the underlying C struct.
    pub fn as_ptr(&self) -> *mut bindings::seq_file {
        self.0.get()
    }

    /// Returns the file.
    pub fn file(&self) -> &File {
        // SAFETY: `file` of a `seq_file` is set when the file is opened, and never again. The file
        // is open by the invariant. Its position is only used by the system call that this runs in.
        unsafe { File::from_raw_file((*self.0.get()).file) }
    }

    /// Returns the pid namespace whose numbers the current task sees in the procfs instance that
    /// the file is in.
    pub fn viewer(&self) -> &PidNamespace {
        // SAFETY: The file is in procfs by the invariant, and keeps the superblock and with it the
        // namespace that it was mounted for. Where it is that of the current task instead, the
        // task keeps it: should it move into a container, that holds a reference on the namespace
        // that it was in.
        unsafe {
            let inode = (*(*self.0.get()).file).f_inode;
            PidNamespace::from_ptr(bindings::proc_pid_ns((*inode).i_sb))
        }
    }

    /// Returns a word that is kept as long as the file is open, for the implementation of
    /// [`Entry`] to use. It is 0 at first.
    pub fn word(&self) -> &Atomic<usize> {
        // SAFETY: `private` of a `seq_file` is for who opens it, which is the code here. It is
        // accessed nowhere else, is as large as a `usize`, and lives as long as the open file.
        unsafe { Atomic::from_ptr((&raw mut (*self.0.get()).private).cast()) }
    }
}

/// An entry in the root of `/proc`, which is removed when this is dropped.
///
/// # Invariants
///
/// `entry` is an entry that was made with the operations of `Vtable<T>`, and has not been removed.
pub struct Registration<T: Entry> {
    entry: NonNull<bindings::proc_dir_entry>,
    _p: PhantomData<T>,
}

// SAFETY: An entry can be removed from any thread, and is not accessed otherwise.
unsafe impl<T: Entry> Send for Registration<T> {}

// SAFETY: There is nothing that can be done with a shared reference.
unsafe impl<T: Entry> Sync for Registration<T> {}

impl<T: Entry> Registration<T> {
    /// Creates `name` in the root of `/proc`.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if it cannot be allocated or the name is in use.
    pub fn new(name: &'static CStr, mode: u16) -> Result<Self> {
        // SAFETY: The name is a C string. The operations are there as long as the code that they
        // call; that of a module goes after the registration has been dropped, which waits for
        // those who are in an operation and lets nobody in any more.
        let entry = unsafe {
            bindings::proc_create(
                name.as_char_ptr(),
                mode,
                core::ptr::null_mut(),
                &Vtable::<T>::PROC_OPS,
            )
        };
        // INVARIANT: It was just made.
        Ok(Self {
            entry: NonNull::new(entry).ok_or(ENOMEM)?,
            _p: PhantomData,
        })
    }
}

impl<T: Entry> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the invariant; this is the only place that removes it.
        unsafe { bindings::proc_remove(self.entry.as_ptr()) };
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
        proc_open: Some(Self::open),
        proc_read_iter: Some(bindings::seq_read_iter),
        proc_write_iter: if T::HAS_WRITE {
            Some(Self::write_iter)
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
        // SAFETY: The operations are there as long as the file can be used.
        let ret = unsafe { bindings::seq_open(file, &Self::SEQ_OPS) };
        if ret == 0 && T::HAS_WRITE {
            // As `seq_open()` asks of those whose `write` is told a position.
            // SAFETY: `file` is being opened, nobody else uses it yet.
            unsafe { (*file).f_mode |= bindings::FMODE_PWRITE };
        }
        ret
    }

    /// Makes an iterator of the first row at or after `pos`: the row plus one, for it must not be
    /// null. A row that `pos` cannot hold, or the iterator cannot, is the end.
    fn iterator(file: &OpenFile, pos: &mut i64) -> *mut c_void {
        let find = || {
            let row = T::seek(file, u64::try_from(*pos).ok()?)?;
            let iterator = usize::try_from(row).ok()?.checked_add(1)?;
            // What is above is an error for seq_file.
            if iterator > usize::MAX - bindings::MAX_ERRNO as usize {
                return None;
            }
            Some((i64::try_from(row).ok()?, iterator as *mut c_void))
        };
        match find() {
            Some((row, iterator)) => {
                *pos = row;
                iterator
            }
            None => core::ptr::null_mut(),
        }
    }

    /// # Safety
    ///
    /// Called by seq_file, with a file and a position that nobody else uses.
    unsafe extern "C" fn start(m: *mut bindings::seq_file, pos: *mut i64) -> *mut c_void {
        // SAFETY: By the requirements of this function.
        unsafe { Self::iterator(OpenFile::from_raw(m), &mut *pos) }
    }

    /// # Safety
    ///
    /// As [`Self::start`].
    unsafe extern "C" fn next(
        m: *mut bindings::seq_file,
        _v: *mut c_void,
        pos: *mut i64,
    ) -> *mut c_void {
        // SAFETY: By the requirements of this function. The position is that of a row, which is
        // below `i64::MAX` but for the last one that there can be.
        unsafe {
            *pos = (*pos).saturating_add(1);
            Self::iterator(OpenFile::from_raw(m), &mut *pos)
        }
    }

    unsafe extern "C" fn stop(_m: *mut bindings::seq_file, _v: *mut c_void) {}

    /// # Safety
    ///
    /// As [`Self::start`], with what that or [`Self::next`] returned.
    unsafe extern "C" fn show(m: *mut bindings::seq_file, v: *mut c_void) -> c_int {
        from_result(|| {
            // SAFETY: By the requirements of this function.
            let (file, m) = unsafe { (OpenFile::from_raw(m), SeqFile::from_raw(m)) };
            T::show(file, m, (v as usize - 1) as u64)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by procfs, with an open file of a [`Registration`].
    unsafe extern "C" fn write_iter(
        iocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        from_result(|| {
            // SAFETY: By the requirements of this function. `private_data` is what `open()` put
            // there.
            let (file, iter) = unsafe {
                (
                    OpenFile::from_raw((*(*iocb).ki_filp).private_data.cast()),
                    IovIterSource::from_raw(iter),
                )
            };
            // SAFETY: An `iocb` is that of the call that this runs in.
            let (pos, flags) = unsafe { (&mut (*iocb).ki_pos, (*iocb).ki_flags) };
            let place = Place {
                pos: *pos,
                append: flags & bindings::IOCB_APPEND != 0,
            };
            let count = T::write(file, iter, place)?;
            *pos = pos.saturating_add(count as i64);
            Ok(count as isize)
        })
    }
}
